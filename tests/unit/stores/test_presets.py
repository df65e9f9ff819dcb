"""Presets among the settings: read by the same reader, overridden by the operator, and told where they decided."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

import pytest

from jotgate.core.preset_names import PRESETS
from jotgate.stores.effective import effective
from jotgate.stores.presets import find_presets
from jotgate.stores.settings import Finding, Settings, Sources, load_settings

_SECRET: Final = "Zm9yIHRoZSBmYWNlcywgYW5kIGZvciBub2JvZHkgZWxzZQ"
_CHAIN: Final = {"JWT_SECRET_KEY": _SECRET, "ANTHROPIC_API_KEY": "k-1"}


def load(
    *presets: str, environment: Mapping[str, str] = _CHAIN, text: str = "", directory: Path | None = None
) -> Settings:
    """The settings with these presets; `text` is `jotgate.toml` in the directory."""
    file = None
    if directory is not None:
        file = directory / "jotgate.toml"
        file.write_text(text)
    return load_settings(Sources(file=file, environment=environment, presets=presets))


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_comes_with_a_file_that_is_sound_and_starts_where_its_system_does(name: str) -> None:
    tomllib.loads(files("jotgate.presets").joinpath(f"{name}.toml").read_text())
    found = load(name)
    assert found.findings == ()
    (preset,) = found.presets
    assert preset.name == name
    ports = {"prompt-chain": 8000, "api-gateway": 3000, "coze-proxy": 3000, "kong-auth": 8000, "mcp-daemon": 3000}
    assert preset.listen == ("127.0.0.1", ports[name])


def test_presets_come_in_the_order_in_which_they_are_asked_for_each_once() -> None:
    assert [one.name for one in load("api-gateway", "prompt-chain", "api-gateway").presets] == [
        "api-gateway",
        "prompt-chain",
    ]


def test_without_presets_nothing_of_them_is_read() -> None:
    found = find_presets((), {"server": {"port": 1}}, {"API_PORT": "none"}, {})
    assert (found.presets, found.laid.document) == ((), {"server": {"port": 1}})


def test_what_a_preset_decided_is_told_with_its_name() -> None:
    found = load("prompt-chain")
    assert found.config is not None
    shown = effective(found.config, found.origins)
    place = [one.name for one in found.config.upstreams].index("anthropic")
    assert shown[f"upstreams[{place}].base_url"] == ("https://api.anthropic.com/v1", "preset prompt-chain")
    assert shown["chains[0].steps[0].name"] == ("analyze", "preset prompt-chain")
    schema, _ = shown["chains[0].steps[0].schema"]
    assert isinstance(schema, dict)
    assert schema["type"] == "object", "it is shown as it is written"


def test_the_operator_s_upstream_of_the_same_name_stands_in_place_of_the_preset_s(tmp_path: Path) -> None:
    own = (
        '[[upstreams]]\nname = "anthropic"\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n'
        'models = { "anthropic/claude-haiku-4-5-20251001" = "llama" }\n'
    )
    found = load("prompt-chain", text=own, directory=tmp_path)
    assert found.config is not None, found.findings
    (upstream,) = [one for one in found.config.upstreams if one.name == "anthropic"]
    assert upstream.base_url == "http://127.0.0.1:9/v1"
    assert found.brought["upstreams"] == frozenset()


def test_a_variable_of_ours_changes_a_preset_s_upstream() -> None:
    found = load(
        "prompt-chain", environment={**_CHAIN, "JOTGATE_UPSTREAMS__ANTHROPIC__BASE_URL": "http://127.0.0.1:9/v1"}
    )
    assert found.config is not None, found.findings
    assert [one.base_url for one in found.config.upstreams if one.name == "anthropic"] == ["http://127.0.0.1:9/v1"]


def test_a_fault_of_a_variable_names_the_variable_and_where_it_is(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("API_PORT=none\n")
    sources = Sources(environment=_CHAIN, dotenv=tmp_path / ".env", presets=("prompt-chain",))
    (finding,) = load_settings(sources).findings
    assert finding == Finding(".env API_PORT", "", "is 'none', and must be a port: a number from 0 to 65535")


def test_a_port_that_two_presets_share_is_a_fault_that_names_both() -> None:
    (finding,) = load("prompt-chain", "api-gateway", environment={**_CHAIN, "PORT": "8000"}).findings
    assert finding.where == "environment PORT"
    assert "'api-gateway'" in finding.fault
    assert "'prompt-chain'" in finding.fault


def test_a_secret_variable_that_two_presets_share_is_a_fault_that_names_both_and_the_setting(tmp_path: Path) -> None:
    own = '[api_gateway]\nalgorithm = "HS256"\nsecret_env = "JWT_SECRET_KEY"\n'
    found = load("prompt-chain", "api-gateway", text=own, directory=tmp_path)
    (fault,) = [one.fault for one in found.findings if "speak at both" in one.fault]
    assert "'prompt-chain' and 'api-gateway'" in fault
    assert "api_gateway.secret_env" in fault
    assert not any(_SECRET in one.fault for one in found.findings)


def test_a_secret_that_an_issuer_of_the_operator_s_has_too_is_refused(tmp_path: Path) -> None:
    own = '[[issuers]]\nname = "mine"\nissuer = "https://mine.example"\nsecret_env = "JWT_SECRET_KEY"\n'
    found = load("prompt-chain", text=own, directory=tmp_path)
    assert any("could speak as both" in one.fault for one in found.findings)


def test_what_is_missing_is_a_warning_and_no_fault() -> None:
    found = load("prompt-chain", environment={"JWT_SECRET_KEY": _SECRET})
    assert found.findings == ()
    assert any("ANTHROPIC_API_KEY" in one for one in found.warnings)
    assert found.presets[0].missing != ()


def test_the_tables_of_presets_are_settings_of_ours(tmp_path: Path) -> None:
    own = '[prompt_chain]\nlisten = "127.0.0.1:7001"\nsecret_env = "CHAIN_SECRET"\n'
    found = load("prompt-chain", text=own, directory=tmp_path, environment={**_CHAIN, "CHAIN_SECRET": _SECRET})
    assert found.findings == ()
    assert found.presets[0].listen == ("127.0.0.1", 7001)
    assert [one.secret_place for one in found.issuers] == ["the environment variable CHAIN_SECRET"]


def test_a_table_with_a_fault_is_told_once(tmp_path: Path) -> None:
    found = load("prompt-chain", text="[prompt_chain]\nlisten = 7\n", directory=tmp_path)
    assert [one.setting for one in found.findings] == ["prompt_chain.listen"]

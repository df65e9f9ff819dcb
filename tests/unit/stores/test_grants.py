"""The secrets that `[upstreams.oauth]` names: read from variables and files, and refused when they are none."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from jotgate.core.values import Secret
from jotgate.jose.keys import generate, signing_key_to_pem
from jotgate.stores.settings import Settings, Sources, load_settings

_PEM = signing_key_to_pem(generate("RS256")).decode()
_OTHER = signing_key_to_pem(generate("RS256")).decode()
_CONFIG = """
[[upstreams]]
name = "u"
kind = "openai"
base_url = "https://api.coze.com"
models = ["m"]
[upstreams.oauth]
grant = "coze"
client_id = "1105"
key_id = "first"
"""


def load(tmp_path: Path, more: str, variables: Mapping[str, str] | None = None, config: str = _CONFIG) -> Settings:
    """The settings of a file with such a table."""
    file = tmp_path / "jotgate.toml"
    file.write_text(config + more)
    return load_settings(Sources(file=file, environment=variables or {}))


def test_a_key_comes_of_a_variable_with_escaped_line_ends_and_another_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "next.pem").write_text(_OTHER)
    more = 'private_key_env = "KEY"\nnext_private_key_file = "next.pem"\nnext_key_id = "next"\n'
    settings = load(tmp_path, more, {"KEY": _PEM.replace("\n", "\\n")})
    settings.require()
    assert settings.grant_secrets["u"].found == {
        "private_key": Secret(_PEM.replace("\n", "\\n")),
        "next_private_key": Secret(_OTHER.removesuffix("\n")),
    }
    assert tmp_path / "next.pem" in settings.files
    assert tmp_path / "next.pem" in settings.secret_files
    assert _OTHER.splitlines()[1] not in repr(settings)


def test_a_key_that_others_can_read_is_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text(_PEM)
    path.chmod(0o644)
    settings = load(tmp_path, 'private_key_file = "key.pem"\n')
    assert any("key.pem" in warning and "chmod 600" in warning for warning in settings.warnings)


@pytest.mark.parametrize(
    ("more", "setting", "said"),
    [
        ('private_key_env = "KEY"', "private_key_env", "set neither in the environment"),
        ('private_key_file = "away.pem"', "private_key_file", "cannot be read"),
        (f"private_key_env = '''{_PEM}'''", "private_key_env", "looks like the secret itself"),
        ('private_key_env = "NONE"', "private_key_env", "holds no private key"),
        ('private_key_env = "EMPTY"', "private_key_env", "empty"),
    ],
)
def test_what_is_no_key_is_a_fault_that_does_not_show_it(tmp_path: Path, more: str, setting: str, said: str) -> None:
    settings = load(tmp_path, more, {"NONE": "hunter2-is-no-key", "EMPTY": " "})
    found = {one.setting: one.fault for one in settings.findings}
    assert said in found[f"upstreams[0].oauth.{setting}"]
    assert "hunter2" not in str(settings.findings)
    assert _PEM.splitlines()[1] not in str(settings.findings)


def test_a_client_secret_and_a_refresh_token_are_one_line(tmp_path: Path) -> None:
    config = _CONFIG.replace('grant = "coze"', 'grant = "refresh-token"').replace('key_id = "first"', "")
    more = 'token_url = "https://as.example/t"\nclient_secret_env = "S"\nrefresh_token_file = "r"\n'
    (tmp_path / "r").write_text("rt-1\n")
    settings = load(tmp_path, more, {"S": "sec ret"}, config)
    settings.require()
    assert settings.grant_secrets["u"].found == {"client_secret": Secret("sec ret"), "refresh_token": Secret("rt-1")}


def test_two_static_keys_are_read(tmp_path: Path) -> None:
    config = _CONFIG.partition("[upstreams.oauth]")[0]
    (tmp_path / "b").write_text("two\n")
    settings = load(tmp_path, 'credential_env = "A"\nother_credential_file = "b"\n', {"A": "one"}, config)
    settings.require()
    assert (settings.credentials, settings.other_credentials) == ({"u": Secret("one")}, {"u": Secret("two")})
    assert tmp_path / "b" in settings.secret_files

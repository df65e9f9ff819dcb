"""What `[kong]` may not say, and what it means: the document's plugin, groups, limits, and where secrets come from."""

from pathlib import Path
from typing import Any

import pytest

from jotgate.core.config_reader import find_literal_secrets, parse, read
from jotgate.core.kong_aims import compile_kong, jwt_config
from jotgate.core.kong_entries import KongEntry
from jotgate.core.values import Secret
from jotgate.stores.settings import Sources, load_settings
from jotgate.testing.kong_told import DOCUMENT_CONFIG

URL = "http://127.0.0.1:8001"


def faults(**kong: Any) -> list[tuple[str, str]]:
    return list(read({"kong": {"admin_url": URL, **kong}}).faults)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://127.0.0.1", "is not an http or https URL"),
        ("http://", "is not an http or https URL"),
        ("http://me:pw@127.0.0.1:8001", "holds a user name or password"),
        ("http://127.0.0.1:8001/?x=1", "holds a query"),
        ("http://kong:8001", "crosses the network in the clear"),
        ("http://10.0.0.7:8001", "crosses the network in the clear"),
    ],
)
def test_an_admin_url_that_is_none_or_that_crosses_a_network_in_the_clear_is_refused(url: str, told: str) -> None:
    ((path, fault),) = faults(admin_url=url)
    assert (path, told in fault) == ("kong.admin_url", True)


@pytest.mark.parametrize("url", ["", "http://localhost:8001", "http://[::1]:8001", "https://kong.example/admin"])
def test_this_machine_and_tls_are_fine(url: str) -> None:
    assert faults(admin_url=url) == []


def test_a_network_of_ones_own_may_be_said_to_be_one() -> None:
    assert faults(admin_url="http://kong:8001", plain_http=True) == []


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("timeout", "2m", 'at most "60s"'),
        ("maximum_expiration", "366d", 'at most "365d"'),
        ("rate_limits", {"minute": 60, "hour": 59}, "a longer window has no lower limit"),
        ("rate_limits", {"fortnight": 1}, "must be a table of second, minute"),
        ("tag", "a,b", "1 to 128 letters"),
        ("tag", "a/b", "1 to 128 letters"),
        ("token_header", "a b", "header field"),
        ("rate_policy", "redis", '"local" or "cluster"'),
        ("reconcile", "often", "a duration"),
    ],
)
def test_what_kong_would_refuse_is_refused_here(setting: str, value: object, told: str) -> None:
    ((path, fault),) = faults(**{setting: value})
    assert (path, told in fault) == (f"kong.{setting}", True)


def test_plugins_stand_on_one_thing_and_tokens_are_looked_for_somewhere() -> None:
    assert [path for path, _ in faults(service="llm", route="llm")] == ["kong.route"]
    nowhere = faults(header_names=[], uri_param_names=[], cookie_names=[])
    assert [path for path, _ in nowhere] == ["kong.header_names"]


def test_the_token_is_named_once_beside_an_admin_url_and_never_stands_in_the_file() -> None:
    assert [path for path, _ in faults(token_env="A", token_file="b")] == ["kong.token_file"]
    assert [path for path, _ in read({"kong": {"token_env": "A"}}).faults] == ["kong.token_env"]
    assert [path for path, _ in find_literal_secrets({"kong": {"token": "sesame"}})] == ["kong.token"]
    assert find_literal_secrets({"kong": {"token": "sesame"}}, development=True) == []
    ((_, fault),) = faults(token=7)
    assert "7" not in fault


def test_consumers_are_named_once() -> None:
    found = read({"kong_consumers": [{"name": "a"}, {"name": "a"}, {}, {"name": "b", "rate_limits": {"year": 0}}]})
    assert [path for path, _ in found.faults] == [
        "kong_consumers[1].name",
        "kong_consumers[2].name",
        "kong_consumers[3].rate_limits",
    ]
    assert [path for path, _ in read({"kong_consumers": 7}).faults] == ["kong_consumers"]


def test_the_jwt_plugin_has_the_documents_configuration_by_itself() -> None:
    assert jwt_config(KongEntry()) == DOCUMENT_CONFIG


def test_settings_become_plugins_groups_and_limits() -> None:
    document = {
        "kong": {
            "admin_url": f"{URL}/",
            "groups": ["llm"],
            "allow_groups": ["llm"],
            "rate_limits": {"minute": 60},
            "uri_param_names": [],
        },
        "kong_consumers": [{"name": "batch", "groups": ["llm", "batch"], "rate_limits": {"day": 9}}],
    }
    aims = compile_kong(parse(document), Secret("sesame"), "")
    assert aims is not None
    assert (aims.place.url, aims.place.token, aims.reconcile_s) == (URL, Secret("sesame"), 300)
    assert [(one.name, one.consumer) for one in aims.plugins] == [
        ("jwt", ""),
        ("acl", ""),
        ("rate-limiting", ""),
        ("rate-limiting", "batch"),
    ]
    assert (aims.groups_of("ann"), aims.groups_of("batch")) == (("llm",), ("llm", "batch"))
    assert aims.plugins[2].config["minute"] == 60
    assert aims.plugins[2].config["limit_by"] == "consumer"
    assert aims.plugins[0].config["uri_param_names"] == []
    assert compile_kong(parse({}), None, "") is None


def test_the_token_comes_from_the_environment_or_a_file_and_faults_name_the_setting(tmp_path: Path) -> None:
    def load(text: str, **variables: str) -> Any:
        file = tmp_path / "jotgate.toml"
        file.write_text(f'[kong]\nadmin_url = "{URL}"\n{text}')
        return load_settings(Sources(file=file, environment=variables))

    assert load('token_env = "ADMIN"', ADMIN="sesame").kong.token == Secret("sesame")
    secret = tmp_path / "token"
    secret.write_text("sesame\n")
    secret.chmod(0o600)
    found = load('token_file = "token"')
    assert (found.kong.token, found.secret_files) == (Secret("sesame"), (secret,))
    assert load("", JOTGATE_KONG__TOKEN="sesame").kong.token == Secret("sesame")
    assert [one.setting for one in load('token_env = "ADMIN"').findings] == ["kong.token_env"]
    assert [one.setting for one in load('ca_file = "none.pem"').findings] == ["kong.ca_file"]
    assert load("", JOTGATE_KONG__RATE_LIMITS="{ minute = 60 }").config.kong.rate_limits == {"minute": 60}

"""What the preset of the Coze proxy makes of its variables: each has an effect, or is said to have none."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
from msgspec.structs import replace

from jotgate.core.config import Server
from jotgate.core.config_reader import read as read_settings
from jotgate.core.coze_proxy import CozeProxyRules
from jotgate.core.coze_proxy_variables import read_coze_proxy
from jotgate.core.preset_checks import check_open, check_presets
from jotgate.core.preset_entries import CozeProxyEntry
from jotgate.core.presets import Preset
from jotgate.core.prompt_chain import ANY_ORIGIN, Pages
from jotgate.stores.presets import find_presets
from jotgate.stores.settings import Sources, load_settings

JWT: Final = {"COZE_JWT_APP_ID": "app", "COZE_JWT_KEY_ID": "kid", "COZE_JWT_PRIVATE_KEY": "-----BEGIN …"}
USUAL: Final = {**JWT, "COZE_BOT_ID": "7", "COZE_WORKFLOW_ID": "8"}


def read(**variables: str) -> Preset:
    return read_with({}, **variables)


def read_with(own: Mapping[str, object], **variables: str) -> Preset:
    """What the preset comes to under a document of the operator's."""
    (preset,) = find_presets(("coze-proxy",), own, variables, {}).presets
    return preset


OPEN: Final = {"coze_proxy": {"open_local": True}}


def rules(preset: Preset) -> CozeProxyRules:
    assert isinstance(preset.rules, CozeProxyRules)
    return preset.rules


def upstream(preset: Preset) -> Any:
    listed = preset.tables["upstreams"]
    assert isinstance(listed, list)
    (found,) = listed
    return found


def test_the_documents_variables_are_an_upstream_with_a_jwt_grant() -> None:
    preset = read(
        **USUAL,
        COZE_JWT_AUD="api.coze.cn",
        COZE_BASE_URL="https://api.coze.cn/",
        COZE_JWT_SESSION_NAME="my-app-session",
    )
    found = upstream(preset)
    assert (found["kind"], found["base_url"]) == ("coze", "https://api.coze.cn")
    assert found["oauth"] == {
        "grant": "coze",
        "token_url": "https://api.coze.cn/api/permission/oauth2/token",
        "client_id": "app",
        "key_id": "kid",
        "private_key_env": "COZE_JWT_PRIVATE_KEY",
        "audience": "api.coze.cn",
    }
    assert found["models"] == {
        "gpt-3.5-turbo": "bot:7",
        "gpt-4": "bot:7",
        "bot:7": "bot:7",
        "workflow:8": "workflow:8",
    }
    found = replace(rules(preset), pages=Pages())
    assert found == CozeProxyRules("chat", "7", "8", label="my-app-session", has_jwt=True)
    assert (preset.faults, preset.warnings, preset.missing) == ((), (), ())
    assert (preset.listen, preset.listen_settings) == (("127.0.0.1", 3000), ("HOST", "PORT"))
    assert "BEGIN" not in repr(preset)


def test_the_audience_is_the_services_host_where_none_is_said() -> None:
    assert upstream(read(**USUAL))["oauth"]["audience"] == "api.coze.com"
    local = read(**USUAL, COZE_BASE_URL="http://127.0.0.1:8123")
    assert upstream(local)["oauth"]["audience"] == "127.0.0.1:8123"


def test_a_jwt_goes_before_an_api_key_and_the_key_is_used_where_there_is_no_jwt() -> None:
    both = read(**USUAL, COZE_API_KEY="pat_1")
    assert "credential_env" not in upstream(both)
    assert (rules(both).has_jwt, rules(both).has_api_key) == (True, True)
    key = read(COZE_API_KEY="pat_1", COZE_BOT_ID="7", COZE_JWT_AUD="api.coze.com", COZE_JWT_SESSION_NAME="s")
    assert upstream(key)["credential_env"] == "COZE_API_KEY"
    assert "oauth" not in upstream(key)
    assert (rules(key).has_jwt, rules(key).has_api_key, key.missing) == (False, True, ())


def test_neither_is_said_and_does_not_stop_the_start() -> None:
    preset = read(COZE_BOT_ID="7")
    assert preset.faults == ()
    (missing,) = preset.missing
    assert missing.startswith("Neither JWT configuration nor API key provided: set COZE_JWT_APP_ID, ")


@pytest.mark.parametrize("lacking", JWT)
def test_a_jwt_that_is_half_configured_is_said_and_no_api_key_stands_in(lacking: str) -> None:
    variables = {name: value for name, value in USUAL.items() if name != lacking}
    preset = read(**variables, COZE_API_KEY="pat_1")
    (missing,) = preset.missing
    assert missing.startswith(f"JWT configuration not provided: {lacking} must be set too")
    assert {"credential_env", "oauth"}.isdisjoint(upstream(preset))
    assert (rules(preset).has_jwt, rules(preset).has_api_key) == (False, True)


def test_a_second_key_pair_overlaps_the_first() -> None:
    found = upstream(read(**USUAL, COZE_JWT_NEXT_KEY_ID="kid2", COZE_JWT_NEXT_PRIVATE_KEY="pem"))["oauth"]
    assert (found["next_key_id"], found["next_private_key_env"]) == ("kid2", "COZE_JWT_NEXT_PRIVATE_KEY")
    faults = read(**USUAL, COZE_JWT_NEXT_KEY_ID="kid2").faults
    assert faults == (("COZE_JWT_NEXT_KEY_ID", "is set, and COZE_JWT_NEXT_PRIVATE_KEY is not"),)


def test_the_mode_that_is_usual_decides_what_the_models_of_the_document_are() -> None:
    preset = read(**USUAL, DEFAULT_MODEL_TYPE="Workflow")
    assert rules(preset).default_mode == "workflow"
    assert upstream(preset)["models"]["gpt-4"] == "workflow:8"
    (fault,) = read(**USUAL, DEFAULT_MODEL_TYPE="agent").faults
    assert fault == ("DEFAULT_MODEL_TYPE", "is 'agent', and must be one of chat, conversation, workflow")


def test_what_is_not_configured_must_be_named_and_that_is_said() -> None:
    preset = read(**JWT)
    assert "models" not in upstream(preset)
    assert load_settings(Sources(environment=JWT, presets=("coze-proxy",)), secrets=False).findings == ()
    (warning,) = preset.warnings
    assert warning.startswith("COZE_BOT_ID is not set")
    (warning,) = read(**JWT, COZE_BOT_ID="7", DEFAULT_MODEL_TYPE="workflow").warnings
    assert warning.startswith("COZE_WORKFLOW_ID is not set")


def test_further_bots_are_models_too() -> None:
    preset = read_with({"coze_proxy": {"bots": ["9", "*"]}}, **USUAL)
    assert upstream(preset)["models"]["bot:9"] == "bot:9"
    assert "bot:*" not in upstream(preset)["models"]


def test_weak_000_2_origins_are_split_on_commas_and_none_is_allowed_unasked() -> None:
    assert rules(read(**USUAL, ENABLE_CORS="true")).pages.origins == ()
    pages = rules(read(**USUAL, ENABLE_CORS="true", ALLOWED_ORIGINS="https://a.example, https://b.example")).pages
    assert (pages.origins, pages.credentials) == (("https://a.example", "https://b.example"), False)
    assert "DELETE" in pages.methods
    off = read(**USUAL, ENABLE_CORS="false", ALLOWED_ORIGINS="https://a.example")
    assert rules(off).pages.origins == ()
    (fault,) = read(**USUAL, ALLOWED_ORIGINS="https://a.example/path").faults
    assert fault[0] == "ALLOWED_ORIGINS"


def test_weak_000_2_pages_of_everywhere_read_answers_only_where_a_token_is_asked_for() -> None:
    everywhere = rules(read(**USUAL, ALLOWED_ORIGINS="*")).pages
    assert (everywhere.origins, everywhere.credentials) == ((ANY_ORIGIN,), False)
    preset = read_with(OPEN, **USUAL, ALLOWED_ORIGINS="*")
    assert rules(preset).pages.origins == ()
    assert any("ALLOWED_ORIGINS" in warning for warning in preset.warnings)


def test_logging_is_debugging() -> None:
    assert read(**USUAL, ENABLE_LOGGING="true").tables["logs"] == {"level": "debug"}
    assert "logs" not in read(**USUAL, ENABLE_LOGGING="false").tables
    (fault,) = read(**USUAL, ENABLE_LOGGING="maybe").faults
    assert fault == ("ENABLE_LOGGING", "is 'maybe', and must be true or false")


def test_a_token_may_stand_where_api_key_header_says_if_that_is_a_place_for_one() -> None:
    assert rules(read(**USUAL, API_KEY_HEADER="X-API-Key")).credentials == ("x-api-key",)
    assert rules(read(**USUAL, API_KEY_HEADER="authorization")).credentials == ()
    other = read(**USUAL, API_KEY_HEADER="X-Mine")
    assert rules(other).credentials == ()
    assert other.warnings[0].startswith("API_KEY_HEADER is not used")


@pytest.mark.parametrize("name", ["COZE_BASE_WS_URL", "COZE_SPACE_ID"])
def test_a_variable_without_effect_is_said_to_have_none(name: str) -> None:
    (warning,) = read(**USUAL, **{name: "x"}).warnings
    assert warning.startswith(f"{name} is not used: ")


def test_a_session_name_that_is_none_is_a_fault() -> None:
    (fault,) = read(**USUAL, COZE_JWT_SESSION_NAME="s" * 129).faults
    assert fault[0] == "COZE_JWT_SESSION_NAME"


def test_an_upstream_of_the_operators_own_stands_in_its_place() -> None:
    mine = {"name": "coze", "kind": "coze", "base_url": "https://coze.example", "credential_file": "key"}
    preset = read_with({"upstreams": [mine]})
    assert upstream(preset) == mine
    assert (preset.missing, rules(preset).has_api_key, rules(preset).has_jwt) == ((), True, False)


@pytest.mark.parametrize("host", ["::", "192.0.2.1", "gateway.example"])
def test_an_open_face_listens_on_loopback_alone(host: str) -> None:
    preset = read_with(OPEN, **USUAL, HOST=host)
    ((path, fault),) = check_open(preset, Server())
    assert path == "HOST"
    assert "--open-local" in fault
    assert check_open(read_with(OPEN, **USUAL, HOST="::1"), Server()) == []
    assert check_open(read(**USUAL, HOST=host), Server()) == []


@pytest.mark.parametrize(
    ("server", "setting"),
    [
        (Server(behind_proxy=True, trusted_proxies=("127.0.0.1",)), "server.behind_proxy"),
        (Server(trusted_proxies=("127.0.0.1",)), "server.trusted_proxies"),
    ],
)
def test_an_open_face_has_no_proxy_before_it(server: Server, setting: str) -> None:
    settings = {setting.partition(".")[2]: getattr(server, setting.partition(".")[2]), "trusted_proxies": ["127.0.0.1"]}
    reading = read_settings({"server": settings})
    ((path, fault),) = check_presets([read_with(OPEN, **USUAL)], reading.config, reading.issuers)
    assert (path, "--open-local" in fault) == (setting, True)
    assert [path for path, _ in check_open(read_with(OPEN, **USUAL), server)] == [setting]
    assert check_open(read(**USUAL), server) == []


def test_the_file_of_the_preset_alone_says_which_service() -> None:
    assert upstream(read())["base_url"] == "https://api.coze.com"
    assert read_coze_proxy({}, {}, CozeProxyEntry()).faults == ()

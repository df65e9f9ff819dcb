"""What the preset of the Kong auth service makes of its variables: each has an effect, or is said to have none."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from jotgate.core.kong_auth import KongAuthRules
from jotgate.core.presets import Preset
from jotgate.core.prompt_chain import ANY_ORIGIN, Pages
from jotgate.stores.presets import find_presets
from jotgate.stores.settings import Sources, load_settings

CASDOOR: Final = {
    "CASDOOR_ENDPOINT": "https://casdoor.example/",
    "CASDOOR_CLIENT_ID": "client",
    "CASDOOR_ORG_NAME": "sharif",
}
YEAR_S: Final = 31_536_000


def read(**variables: str) -> Preset:
    return read_with({}, **variables)


def read_with(own: Mapping[str, object], **variables: str) -> Preset:
    """What the preset comes to under a document of the operator's."""
    (preset,) = find_presets(("kong-auth",), own, variables, {}).presets
    return preset


def rules(preset: Preset) -> KongAuthRules:
    assert isinstance(preset.rules, KongAuthRules)
    return preset.rules


def issuer(preset: Preset) -> Any:
    listed = preset.tables["issuers"]
    assert isinstance(listed, list)
    (found,) = listed
    return found


def test_casdoor_is_an_issuer_of_its_profile_for_the_client_id_and_its_shared_form() -> None:
    preset = read(**CASDOOR)
    assert issuer(preset) == {
        "name": "casdoor",
        "profile": "casdoor",
        "issuer": "https://casdoor.example",
        "audiences": ["client", "client-org-sharif"],
        "claims": {"scopes": ""},
        "default_scopes": ["ai"],
    }
    assert (rules(preset).organization, preset.missing, preset.faults) == ("sharif", (), ())
    loaded = load_settings(Sources(file=None, environment=CASDOOR, presets=("kong-auth",)))
    assert loaded.findings == ()


@pytest.mark.parametrize("name", sorted(CASDOOR))
def test_one_that_lacks_is_named_and_stops_no_start(name: str) -> None:
    preset = read(**{key: value for key, value in CASDOOR.items() if key != name})
    assert preset.missing == (f"{name} is not set, so that no token of Casdoor can be verified",)
    assert preset.faults == ()
    (all_of_them,) = read().missing
    assert all_of_them.startswith("CASDOOR_ENDPOINT, CASDOOR_CLIENT_ID, CASDOOR_ORG_NAME are not set")


def test_an_issuer_of_ones_own_stands_in_its_place() -> None:
    own = {"issuers": [{"name": "casdoor", "issuer": "https://other.example"}]}
    preset = read_with(own, CASDOOR_ORG_NAME="sharif")
    assert (issuer(preset), preset.missing) == ({"name": "casdoor"}, ())


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("CASDOOR_ENDPOINT", "http://casdoor.example", "is http"),
        ("CASDOOR_ENDPOINT", "casdoor.example", "is not an https URL"),
        ("CASDOOR_ORG_NAME", "a/b", "must be 1 to 128"),
        ("JWT_EXPIRATION_SECONDS", "59", "must be a whole number from 60 to 31536000"),
        ("JWT_EXPIRATION_SECONDS", "31536001", "must be a whole number"),
        ("JWT_EXPIRATION_SECONDS", "a year", "must be a whole number"),
        ("CORS_ORIGINS", "app.example", "holds 'app.example'"),
        ("LOG_LEVEL", "loud", "must be one of"),
        ("PORT", "http", "must be a port"),
    ],
)
def test_a_value_that_is_none_is_a_fault_by_the_name_of_its_variable(name: str, value: str, fault: str) -> None:
    ((path, text),) = read(**{**CASDOOR, name: value}).faults
    assert (path, fault in text) == (name, True), text


@pytest.mark.parametrize(
    ("written", "maximum", "lifetime_s"),
    [
        (None, None, YEAR_S - 300),
        ("31536000", None, YEAR_S - 300),
        ("31535700", None, YEAR_S - 300),
        ("3600", None, 3_600),
        (None, "30d", 30 * 86_400 - 300),
        ("3600", "30d", 3_600),
        (None, "no duration", YEAR_S - 300),
        (None, "1m", 60),
    ],
)
def test_a_token_ends_a_clock_margin_before_kong_would_call_its_life_too_long(
    written: str | None, maximum: str | None, lifetime_s: int
) -> None:
    own = {} if maximum is None else {"kong": {"maximum_expiration": maximum}}
    variables = CASDOOR if written is None else {**CASDOOR, "JWT_EXPIRATION_SECONDS": written}
    assert rules(read_with(own, **variables)).lifetime_s == lifetime_s


def test_kongs_admin_api_is_that_of_the_variable_or_of_this_machine() -> None:
    assert read().tables["kong"] == {"admin_url": "http://localhost:8001"}
    assert read(KONG_ADMIN_URL="https://kong.example:8444").tables["kong"] == {"admin_url": "https://kong.example:8444"}
    own = "[kong]\nadmin_url = 'https://mine.example'\n"
    assert load_settings(Sources(file=None, environment=CASDOOR, presets=("kong-auth",))).findings == ()
    laid = find_presets(("kong-auth",), {"kong": {"admin_url": "https://mine.example"}}, {}, {}).laid
    assert laid.document["kong"] == {"admin_url": "https://mine.example"}, own


def test_settings_of_the_operator_are_rules() -> None:
    own = {
        "kong_auth": {
            "algorithm": "EdDSA",
            "key_is_token_name": True,
            "tokens_max": 7,
            "admin_roles": ["boss"],
            "listen": "127.0.0.1:9000",
        }
    }
    preset = read_with(own, **CASDOOR, HOST="0.0.0.0", PORT="1")  # noqa: S104 - the setting goes before it
    found = rules(preset)
    assert (found.algorithm, found.key_is_name, found.tokens_max, found.admin_roles) == ("EdDSA", True, 7, ("boss",))
    assert preset.listen == ("127.0.0.1", 9000)


def test_pages_and_logs_are_those_of_the_variables() -> None:
    preset = read(**CASDOOR, CORS_ORIGINS='["https://app.example"]', CORS_ALLOW_CREDENTIALS="true", LOG_LEVEL="DEBUG")
    methods = ("GET", "HEAD", "POST", "DELETE")
    assert rules(preset).pages == Pages(("https://app.example",), credentials=True, methods=methods)
    assert preset.tables["logs"] == {"level": "debug"}
    anybody = rules(read(**CASDOOR, CORS_ORIGINS="*", CORS_ALLOW_CREDENTIALS="true"))
    assert anybody.pages == Pages((ANY_ORIGIN,), methods=methods), "and none of all sends cookies"
    assert read(LOG_FORMAT="plain").tables["logs"] == {"format": "text"}


@pytest.mark.parametrize("name", ["CASDOOR_CLIENT_SECRET", "CASDOOR_CERT_PATH", "SENTRY_DSN"])
def test_what_has_no_effect_is_said_to_have_none(name: str) -> None:
    (warning,) = read(**CASDOOR, **{name: "it"}).warnings
    assert warning.startswith(f"{name} is not used: ")
    assert "it\n" not in warning

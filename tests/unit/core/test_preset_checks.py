"""What presets may not say together: each fault names both, and the settings to change."""

import tomllib
from collections.abc import Mapping
from typing import Final

import pytest
from msgspec.structs import replace

from jotgate.core.config_reader import Reading, read
from jotgate.core.faults import Fault
from jotgate.core.issuers import Issuer
from jotgate.core.preset_checks import check_presets
from jotgate.core.presets import Preset
from jotgate.core.prompt_chain import PromptChainRules

_CHAIN: Final = Preset(
    name="prompt-chain",
    listen=("127.0.0.1", 8000),
    listen_settings=("API_HOST", "API_PORT"),
    rules=PromptChainRules(),
    secret_variables={"JWT_SECRET_KEY": "prompt_chain.secret_env"},
)
_GATEWAY: Final = replace(
    _CHAIN,
    name="api-gateway",
    listen=("127.0.0.1", 3000),
    listen_settings=("HOST", "PORT"),
    secret_variables={"JWT_PRIVATE_KEY": "api_gateway.private_key_env"},
)


def faults_of(*presets: Preset, settings: str = "") -> Mapping[str, str]:
    """The faults by their path."""
    reading: Reading = read(tomllib.loads(settings))
    assert reading.config is not None, reading.faults
    return dict(check_presets(presets, reading.config, reading.issuers))


def test_presets_that_have_nothing_in_common_have_no_fault() -> None:
    assert faults_of(_CHAIN, _GATEWAY) == {}


def test_one_port_of_two_presets_names_both_and_what_to_change() -> None:
    (path, fault), *rest = faults_of(_CHAIN, replace(_GATEWAY, listen=("127.0.0.1", 8000))).items()
    assert (path, rest) == ("PORT", [])
    for said in ("'prompt-chain'", "'api-gateway'", "port 8000", "PORT, or API_PORT"):
        assert said in fault


@pytest.mark.parametrize(
    ("settings", "who"),
    [("[server]\nport = 8000", "the gateway itself"), ('[metrics]\nlisten = "127.0.0.1:8000"', "the figures")],
)
def test_a_port_that_the_gateway_has_is_told_too(settings: str, who: str) -> None:
    (path, fault), *rest = faults_of(_CHAIN, settings=settings).items()
    assert (path, rest, who in fault) == ("API_PORT", [], True)


@pytest.mark.parametrize(("host", "meets"), [("localhost", True), ("::1", False), ("127.0.0.2", False)])
def test_a_port_is_shared_where_one_address_takes_it_from_the_other(host: str, meets: bool) -> None:
    assert bool(faults_of(_CHAIN, replace(_GATEWAY, listen=(host, 8000)))) is meets


def test_ports_that_are_picked_never_meet() -> None:
    assert faults_of(replace(_CHAIN, listen=("127.0.0.1", 0)), replace(_GATEWAY, listen=("127.0.0.1", 0))) == {}


def test_one_secret_variable_of_two_presets_names_both_and_the_setting_to_change() -> None:
    same = replace(_GATEWAY, secret_variables={"JWT_SECRET_KEY": "api_gateway.secret_env"})
    (path, fault), *rest = faults_of(_CHAIN, same).items()
    assert (path, rest) == ("JWT_SECRET_KEY", [])
    for said in ("'prompt-chain'", "'api-gateway'", "api_gateway.secret_env"):
        assert said in fault


def test_an_address_that_others_reach_is_refused_in_the_clear() -> None:
    (path, fault), *rest = faults_of(replace(_CHAIN, listen=("0.0.0.0", 8000))).items()  # noqa: S104 - none is bound
    assert (path, rest) == ("API_HOST", [])
    assert "in the clear" in fault
    behind = '[server]\nbehind_proxy = true\ntrusted_proxies = ["10.0.0.0/8"]'
    assert faults_of(replace(_CHAIN, listen=("0.0.0.0", 8000)), settings=behind) == {}  # noqa: S104 - as above


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ('name = "api-gateway"\nissuer = "https://idp.example"', "issuers[0].name"),
        ('name = "old"\nissuer = "api-gateway"', "issuers[0].issuer"),
    ],
)
def test_nobody_else_is_known_as_the_issuer_that_a_preset_makes_tokens_for(settings: str, path: str) -> None:
    """Revocations name tokens by their issuer, and two who make them under one name would end one another's."""
    own = Issuer(
        name="api-gateway", issuer="api-gateway", audiences=("x",), algorithms=("RS256",), types=("JWT",), jwks=None
    )
    faults = faults_of(
        replace(_GATEWAY, own_issuers=(own,)), settings=f'[[issuers]]\n{settings}\njwks_url = "https://idp.example/set"'
    )
    assert list(faults) == [path]
    assert "the preset 'api-gateway'" in faults[path]


def test_faults_of_variables_come_through_and_addresses_wait_for_sound_settings() -> None:
    fault: Fault = ("API_PORT", "is 'x', and must be a port")
    found = check_presets([replace(_CHAIN, faults=(fault,), listen=("0.0.0.0", 1))], None, {})  # noqa: S104 - as above
    assert found == [fault]

"""What the preset of the API gateway makes of its variables and settings: what signs, and what is said against it."""

import json
from typing import Final

import pytest
from msgspec.structs import replace

from jotgate.core.api_gateway import ApiGatewayRules, made_here, secret_kid
from jotgate.core.api_gateway_variables import read_api_gateway
from jotgate.core.issuers import SharedSecret
from jotgate.core.preset_entries import ApiGatewayEntry
from jotgate.core.presets import Preset
from jotgate.core.values import Secret
from jotgate.jose.keys import generate, signing_key_to_pem
from tests.logging_in import rsa_key

PEM: Final = signing_key_to_pem(rsa_key()).decode()
EC_PEM: Final = signing_key_to_pem(generate("ES256")).decode()


def read(entry: ApiGatewayEntry | None = None, **variables: str) -> Preset:
    return read_api_gateway(variables, {}, entry or ApiGatewayEntry())


def faults(entry: ApiGatewayEntry | None = None, **variables: str) -> dict[str, str]:
    return dict(read(entry, **variables).faults)


def test_without_any_variable_the_installations_keys_sign_with_rs256() -> None:
    preset = read()
    (own,) = preset.own_issuers
    assert (own.issuer, own.audiences, own.algorithms, own.leeway_s) == ("api-gateway", ("openai-api",), ("RS256",), 30)
    assert (own.jwks, preset.private_key) == (None, None)
    assert preset.tables == {"keys": {"algorithm": "RS256"}}, "a new installation makes such keys"
    assert (preset.listen, preset.rules) == (("127.0.0.1", 3000), ApiGatewayRules("RS256"))
    assert (preset.faults, preset.warnings, preset.missing) == ((), (), ())


@pytest.mark.parametrize("text", [PEM, PEM.replace("\n", "\\n"), f"\n{PEM}\n"])
def test_a_private_key_in_the_environment_signs_in_their_place(text: str) -> None:
    preset = read(JWT_PRIVATE_KEY=text)
    (own,) = preset.own_issuers
    assert own.jwks is not None
    assert [one["kid"] for one in json.loads(own.jwks)["keys"]] == [rsa_key().kid]
    assert b'"d"' not in own.jwks
    assert preset.private_key is not None
    assert preset.tables == {}, "the installation's own keys stay what they are"
    (warning,) = preset.warnings
    assert "which nothing replaces by itself" in warning
    assert "PRIVATE" not in repr(preset).replace("JWT_PRIVATE_KEY", "")


def test_another_algorithm_is_a_setting() -> None:
    es256 = ApiGatewayEntry(algorithm="ES256")
    assert read(es256).tables == {"keys": {"algorithm": "ES256"}}
    assert read(es256).own_issuers[0].algorithms == ("ES256",)
    assert read(es256, JWT_PRIVATE_KEY=EC_PEM).faults == ()
    hs256 = read(ApiGatewayEntry(algorithm="HS256"), JWT_SECRET="s" * 40, JWT_PRIVATE_KEY=PEM)
    assert (hs256.own_issuers, hs256.private_key) == ((), None)
    assert hs256.tables == {
        "issuers": [{"name": "api-gateway", "profile": "api-gateway", "secret_env": "JWT_SECRET"}]
    }, "so that its strength is looked at as that of any issuer's"
    assert "can make them too" in hs256.warnings[0]


@pytest.mark.parametrize(
    ("entry", "variables", "variable", "fault"),
    [
        (ApiGatewayEntry(), {"JWT_PRIVATE_KEY": "hush"}, "JWT_PRIVATE_KEY", "openssl pkcs8 -topk8 -nocrypt"),
        (ApiGatewayEntry(), {"JWT_PRIVATE_KEY": EC_PEM}, "JWT_PRIVATE_KEY", "set api_gateway.algorithm"),
        (ApiGatewayEntry(algorithm="ES256"), {"JWT_PRIVATE_KEY": PEM}, "JWT_PRIVATE_KEY", "cannot sign with ES256"),
        (ApiGatewayEntry(private_key_env="MINE"), {"MINE": "hush"}, "MINE", "cannot sign with RS256"),
        (ApiGatewayEntry(algorithm="HS256"), {}, "JWT_SECRET", "make one with: openssl rand -hex 32"),
        (ApiGatewayEntry(algorithm="HS256", secret_env="MINE"), {}, "MINE", "is missing"),
        (
            ApiGatewayEntry(algorithm="HS256", listen="10.0.0.1:3000"),
            {"JWT_SECRET": "my-secret-key-my-secret-key-my-secret-key"},
            "JWT_SECRET",
            "can be guessed, and others than this machine reach this preset",
        ),
        (ApiGatewayEntry(), {"PORT": "http"}, "PORT", "must be a port"),
        (ApiGatewayEntry(listen="nowhere"), {}, "api_gateway.listen", 'such as "127.0.0.1:3000"'),
    ],
)
def test_what_cannot_be_is_a_fault_that_says_what_to_do(
    entry: ApiGatewayEntry, variables: dict[str, str], variable: str, fault: str
) -> None:
    found = faults(entry, **variables)
    assert found.keys() == {variable}
    assert fault in found[variable]
    assert "hush" not in found[variable]


def test_each_secret_that_is_read_can_be_given_another_name() -> None:
    assert read().secret_variables == {"JWT_PRIVATE_KEY": "api_gateway.private_key_env"}
    hs256 = ApiGatewayEntry(algorithm="HS256", secret_env="MINE")
    assert read(hs256, MINE="s" * 40).secret_variables == {"MINE": "api_gateway.secret_env"}


def test_the_kid_of_a_secret_changes_with_it_and_is_no_digest_of_it() -> None:
    one, other = Secret("a" * 40), Secret("b" * 40)
    assert secret_kid(one) == secret_kid(one) != secret_kid(other)
    (own,) = read().own_issuers
    own = made_here(own, "https://gate.example")
    assert own.installation == "https://gate.example"
    shared = made_here(replace(own, secrets=(SharedSecret(one, "HS256"),)), "https://gate.example")
    assert [secret.kid for secret in shared.secrets] == [secret_kid(one)]

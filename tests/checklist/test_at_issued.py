"""Rows AT-01, AT-02, AT-04 to AT-07 and AT-11 of the token checklist (RFC 9068), of tokens that /oauth/token issues.

Of AT-11, what is said of a person's authentication comes with people.
"""

import json
from typing import Final

import pytest

from jotgate.core.accounts import Role, TenantRecord
from jotgate.core.key_checks import SIGNING_ALGORITHMS
from jotgate.core.resources import admin_resource
from jotgate.jose.encoding import b64url_decode
from jotgate.jose.keys import generate
from jotgate.store_ports import Store
from tests.callers import NAME, NOW_S
from tests.token_stage import FILES, TokenStage, client, principal

ADMIN: Final = admin_resource(NAME)


@pytest.fixture
def stage() -> TokenStage:
    found = TokenStage()
    found.put(client())
    return found


def header_of(token: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(b64url_decode(token.partition(".")[0].encode()))
    return found


def test_AT_01_tokens_are_signed(stage: TokenStage) -> None:
    token = stage.token()
    assert header_of(token)["alg"] == "ES256"
    stage.claims(token)


def test_AT_02_RS256_is_there_for_both_sides() -> None:
    assert "RS256" in SIGNING_ALGORITHMS
    stage = TokenStage(key=generate("RS256"))
    stage.put(client())
    token = stage.token()
    assert header_of(token)["alg"] == "RS256"
    assert stage.claims(token)["sub"] == "ci"


def test_AT_04_every_claim_that_must_be_there_is_there(stage: TokenStage) -> None:
    token = stage.token()
    assert header_of(token)["typ"] == "at+jwt"
    claims = stage.claims(token)
    assert {"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} <= claims.keys()
    assert (claims["iss"], claims["aud"], claims["iat"], claims["exp"]) == (NAME, NAME, NOW_S, NOW_S + 3_600)
    assert stage.claims(stage.token())["jti"] != claims["jti"]


def test_AT_04_a_token_lives_as_long_as_its_client_says(stage: TokenStage) -> None:
    stage.put(client(access_ttl_s=60))
    answer = stage.ask().json()
    claims = stage.claims(answer["access_token"])
    assert (answer["expires_in"], claims["exp"] - claims["iat"]) == (60, 60)


def test_AT_05_without_a_resource_owner_the_subject_is_the_client(stage: TokenStage) -> None:
    claims = stage.claims(stage.token(sub="alice", subject="alice"))
    assert (claims["sub"], claims["client_id"]) == ("ci", "ci")


def test_AT_05_no_client_has_the_name_of_a_principal(store: Store) -> None:
    """So that nobody reads the subject of the one as the other."""
    assert store.put_account(principal("alice")) is not None
    assert store.put_account(client("alice")) is None
    assert store.put_account(client("ci")) is not None
    assert store.put_account(principal("ci")) is None


def test_AT_06_the_resource_is_the_audience_and_there_is_a_default(stage: TokenStage) -> None:
    assert stage.claims(stage.token())["aud"] == NAME
    stage.put(client(audiences=(NAME, FILES)))
    assert stage.claims(stage.token())["aud"] == NAME
    assert stage.introspect(stage.token(resource=FILES))["aud"] == FILES


def test_AT_07_the_scope_is_in_the_token_and_in_the_answer(stage: TokenStage) -> None:
    stage.put(client(scopes=("ai", "metrics")))
    for asked, granted in (("metrics", "metrics"), ("metrics ai", "metrics ai"), ("", "ai metrics")):
        answer = stage.ask(scope=asked).json()
        assert (answer["scope"], stage.claims(answer["access_token"])["scope"]) == (granted, granted)


def test_AT_07_scopes_fit_the_audience(stage: TokenStage) -> None:
    stage.put(client(scopes=("ai", "admin:*"), audiences=(NAME, ADMIN)))
    assert stage.ask().json()["scope"] == "ai"
    assert stage.introspect(stage.token(scope="admin:read"))["aud"] == ADMIN
    assert stage.ask(scope="ai admin:read").json()["error"] == "invalid_scope"
    assert stage.ask(scope="ai", resource=ADMIN).json()["error"] == "invalid_scope"


def test_AT_11_roles_are_names_and_only_those_that_the_tenant_has(store: Store) -> None:
    stage = TokenStage(store)
    stage.put(TenantRecord(name="team", roles=(Role("reader", ("models",), ("a",)),)))
    stage.put(client(tenant="team", roles=("reader",), scopes=()))
    claims = stage.claims(stage.token())
    assert (claims["tenant"], claims["roles"], claims["scope"], claims["models"]) == (
        "team",
        ["reader"],
        "models",
        ["a"],
    )
    stage.put(client(tenant="team", roles=("reader", "gone"), scopes=()))
    assert stage.claims(stage.token())["roles"] == ["reader"]
    stage.put(TenantRecord(name="team"))
    assert stage.ask().json()["error"] == "invalid_scope"

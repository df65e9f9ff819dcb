"""A Casdoor's access tokens are taken in all its formats, and nothing else that it signs with the same key."""

from collections.abc import Mapping
from typing import Final

import pytest

from jotgate.errors import Code, JotgateError
from jotgate.jose import jwt
from jotgate.jose.keys import KeySet, generate
from jotgate.services.verifier import Verifier
from tests.callers import NOW_S
from tests.issuers import verifier_of

KEY: Final = generate("RS256")
CLIENT: Final = "a3f0c1d2e4b5968778"
ENTRY: Final = f"""
[[issuers]]
name = "casdoor"
profile = "casdoor"
issuer = "https://door.example"
audiences = ["{CLIENT}"]
claims = {{ scopes = "" }}
default_scopes = ["ai"]
"""
STANDARD: Final[Mapping[str, object]] = {
    "iss": "https://door.example",
    "sub": "1a2b3c4d-uuid",
    "aud": [CLIENT],
    "azp": CLIENT,
    "exp": NOW_S + 3600,
    "nbf": NOW_S,
    "iat": NOW_S,
    "jti": "admin/9f8e7d6c",
    "tokenType": "access-token",
    "scope": "openid profile",
    "preferred_username": "joe",
    "name": "Joe Public",
    "email": "joe@example.com",
}
WHOLE: Final[Mapping[str, object]] = {
    **STANDARD,
    "owner": "acme",
    "name": "joe",
    "id": "1a2b3c4d-uuid",
    "isAdmin": False,
    "isForbidden": False,
    "isDeleted": False,
    "groups": ["acme/dev"],
    "roles": [{"owner": "acme", "name": "writer", "isEnabled": True}, {"owner": "acme", "name": "reader"}],
    "permissions": [{"owner": "acme", "name": "p"}],
    "properties": {},
}
EMPTY: Final[Mapping[str, object]] = {**STANDARD, "owner": "acme", "name": "joe", "displayName": "Joe", "isAdmin": True}
CUSTOM: Final[Mapping[str, object]] = {name: value for name, value in STANDARD.items() if name != "email"}


def verifier(text: str = ENTRY) -> Verifier:
    return verifier_of(text, None, {"casdoor": KeySet([KEY.verification_key]).to_jwks()})


def token(claims: Mapping[str, object], **changes: object) -> bytes:
    return jwt.sign({**claims, **changes}, "JWT", KEY)


@pytest.mark.parametrize("claims", [WHOLE, EMPTY, STANDARD, CUSTOM], ids=["JWT", "Empty", "Standard", "Custom"])
def test_each_token_format_is_taken(claims: Mapping[str, object]) -> None:
    found = verifier().verify(token(claims), NOW_S)
    assert (found.subject, found.client_id, found.token_id) == ("1a2b3c4d-uuid", CLIENT, "admin/9f8e7d6c")
    assert found.tenant == claims.get("owner", "")
    assert found.roles == ({"writer", "reader"} if claims is WHOLE else frozenset())
    assert found.scopes == {"ai"}
    assert found.models is None


def test_the_user_s_name_may_be_the_subject_where_the_format_has_it() -> None:
    named = ENTRY.replace('scopes = ""', 'scopes = "", subject = ["owner", "name"]')
    assert verifier(named).verify(token(WHOLE), NOW_S).subject == "acme/joe"
    with pytest.raises(JotgateError) as caught:
        verifier(named).verify(token(STANDARD), NOW_S)
    assert caught.value.code is Code.CLAIM_REFUSED


@pytest.mark.parametrize(
    "changes",
    [
        {"tokenType": "refresh-token"},
        {"tokenType": "id-token"},
        {"tokenType": "Access-Token"},
        {"tokenType": None},
        {"tokenType": True},
        {"tokenType": ["access-token"]},
        {"TokenType": "refresh-token"},
        {"TokenType": True},
        {"isForbidden": True},
        {"isForbidden": "false"},
        {"isForbidden": 0},
        {"isDeleted": True},
        {"isDeleted": 1},
        {"aud": ["another-client"]},
        {"aud": [CLIENT + "-org-acme"]},
        {"iss": "https://door.example/"},
        {"roles": [{"owner": "acme"}]},
        {"roles": [{"name": ["admin"]}]},
        {"owner": {"name": "acme"}},
        {"exp": NOW_S - 3600, "iat": NOW_S - 7200, "nbf": NOW_S - 7200},
    ],
)
def test_whatever_else_it_signs_is_refused(changes: Mapping[str, object]) -> None:
    with pytest.raises(JotgateError) as caught:
        verifier().verify(token(WHOLE, **changes), NOW_S)
    assert caught.value.code in {Code.CLAIM_REFUSED, Code.TOKEN_EXPIRED}


@pytest.mark.parametrize("name", ["tokenType", "aud", "exp", "iat", "jti", "sub"])
def test_what_each_of_its_tokens_has_is_demanded(name: str) -> None:
    claims = {member: value for member, value in WHOLE.items() if member != name}
    with pytest.raises(JotgateError) as caught:
        verifier().verify(token(claims), NOW_S)
    assert caught.value.code is Code.CLAIM_REFUSED


def test_a_token_type_that_says_the_same_is_taken() -> None:
    assert verifier().verify(token(WHOLE, TokenType="access-token", isForbidden=None), NOW_S).tenant == "acme"


def test_without_more_settings_a_token_may_do_what_its_scope_says() -> None:
    plain = ENTRY.replace('claims = { scopes = "" }\ndefault_scopes = ["ai"]\n', "")
    assert verifier(plain).verify(token(WHOLE), NOW_S).scopes == {"openid", "profile"}
    assert verifier(plain).verify(token(WHOLE, scope="ai"), NOW_S).scopes == {"ai"}

"""A token of the API gateway's face has the document's eight claims, and a `jti` that says what it came of."""

from typing import Final

import pytest

from jotgate.core.api_gateway_tokens import LOGIN_TOKEN, login_claims, name_token, read_name
from jotgate.core.claims import AccessGrant
from jotgate.core.logins import Login
from tests.documents.excerpts import excerpt

NOW_S: Final = 1_800_000_000.9
FAMILY: Final = "0f" * 16
GRANT: Final = AccessGrant(
    subject="user_123",
    client_id="back.end-1",
    scopes=(),
    audiences=("openai-api",),
    ttl_s=3_600,
    roles=("user", "api_access"),
    family=FAMILY,
    login=Login(face="api-gateway", name="John Doe", email="john@example.com"),
)


def test_the_claims_are_those_that_the_document_signs_in_its_order_and_a_jti() -> None:
    claims = login_claims(GRANT, "https://gate.example", "id", NOW_S)
    assert claims == {
        "sub": "user_123",
        "name": "John Doe",
        "email": "john@example.com",
        "roles": ["user", "api_access"],
        "iat": 1_800_000_000,
        "exp": 1_800_003_600,
        "iss": "api-gateway",
        "aud": "openai-api",
        "jti": "id",
    }
    text = excerpt("003", 86)
    places = [text.index(f"{name}:") for name in list(claims)[:-1]]
    assert places == sorted(places)
    assert LOGIN_TOKEN.typ == "JWT"


def test_what_is_not_known_of_a_person_has_no_claim() -> None:
    grant = AccessGrant(subject="a", client_id="b", scopes=(), audiences=(), ttl_s=1, login=Login(face="api-gateway"))
    claims = login_claims(grant, "", "id", NOW_S)
    assert claims.keys() == {"sub", "roles", "iat", "exp", "iss", "aud", "jti"}
    assert claims["roles"] == []


def test_the_family_and_the_client_are_read_out_of_the_jti() -> None:
    name = name_token(bytes(range(16)), GRANT)
    assert name == f"000102030405060708090a0b0c0d0e0f:{FAMILY}:back,end-1"
    assert read_name(name) == (FAMILY, "back.end-1")


@pytest.mark.parametrize(
    "name",
    [
        None,
        "",
        "id",
        "a:b:c",
        f"{'0' * 32}:{FAMILY}:",
        f"{'0' * 32}:{FAMILY}",
        f"{'0' * 31}:{FAMILY}:a",
        f"x:{FAMILY}:a",
    ],
)
def test_a_jti_that_was_made_elsewhere_names_neither(name: str | None) -> None:
    assert read_name(name) == ("", "")

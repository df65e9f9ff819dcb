"""Users of the Kong auth service: who a token of Casdoor says that they are, and which names Kong is told."""

from typing import Final

import pytest
from msgspec.structs import replace

from jotgate.core.issuers import ClaimMapping, Condition, Issuer
from jotgate.core.kong_auth import KongUser, check_token_name, default_name, further_name, let_in, name_fault, read_user
from jotgate.errors import ClaimRefused, RequestMalformed
from jotgate.testing.casdoor import CasdoorServer
from jotgate.testing.casdoor_values import FORMATS, TokenFormat

NOON_S: Final = 1_800_000_000.0
ID: Final = "6a0d5f1c-8f0e-4a52-9d0c-2f6f1a1b2c3d"
PLAIN: Final = ("john_doe", "a", "x" * 128, "john@example.com", "a+b-c.d", "\u0639\u0644\u06cc", "\u00e9")


@pytest.mark.parametrize("form", FORMATS)
def test_a_user_is_the_same_in_every_format_of_token(form: TokenFormat) -> None:
    casdoor = CasdoorServer()
    user = casdoor.change("sharif/admin", display_name="The Admin", email="admin@sharif.example")
    found = read_user(casdoor.claims(user, "access-token", form))
    assert (found.subject, found.name, found.organization) == (user.subject, "admin", "sharif")
    if form != "JWT-Custom":
        assert (found.display_name, found.email) == ("The Admin", "admin@sharif.example")
    assert found.roles == (("admin",) if form in ("JWT", "JWT-Custom") else ())


def test_what_a_user_likes_to_be_called_is_no_name() -> None:
    """`name` alone is the display name in tokens of OpenID Connect's names, and anybody's to choose."""
    with pytest.raises(ClaimRefused, match="does not say by which name"):
        read_user({"sub": "1", "name": "admin"})
    chosen = {"sub": "1", "owner": "sharif", "name": "admin", "preferred_username": "mallory"}
    assert read_user(chosen) == KongUser(subject="1", name="mallory", display_name="admin", organization="sharif")


@pytest.mark.parametrize(
    "name",
    ["", "..", ".", "a/b", "..%2Fconsumers", "a b", "a?b", "a#b", "a\\b", "a\n", "x" * 129, "a;b", "e\u0301"],
)
def test_a_name_that_means_something_in_a_path_is_none(name: str) -> None:
    assert name_fault(name)
    with pytest.raises(RequestMalformed, match="'token_name' "):
        check_token_name(name)
    with pytest.raises(ClaimRefused):
        read_user({"sub": "1", "owner": "sharif", "name": name})


@pytest.mark.parametrize("name", [ID, ID.upper().replace("-", ""), ID.replace("-", "", 1)])
def test_a_name_that_kong_would_take_for_an_id_is_none(name: str) -> None:
    assert name_fault(name)


@pytest.mark.parametrize("name", PLAIN)
def test_names_of_people_are_names(name: str) -> None:
    assert name_fault(name) == ""
    assert check_token_name(name) == name


def test_names_that_are_made_are_the_documents() -> None:
    assert default_name("john_doe", NOON_S) == "john_doe_token_20270115_080000"
    assert default_name("john_doe", NOON_S, auto=True) == "john_doe_auto_token_20270115_080000"
    assert further_name("mine", NOON_S, bytes(range(10))) == "mine_080000_00010203"


def test_users_of_one_organization_alone_are_let_in() -> None:
    issuer = Issuer(
        name="casdoor",
        issuer="https://casdoor.example",
        audiences=("me",),
        algorithms=("RS256",),
        types=("JWT",),
        jwks=None,
    )
    assert let_in(issuer, "sharif").equal == (*issuer.equal, Condition(("owner",), "sharif", optional=True))
    named = replace(issuer, mapping=ClaimMapping(subject=(("owner",), ("name",)), client=("azp",)))
    assert let_in(named, "sharif").mapping == ClaimMapping(client=("azp",)), "a user is who 'sub' says"


def test_permissions_that_are_none_are_passed_over() -> None:
    claims = {"sub": "1", "owner": "o", "name": "n", "permissions": [{"name": "p"}, "q", 7, {"name": ""}, None]}
    assert read_user(claims).permissions == ("p", "q")
    assert read_user({**claims, "permissions": "all"}).permissions == ()

"""What a backend may say of whoever has logged in, and what is refused before anything is signed."""

import pytest

from jotgate.core.logins import Login, LoginRequest, read_login
from jotgate.core.opaque import Mark, make_opaque
from jotgate.errors import OAuthMalformed

JOHN = {"sub": "user_123", "name": "John Doe", "email": "john@example.com", "roles": ["user", "api_access"]}


def refusal(**members: object) -> str:
    with pytest.raises(OAuthMalformed) as caught:
        read_login({**JOHN, **members})
    return caught.value.message


def test_the_documents_user_is_read() -> None:
    read = read_login({**JOHN, "client_id": "backend", "client_secret": "s"})
    assert read == LoginRequest(
        subject="user_123", name="John Doe", email="john@example.com", roles=("user", "api_access")
    )


def test_all_but_the_subject_may_be_left_out() -> None:
    assert read_login({"sub": "a"}) == LoginRequest(subject="a")
    assert read_login({"sub": "a", "name": None, "email": None, "roles": None}) == LoginRequest(subject="a")
    assert read_login({"sub": "a", "roles": ["b", "a", "b"]}).roles == ("b", "a")


def test_a_name_for_people_may_have_what_a_subject_may_not() -> None:
    family = "👨‍👩‍👧 Müller"  # It has joiners, which are not printable.
    assert read_login({**JOHN, "name": family}).name == family
    assert "'sub' is not a text" in refusal(sub=family)


@pytest.mark.parametrize("value", ["", " a", "a ", "a\nb", "a\x00", "\ud800", "a" * 257, 7, None, ["a"]])
def test_a_subject_is_a_plain_name(value: object) -> None:
    assert "'sub' is not a text of 1 to 256 printable characters" in refusal(sub=value)


@pytest.mark.parametrize("name", ["name", "email"])
@pytest.mark.parametrize("value", ["", "a\nb", "a\x7fb", "\udc00", "a" * 257, 7, ["a"]])
def test_name_and_email_are_texts_without_controls(name: str, value: object) -> None:
    assert f"'{name}' is not a text" in refusal(**{name: value})


@pytest.mark.parametrize("value", ["admin", {"a": 1}, [7], [""], ["a\n"], [["a"]], ["r"] * 65])
def test_roles_are_a_short_array_of_names(value: object) -> None:
    assert "'roles' is not an array" in refusal(roles=value)


@pytest.mark.parametrize("name", ["exp", "iss", "aud", "scope", "role", "jti"])
def test_nothing_else_can_be_put_into_a_token(name: str) -> None:
    assert f"'{name}' of the body means nothing here" in refusal(**{name: "a"})
    assert "<" not in refusal(**{"<b>": "a"})


@pytest.mark.parametrize("name", ["sub", "name", "email", "roles"])
def test_no_token_or_secret_gets_into_a_token(name: str) -> None:
    secret = make_opaque(Mark.CLIENT_SECRET, bytes(range(32))).reveal()
    said = refusal(**{name: [secret] if name == "roles" else secret})
    assert f"'{name}' holds a token or secret" in said
    assert secret not in said


def test_whoever_logs_in_stands_in_no_log_by_accident() -> None:
    assert "John" not in repr(read_login(JOHN))
    assert "John" not in repr(Login(face="api-gateway", name="John Doe", email="john@example.com"))

"""A token or secret in the place of a name or an identifier is refused, with what to do, and never repeated."""

import pytest

from jotgate.core.misplaced import check_identifiers, holds_token
from jotgate.core.opaque import OPAQUE_BYTES, Mark, make_opaque
from jotgate.core.personal_tokens import PersonalOrder
from jotgate.core.token_orders import TokenOrder
from jotgate.errors import CommandError

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2ln"
TOKENS = {
    "jotgate pat revoke": make_opaque(Mark.PERSONAL, bytes(range(OPAQUE_BYTES))).reveal(),
    "--family": make_opaque(Mark.REFRESH, bytes(range(OPAQUE_BYTES))).reveal(),
    "jotgate client rotate-secret": make_opaque(Mark.CLIENT_SECRET, bytes(range(OPAQUE_BYTES))).reveal(),
    "claim 'jti'": JWT,
}


@pytest.mark.parametrize(("advice", "token"), TOKENS.items())
@pytest.mark.parametrize("around", ["{}", "Bearer {}", "{}\n", "x{}"])
def test_each_form_is_refused_with_what_to_do_and_is_not_repeated(advice: str, token: str, around: str) -> None:
    text = around.format(token)
    assert holds_token(text)
    with pytest.raises(CommandError) as caught:
        check_identifiers(["0f", text])
    assert advice in caught.value.hint
    assert token[6:] not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("text", ["6f1d0c52a9e84b7f93d20b5e7ac41866", "a.b.c", "https://id.example/u", "jot_team", ""])
def test_an_identifier_is_none_of_them(text: str) -> None:
    assert not holds_token(text)
    check_identifiers([text])


@pytest.mark.parametrize("token", TOKENS.values())
@pytest.mark.parametrize("issuer", ["", "jotgate"])
def test_no_revocation_is_ordered_by_a_token(token: str, issuer: str) -> None:
    with pytest.raises(CommandError, match="a token or secret does not belong here"):
        TokenOrder(token_ids=("0f", token), issuer=issuer, confirmed=True)
    with pytest.raises(CommandError, match="a token or secret does not belong here"):
        TokenOrder(token_ids=("0f",), issuer=issuer, reason=f"lost {token}")


@pytest.mark.parametrize("token", TOKENS.values())
def test_no_token_is_taken_for_an_issuer(token: str) -> None:
    with pytest.raises(CommandError, match="a token or secret does not belong here"):
        TokenOrder(token_ids=("0f",), issuer=token)


def test_a_jws_with_any_header_is_a_token() -> None:
    with pytest.raises(CommandError, match="a token or secret does not belong here"):
        TokenOrder(token_ids=("IHs.e30.c2ln",))


@pytest.mark.parametrize(
    ("subject", "name"), [("alice", TOKENS["jotgate pat revoke"]), (TOKENS["jotgate pat revoke"], "ci")]
)
def test_no_personal_token_is_called_by_its_text(subject: str, name: str) -> None:
    with pytest.raises(CommandError, match="a token or secret does not belong here"):
        PersonalOrder(action="revoke", subject=subject, name=name)

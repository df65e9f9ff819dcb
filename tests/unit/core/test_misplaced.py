"""A token or secret in the place of a name or an identifier is refused, with what to do, and never repeated."""

import pytest

from jotgate.core.durable import Revocation, RevocationKind
from jotgate.core.misplaced import check_identifiers, holds_token
from jotgate.core.opaque import OPAQUE_BYTES, Mark, make_opaque
from jotgate.core.personal_tokens import PersonalOrder
from jotgate.core.revocations import token_handle
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


@pytest.mark.parametrize("token", ["IHt9.e30.c2ln", "Bearer IHt9.e30.c2ln", "IHt9.a.b.c.d", "x.IHt9.e30.c2ln"])
def test_a_jws_with_any_header_is_a_token(token: str) -> None:
    with pytest.raises(CommandError, match="a token or secret does not belong here"):
        TokenOrder(token_ids=(token,), issuer="corp")


@pytest.mark.parametrize(
    "token_id", ["a.b.c", "1700000000.42.7", "eyJpZCI6MX0.abc", "x" * 3_000, "urn:example:a.b.c:d", "W10.e30.c2ln"]
)
def test_whatever_is_no_whole_token_may_be_the_identifier_of_another_issuers(token_id: str) -> None:
    order = TokenOrder(token_ids=(token_id,), issuer="corp", confirmed=True)
    Revocation(RevocationKind.TOKEN, token_handle("https://corp.example", order.token_ids[0]), 1)


def test_identifiers_of_our_own_are_short_and_plain() -> None:
    for token_id in ("x" * 257, "eyJpZCI6MX0.abc"):
        with pytest.raises(CommandError):
            TokenOrder(token_ids=(token_id,))
    with pytest.raises(CommandError, match="longer than 4096 characters"):
        TokenOrder(token_ids=("x" * 4_097,), issuer="corp")


@pytest.mark.parametrize(
    ("subject", "name"), [("alice", TOKENS["jotgate pat revoke"]), (TOKENS["jotgate pat revoke"], "ci")]
)
def test_no_personal_token_is_called_by_its_text(subject: str, name: str) -> None:
    with pytest.raises(CommandError, match="a token or secret does not belong here"):
        PersonalOrder(action="revoke", subject=subject, name=name)

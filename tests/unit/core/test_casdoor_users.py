"""What Casdoor says of a user who asks for a token: only a plain yes is one."""

import json
from typing import Any, Final

import pytest

from jotgate.core.casdoor_users import CasdoorPlace, ask_for, check_standing
from jotgate.core.kong_auth import KongUser
from jotgate.core.token_exchange import Answered, Unanswered
from jotgate.core.values import Secret
from jotgate.errors import ClaimRefused, IssuerUnavailable, JotgateError, TokenRevoked

USER: Final = KongUser(subject="a1 b&c", name="alice")
RECORD: Final[dict[str, Any]] = {
    "id": USER.subject,
    "owner": "sharif",
    "name": "renamed",
    "isForbidden": False,
    "isDeleted": False,
}


def answered(members: object, status: int = 200) -> Answered:
    return Answered(status, Secret(members if isinstance(members, str) else json.dumps(members)))


def told(**changes: object) -> Answered:
    """A record with these members; None takes one out."""
    record = {name: value for name, value in {**RECORD, **changes}.items() if value is not None}
    return answered({"status": "ok", "msg": "", "data": record, "data2": None})


def test_it_is_asked_by_id_in_the_organization_with_the_users_own_token() -> None:
    post = ask_for(CasdoorPlace("https://casdoor.example/", "sharif", "PEM", True), USER, Secret("t.o.k"))
    assert post.url == "https://casdoor.example/api/get-user?owner=sharif&userId=a1+b%26c"
    assert post.authorization is not None
    assert (post.method, post.authorization.reveal(), post.body.reveal()) == ("GET", "Bearer t.o.k", "")
    assert (post.reach.roots, post.public_only) == ("PEM", True)
    assert "t.o.k" not in repr(post)


def test_a_record_of_the_user_who_may_log_in_is_a_yes() -> None:
    check_standing(told(), "sharif", USER)


NO: Final = {"status": "error", "msg": "Access token doesn't exist in database", "data": None}


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        (answered(NO, 403), TokenRevoked),
        (answered(NO), TokenRevoked),
        (answered("<html>", 403), TokenRevoked),
        (answered("", 401), TokenRevoked),
        (told(isForbidden=True), ClaimRefused),
        (told(isDeleted=True), ClaimRefused),
        (answered({"status": "ok", "msg": "", "data": None}), ClaimRefused),
        (Unanswered("there is no connection to it"), IssuerUnavailable),
        (answered(NO, 500), IssuerUnavailable),
        (answered("", 302), IssuerUnavailable),
        (answered("<html>"), IssuerUnavailable),
        (answered("[]"), IssuerUnavailable),
        (answered({"status": "ok"}), IssuerUnavailable),
        (answered({"data": RECORD}), IssuerUnavailable),
        (answered({"status": "ok", "data": [RECORD]}), IssuerUnavailable),
        (told(id="another"), IssuerUnavailable),
        (told(id=None), IssuerUnavailable),
        (told(owner="other"), IssuerUnavailable),
        (told(isForbidden=None), IssuerUnavailable),
        (told(isDeleted=0), IssuerUnavailable),
        (told(isForbidden="false"), IssuerUnavailable),
    ],
)
def test_everything_else_is_a_no_or_no_answer(answer: Answered | Unanswered, refusal: type[JotgateError]) -> None:
    with pytest.raises(JotgateError) as raised:
        check_standing(answer, "sharif", USER)
    assert type(raised.value) is refusal
    assert raised.value.hint


def test_what_casdoor_says_is_for_the_operator_and_short() -> None:
    said = {"status": "error", "msg": "no\r\n" + "x" * 900}
    with pytest.raises(TokenRevoked) as raised:
        check_standing(answered(said), "sharif", USER)
    assert (raised.value.debug[:4], len(raised.value.debug)) == ("no x", 200)

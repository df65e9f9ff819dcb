"""Logging in on another device: what is read of the answers, and when it is asked again (RFC 8628)."""

import json
from typing import Final

import pytest

from jotgate.core.device_login import DeviceCode, Polls, begin_polls, poll_on, read_device_code
from jotgate.core.login_answers import Refused
from jotgate.core.values import Secret

ANSWER: Final = {
    "device_code": "device-secret",
    "user_code": "ABCD-EFGH",
    "verification_uri": "https://www.coze.com/open/oauth/device",
    "expires_in": 300,
    "interval": 5,
}
PENDING: Final = Refused("authorization_pending")


def read(**changed: object) -> DeviceCode | Refused:
    return read_device_code(200, json.dumps(ANSWER | changed).encode())


def code(**changed: object) -> DeviceCode:
    found = read(**changed)
    assert isinstance(found, DeviceCode)
    return found


def test_an_answer_is_read_whole() -> None:
    assert code() == DeviceCode(
        device_code=Secret("device-secret"),
        user_code="ABCD-EFGH",
        page="https://www.coze.com/open/oauth/device",
        whole_page="https://www.coze.com/open/oauth/device?user_code=ABCD-EFGH",
        lives_s=300,
        interval_s=5,
    )
    assert "device-secret" not in repr(code())


def test_the_page_with_the_code_is_taken_where_it_is_named() -> None:
    whole = "https://www.coze.com/device?c=1"
    assert code(verification_uri_complete=whole).whole_page == whole
    assert code(verification_uri_complete="javascript:alert(1)").whole_page.endswith("?user_code=ABCD-EFGH")
    assert code(verification_uri="https://x.example/?a=b").whole_page == "https://x.example/?a=b&user_code=ABCD-EFGH"


def test_times_that_are_missing_or_mad_are_the_usual_ones() -> None:
    mad_ones: tuple[object, ...] = (None, "5", 0, -1, True, [])
    for mad in mad_ones:
        found = code(interval=mad, expires_in=mad)
        assert (found.interval_s, found.lives_s) == (5, 300)
    assert (code(interval=9e9).interval_s, code(expires_in=9e9).lives_s) == (30, 1_800)


@pytest.mark.parametrize(
    "changed",
    [
        {"device_code": ""},
        {"user_code": ""},
        {"user_code": "\x1b[2J"},
        {"user_code": "X" * 65},
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "http://phish.example/"},
        {"verification_uri": "https://a b/"},
        {"verification_uri": "file:///etc/passwd"},
    ],
)
def test_what_may_not_be_shown_or_opened_begins_no_login(changed: dict[str, object]) -> None:
    found = read(**changed)
    assert isinstance(found, Refused)
    assert found.error == "invalid_answer"


def test_a_page_of_this_machine_may_be_plain() -> None:
    assert code(verification_uri="http://127.0.0.1:8000/d").page == "http://127.0.0.1:8000/d"


def test_a_refusal_is_told() -> None:
    answer = json.dumps({"error_code": "invalid_client", "error_message": "no such app"}).encode()
    assert read_device_code(400, answer) == Refused("invalid_client", "no such app")


def test_it_is_asked_each_interval_until_the_code_has_ended() -> None:
    polls = begin_polls(code(expires_in=12), 100.0)
    assert polls == Polls(5, 112.0)
    assert poll_on(polls, PENDING, 105.0) == polls
    ended = poll_on(polls, PENDING, 110.0)
    assert ended == Refused("expired_token", "nobody has used the code in time")


def test_slow_down_is_five_seconds_more_from_then_on_and_at_most_thirty() -> None:
    polls = Polls(5, 1e9)
    for interval_s in (10, 15, 20, 25, 30, 30):
        found = poll_on(polls, Refused("slow_down"), 0.0)
        assert isinstance(found, Polls)
        polls = found
        assert polls.interval_s == interval_s
    assert poll_on(polls, PENDING, 0.0) == polls


def test_where_nobody_answers_it_is_asked_half_as_often() -> None:
    assert poll_on(Polls(5, 1e9), None, 0.0) == Polls(10, 1e9)
    assert poll_on(Polls(5, 20.0), None, 10.0) == Refused("expired_token", "nobody has used the code in time")


@pytest.mark.parametrize("error", ["access_denied", "expired_token", "invalid_client", "http_500"])
def test_any_other_no_ends_it(error: str) -> None:
    found = poll_on(Polls(5, 1e9), Refused(error), 0.0)
    assert isinstance(found, Refused)
    assert found.error == error

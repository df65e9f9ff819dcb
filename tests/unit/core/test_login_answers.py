"""What an authorization server answers to a login: yes, no, and nothing of it that should not be shown."""

import json
from typing import Final

import pytest

from jotgate.core.login_answers import Granted, Refused, plain_cause, read_granted, read_object
from jotgate.core.values import Secret

GOOD: Final = {"access_token": "czu_access", "refresh_token": "refresh", "expires_in": 1_900_000_000}


def body(**members: object) -> bytes:
    return json.dumps(members).encode()


def test_a_grant_is_its_refresh_token_and_shows_nothing_of_it() -> None:
    found = read_granted(200, body(**GOOD))
    assert found == Granted(Secret("refresh"))
    assert "refresh" not in repr(found).replace("refresh_token", "")


def test_a_refusal_is_known_by_its_words_whatever_its_status() -> None:
    """Coze answers `authorization_pending` with one status or the other."""
    pending = body(error_code="authorization_pending", error_message="wait")
    for status in (200, 400, 401):
        assert read_granted(status, pending) == Refused("authorization_pending", "wait")
    assert read_granted(400, body(error="slow_down")) == Refused("slow_down")
    assert read_granted(403, body(msg="no")) == Refused("http_403", "no")
    assert read_granted(502, b"<html>") == Refused("http_502")


@pytest.mark.parametrize(
    "answer",
    [
        body(access_token="czu_access"),
        body(**GOOD | {"refresh_token": 7}),
        body(**GOOD | {"refresh_token": "two words"}),
        body(**GOOD | {"refresh_token": "line\nbreak"}),
        body(**GOOD | {"refresh_token": "x" * 8_193}),
        body(**GOOD | {"refresh_token": "\u2603"}),
        b"[]",
        b"\xff",
        b"",
    ],
)
def test_what_cannot_be_kept_is_no_grant(answer: bytes) -> None:
    found = read_granted(200, answer)
    assert isinstance(found, Refused)
    assert found.error == "invalid_answer"


def test_a_cause_is_one_short_line_without_secrets() -> None:
    said = "bad\x1b[31m\r\nAuthorization: Bearer abcdefgh " + "x" * 999
    told = read_granted(400, body(error_code="invalid\nclient", error_message=said))
    assert isinstance(told, Refused)
    assert told.error == "http_400"
    assert told.cause.isprintable()
    assert "abcdefgh" not in told.cause
    assert len(told.said) <= 200
    assert plain_cause("refresh_token=abc&x=1") == "refresh_token=(redacted)&x=1"


def test_only_objects_have_members() -> None:
    assert (read_object(b'{"a":1}'), read_object(b"[1]"), read_object(b"{")) == ({"a": 1}, {}, {})

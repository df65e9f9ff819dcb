"""What token endpoints are asked, and what their answers are taken for."""

from base64 import b64decode
from urllib.parse import parse_qs

import msgspec
import pytest

from jotgate.core.routes import Reach
from jotgate.core.token_exchange import (
    FORM,
    JSON,
    Answered,
    Declined,
    Handout,
    NotNow,
    read_answer,
    safe_cause,
    write_post,
)
from jotgate.core.token_grants import CLIENT_ASSERTION, JWT_BEARER, GrantKind, TokenGrant
from jotgate.core.values import Secret

_NOW_S = 1_800_000_000.0
_ASSERTION = Secret("eyJ.assertion.x")


def _grant(
    kind: GrantKind, *, coze: bool = False, secret: str = "", scope: str = "", duration_s: int = 900
) -> TokenGrant:
    return TokenGrant(
        upstream="u",
        kind=kind,
        token_url="https://as.example/token",
        client_id="the client",
        dialect="coze" if coze else "form",
        client_secret=Secret(secret) if secret else None,
        scope=scope,
        duration_s=duration_s,
        timeout_s=3.0,
        reach=Reach(roots="pem"),
    )


def _answer(status: int = 200, retry_after: str = "", **members: object) -> Answered:
    return Answered(status, Secret(msgspec.json.encode(members).decode()), retry_after)


def test_coze_is_asked_in_json_with_the_jwt_for_a_bearer() -> None:
    scope = '{"account_permission":{"permission_list":["Connector.botChat"]}}'
    post = write_post(_grant("coze", coze=True, scope=scope, duration_s=1200), assertion=_ASSERTION)
    assert (post.url, post.content_type, post.timeout_s, post.reach) == (
        "https://as.example/token",
        JSON,
        3.0,
        Reach(roots="pem"),
    )
    assert msgspec.json.decode(post.body.reveal()) == {
        "grant_type": JWT_BEARER,
        "duration_seconds": 1200,
        "scope": {"account_permission": {"permission_list": ["Connector.botChat"]}},
    }
    assert post.authorization == Secret("Bearer eyJ.assertion.x")
    assert "eyJ" not in repr(post)


def test_coze_without_a_scope_is_sent_none() -> None:
    post = write_post(_grant("coze", coze=True), assertion=_ASSERTION)
    assert msgspec.json.decode(post.body.reveal()) == {"grant_type": JWT_BEARER, "duration_seconds": 900}


def test_a_refresh_token_of_coze_is_sent_in_json_with_the_secret_of_its_client() -> None:
    post = write_post(_grant("refresh-token", coze=True, secret="s"), refresh_token=Secret("r"))
    assert msgspec.json.decode(post.body.reveal()) == {
        "grant_type": "refresh_token",
        "refresh_token": "r",
        "client_id": "the client",
    }
    assert post.authorization == Secret("Bearer s")
    assert write_post(_grant("refresh-token", coze=True), refresh_token=Secret("r")).authorization is None


def test_an_assertion_is_a_grant() -> None:
    post = write_post(_grant("jwt-bearer", scope="a b"), assertion=_ASSERTION)
    assert post.content_type == FORM
    assert parse_qs(post.body.reveal()) == {
        "grant_type": [JWT_BEARER],
        "assertion": ["eyJ.assertion.x"],
        "scope": ["a b"],
    }
    assert post.authorization is None


def test_a_client_proves_itself_by_its_secret_form_encoded_before_base64() -> None:
    post = write_post(_grant("client-credentials", secret="s:/%", scope="x"))
    assert parse_qs(post.body.reveal()) == {"grant_type": ["client_credentials"], "scope": ["x"]}
    assert post.authorization is not None
    kind, _, pair = post.authorization.reveal().partition(" ")
    assert (kind, b64decode(pair)) == ("Basic", b"the+client:s%3A%2F%25")


def test_a_client_proves_itself_by_an_assertion() -> None:
    post = write_post(_grant("client-credentials"), assertion=_ASSERTION)
    assert parse_qs(post.body.reveal()) == {
        "grant_type": ["client_credentials"],
        "client_assertion_type": [CLIENT_ASSERTION],
        "client_assertion": ["eyJ.assertion.x"],
        "client_id": ["the client"],
    }


def test_a_refresh_token_is_sent_by_a_public_client_with_its_name() -> None:
    post = write_post(_grant("refresh-token"), refresh_token=Secret("r+1"))
    assert parse_qs(post.body.reveal()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["r+1"],
        "client_id": ["the client"],
    }


@pytest.mark.parametrize(
    ("expires_in", "ends_s"),
    [
        (900, _NOW_S + 900),
        ("900", _NOW_S + 900),
        (3600.5, _NOW_S + 3600.5),
        (int(_NOW_S) + 900, _NOW_S + 900),
        (None, _NOW_S + 300),
        (10**18, _NOW_S + 366 * 86_400),
    ],
    ids=["span", "text", "fraction", "time", "none", "huge"],
)
def test_expires_in_is_a_span_or_a_time_and_is_bounded(expires_in: object, ends_s: float) -> None:
    found = read_answer(
        _answer(access_token="t", token_type="bearer", expires_in=expires_in), _grant("client-credentials"), _NOW_S
    )
    assert found == Handout(Secret("t"), ends_s)


def test_a_token_of_coze_that_says_no_end_lives_as_long_as_was_asked() -> None:
    found = read_answer(_answer(access_token="t"), _grant("coze", coze=True, duration_s=1200), _NOW_S)
    assert found == Handout(Secret("t"), _NOW_S + 1200)


@pytest.mark.parametrize("expires_in", [True, "soon", [], "1e9", -5, 0, 5, 1_799_999_000])
def test_a_token_whose_end_is_no_use_is_not_taken(expires_in: object) -> None:
    found = read_answer(_answer(access_token="t", expires_in=expires_in), _grant("client-credentials"), _NOW_S)
    assert isinstance(found, Declined)


@pytest.mark.parametrize("token", ["", "two words", "é", "line\nfeed", 7, None, "x" * 16_385])
def test_what_could_not_be_sent_is_no_token(token: object) -> None:
    found = read_answer(_answer(access_token=token, expires_in=900), _grant("client-credentials"), _NOW_S)
    assert isinstance(found, Declined)
    assert "access_token" in found.cause


@pytest.mark.parametrize("kind", ["mac", "DPoP", 1])
def test_a_token_that_is_no_bearer_token_is_not_taken(kind: object) -> None:
    answered = _answer(access_token="t", token_type=kind, expires_in=900)
    assert isinstance(read_answer(answered, _grant("jwt-bearer"), _NOW_S), Declined)


def test_a_refresh_token_that_comes_along_is_kept() -> None:
    answered = _answer(access_token="t", expires_in=900, refresh_token="r2")
    assert read_answer(answered, _grant("refresh-token"), _NOW_S) == Handout(Secret("t"), _NOW_S + 900, Secret("r2"))


@pytest.mark.parametrize(
    ("answered", "found"),
    [
        (
            _answer(401, error_code="invalid_client", error_message="invalid jwt"),
            Declined("the token endpoint answered 401, invalid_client: invalid jwt", for_key=True),
        ),
        (
            _answer(400, error="invalid_grant", error_description="too old"),
            Declined("the token endpoint answered 400, invalid_grant: too old"),
        ),
        (_answer(403), Declined("the token endpoint answered 403, http_403")),
        (_answer(401), Declined("the token endpoint answered 401, http_401", for_key=True)),
        # An error may come with status 200, and it is one all the same.
        (
            _answer(200, error_code="access_deny", access_token="t", expires_in=900),
            Declined("the token endpoint answered 200, access_deny"),
        ),
        (Answered(502, Secret("<html>")), NotNow("the token endpoint answered 502, http_502", 1)),
        (_answer(429, "17", error="slow_down"), NotNow("the token endpoint answered 429, slow_down", 17)),
        (_answer(503, "999999"), NotNow("the token endpoint answered 503, http_503", 300)),
        (
            _answer(200, error_code="internal_error"),
            NotNow("the token endpoint answered 200, internal_error", 1),
        ),
    ],
)
def test_a_no_is_told_from_a_not_now(answered: Answered, found: Declined | NotNow) -> None:
    assert read_answer(answered, _grant("coze", coze=True), _NOW_S) == found


@pytest.mark.parametrize("body", ["", "[]", "null", "[" * 10_000, '{"access_token": "t"', "\ufeff{}"])
def test_what_is_no_object_is_no_token(body: str) -> None:
    assert isinstance(read_answer(Answered(200, Secret(body)), _grant("jwt-bearer"), _NOW_S), Declined)


def test_a_cause_has_nothing_of_what_was_sent() -> None:
    cause = safe_cause("refused 'hunter2' of\nthe client", (Secret("hunter2"), Secret("")))
    assert cause == "refused '(secret)' of the client"

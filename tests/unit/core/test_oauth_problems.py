"""An OAuth client is told no in the words of RFC 6749 s5.2."""

import json

import pytest

from jotgate.core.oauth_problems import render_oauth
from jotgate.errors import (
    AttemptsThrottled,
    BodyTooLarge,
    ClientNotAllowed,
    ClientRefused,
    GrantRefused,
    GrantUnsupported,
    InternalError,
    JotgateError,
    OAuthMalformed,
    ScopeRefused,
    StoreUnavailable,
    TargetRefused,
)


@pytest.mark.parametrize(
    ("error", "status", "word"),
    [
        (OAuthMalformed("a"), 400, "invalid_request"),
        (ClientRefused("a"), 401, "invalid_client"),
        (GrantRefused("a"), 400, "invalid_grant"),
        (ClientNotAllowed("a"), 400, "unauthorized_client"),
        (GrantUnsupported("a"), 400, "unsupported_grant_type"),
        (ScopeRefused("a"), 400, "invalid_scope"),
        (TargetRefused("a"), 400, "invalid_target"),
        (BodyTooLarge("a"), 413, "invalid_request"),
        (StoreUnavailable("a"), 503, "temporarily_unavailable"),
        (AttemptsThrottled("a", retry_after_s=7), 429, "temporarily_unavailable"),
        (InternalError("a"), 500, "server_error"),
    ],
)
def test_each_error_has_its_word(error: JotgateError, status: int, word: str) -> None:
    problem = render_oauth(error)
    said = json.loads(problem.body)
    assert (problem.status, said["error"], said["code"]) == (status, word, error.code)
    assert b"Cache-Control: no-store\r\n" in problem.lines
    assert (b"WWW-Authenticate: Basic " in problem.lines) is (status == 401)
    assert (b"Retry-After: 1\r\n" in problem.lines) is (status == 503)


def test_a_description_holds_no_sign_that_it_may_not() -> None:
    said = json.loads(render_oauth(GrantRefused('a "b" \\ ü\n', hint="do c", debug="hunter2")).body)
    assert said["error_description"] == "a ?b? ? ??. do c."

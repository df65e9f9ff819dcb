"""The clients of the API gateway are told no with the words and codes of document 003, and with nothing of a token."""

import json
from typing import get_args

import pytest

from jotgate import errors
from jotgate.core.api_gateway_problems import DETAILS, refresh_refused, refresh_required, render_code
from jotgate.errors import (
    AttemptsThrottled,
    BodyTooLarge,
    ClaimFault,
    ClaimRefused,
    ClientRefused,
    Code,
    GrantRefused,
    InternalError,
    IssuerUnavailable,
    JotgateError,
    MethodRefused,
    RefreshExpired,
    SignatureInvalid,
    TokenError,
    TokenExpired,
    TokenMissing,
    UnknownOperation,
)

INVALID = {"error": "Invalid token", "code": "INVALID_TOKEN"}


def told(error: JotgateError) -> dict[str, str]:
    found: dict[str, str] = json.loads(render_code(error).body)
    return found


def test_the_three_bodies_of_the_document() -> None:
    missing = render_code(TokenMissing("there is none", hint="jotgate token create"))
    assert (missing.status, json.loads(missing.body)) == (
        401,
        {"error": "Authentication required", "code": "MISSING_TOKEN"},
    )
    assert b'WWW-Authenticate: Bearer realm="jotgate"\r\n' in missing.lines
    expired = render_code(TokenExpired("the token has expired"))
    assert (expired.status, json.loads(expired.body)) == (401, {"error": "Token expired", "code": "TOKEN_EXPIRED"})
    invalid = render_code(SignatureInvalid("x"))
    assert (invalid.status, json.loads(invalid.body)) == (401, {**INVALID, "details": "invalid signature"})


def test_details_are_a_closed_set_in_which_nothing_of_the_token_or_of_us_stands() -> None:
    kinds = [
        one
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, TokenError) and one is not TokenError
    ]
    codes = {one.code for one in kinds} - {Code.TOKEN_MISSING, Code.TOKEN_EXPIRED}
    assert DETAILS.keys() == codes, "each reason for which a token is invalid has its word"
    assert len(set(DETAILS.values())) == len(DETAILS)
    leaky = SignatureInvalid("sub=alice", hint="kid=secret", debug="iss=evil").showing("kid", "wanted", "got")
    assert told(leaky) == {**INVALID, "details": "invalid signature"}


@pytest.mark.parametrize(
    ("claim", "reason", "details"),
    [
        ("aud", "mismatch", "wrong audience"),
        ("iss", "mismatch", "wrong issuer"),
        ("typ", "mismatch", "wrong token type"),
        ("exp", "invalid", "invalid lifetime"),
        ("<b>evil</b>", "invalid", "invalid claim"),
        ("<b>evil</b>", "missing", "missing claim"),
        ("aud", "missing", "missing claim"),
    ],
)
def test_a_claim_at_fault_is_told_by_what_the_document_checks(claim: str, reason: ClaimFault, details: str) -> None:
    assert reason in get_args(ClaimFault)
    assert told(ClaimRefused(claim, reason, f"the claim {claim}")) == {**INVALID, "details": details}


@pytest.mark.parametrize(
    ("error", "status", "title", "code"),
    [
        (UnknownOperation("a"), 404, "Not found", "UNKNOWN_OPERATION"),
        (MethodRefused("GET", "a"), 405, "Method not allowed", "METHOD_REFUSED"),
        (BodyTooLarge("a"), 413, "Request too large", "BODY_TOO_LARGE"),
        (IssuerUnavailable("a"), 503, "Service unavailable", "ISSUER_UNAVAILABLE"),
        (AttemptsThrottled("a", retry_after_s=7), 429, "Too many requests", "ATTEMPTS_THROTTLED"),
        (InternalError("a"), 500, "Internal error", "INTERNAL"),
        (ClientRefused("a"), 401, "Invalid client", "INVALID_CLIENT"),
    ],
)
def test_every_other_error_has_the_same_form(error: JotgateError, status: int, title: str, code: str) -> None:
    problem = render_code(error)
    said = json.loads(problem.body)
    assert (problem.status, said["error"], said["code"]) == (status, title, code)
    assert said["details"].startswith("a.")
    assert b"Cache-Control: no-store\r\n" in problem.lines
    assert (b"WWW-Authenticate: Basic " in problem.lines) is (status == 401)
    assert (b"Retry-After: " in problem.lines) is (status in (429, 503))
    assert (b"Allow: GET\r\n" in problem.lines) is (status == 405)


def test_what_debug_says_is_nobodys_business() -> None:
    assert "hunter2" not in json.dumps(told(InternalError("a", debug="hunter2")))


def test_refusals_of_refreshes_have_the_documents_bodies_and_nothing_else() -> None:
    asked = [refresh_required(), refresh_refused(RefreshExpired("a")), refresh_refused(GrantRefused("b", hint="c"))]
    assert [(one.status, json.loads(one.body)) for one in asked] == [
        (400, {"error": "Refresh token required"}),
        (401, {"error": "Refresh token expired"}),
        (401, {"error": "Invalid refresh token"}),
    ]

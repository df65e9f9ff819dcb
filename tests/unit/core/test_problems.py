"""A refusal as its caller sees it: the OpenAI error object, the RFC 6750 challenge, nothing private."""

import json
import re

import pytest

from jotgate.core.problems import render
from jotgate.errors import (
    AttemptsThrottled,
    AuditUnavailable,
    ClaimRefused,
    Code,
    CredentialsAmbiguous,
    InsufficientScope,
    InternalError,
    JotgateError,
    MethodRefused,
    ModelNotPermitted,
    OriginRefused,
    PriceUnknown,
    QuotaUnavailable,
    RequestMalformed,
    TokenExpired,
    TokenMissing,
    UnknownModel,
    UpstreamTimeout,
)


def fields(lines: bytes) -> dict[str, str]:
    assert lines.endswith(b"\r\n")
    pairs = [line.split(": ", 1) for line in lines.decode("ascii").removesuffix("\r\n").split("\r\n")]
    assert len({name.lower() for name, _ in pairs}) == len(pairs)
    return {name.lower(): value for name, value in pairs}


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (RequestMalformed("what"), 400, "invalid_request_error"),
        (TokenExpired("what"), 401, "authentication_error"),
        (ModelNotPermitted("what"), 403, "permission_error"),
        (PriceUnknown("what"), 403, "permission_error"),
        (UnknownModel("what"), 404, "invalid_request_error"),
        (MethodRefused("GET", "what"), 405, "invalid_request_error"),
        (AttemptsThrottled("what", retry_after_s=3), 429, "rate_limit_error"),
        (InternalError("what"), 500, "server_error"),
        (AuditUnavailable("what"), 503, "server_error"),
        (QuotaUnavailable("what"), 503, "server_error"),
        (UpstreamTimeout("what"), 504, "server_error"),
    ],
)
def test_every_error_is_an_openai_error_object(error: JotgateError, status: int, kind: str) -> None:
    problem = render(error)
    content = json.loads(problem.body)["error"]
    assert problem.status == status
    assert (content["type"], content["code"], content["param"]) == (kind, str(error.code), None)
    assert content["message"].startswith("what.")
    assert fields(problem.lines)["content-type"] == "application/json"
    assert fields(problem.lines)["cache-control"] == "no-store"


def test_who_has_had_its_share_is_told_when_to_come_again() -> None:
    throttled = render(AttemptsThrottled("what", retry_after_s=3))
    assert (json.loads(throttled.body)["error"]["code"], fields(throttled.lines)["retry-after"]) == (
        "attempts_throttled",
        "3",
    )
    unknown = render(QuotaUnavailable("what"))
    assert (json.loads(unknown.body)["error"]["code"], fields(unknown.lines)["retry-after"]) == (
        "quota_unavailable",
        "1",
    )


def test_an_unknown_price_needs_no_other_token() -> None:
    problem = render(PriceUnknown("what"))
    assert json.loads(problem.body)["error"]["code"] == "price_unknown"
    assert "www-authenticate" not in fields(problem.lines)


def test_message_and_hint_are_told_and_debug_never_is() -> None:
    problem = render(TokenExpired("the token has expired", hint="Make another", debug="jti 4711 of mallory"))
    assert json.loads(problem.body)["error"]["message"] == "the token has expired. Make another."
    assert b"4711" not in problem.body + problem.lines


def test_the_member_at_fault_is_named() -> None:
    assert json.loads(render(RequestMalformed("x", param="model")).body)["error"]["param"] == "model"


@pytest.mark.parametrize(
    ("error", "challenge"),
    [
        (TokenMissing("there is none"), 'Bearer realm="jotgate"'),
        (TokenExpired("it is over"), 'Bearer realm="jotgate", error="invalid_token", error_description="it is over"'),
        (
            InsufficientScope("embeddings", "not covered"),
            'Bearer realm="jotgate", error="insufficient_scope", error_description="not covered", scope="embeddings"',
        ),
        (
            CredentialsAmbiguous("two of them"),
            'Bearer realm="jotgate", error="invalid_request", error_description="two of them"',
        ),
        (
            ModelNotPermitted("not named"),
            'Bearer realm="jotgate", error="insufficient_scope", error_description="not named"',
        ),
    ],
)
def test_the_challenge_is_that_of_rfc_6750(error: JotgateError, challenge: str) -> None:
    assert fields(render(error).lines)["www-authenticate"] == challenge


@pytest.mark.parametrize("error", [OriginRefused("x"), RequestMalformed("x"), UnknownModel("x")])
def test_an_error_that_is_not_about_the_token_brings_no_challenge(error: JotgateError) -> None:
    assert "www-authenticate" not in fields(render(error).lines)


def test_a_challenge_holds_no_character_that_a_quoted_parameter_must_not_hold() -> None:
    hostile = 'a"b\\c\r\nSet-Cookie: x\x00\x7fé√'
    problem = render(ClaimRefused("aud", "mismatch", hostile))
    challenge = fields(problem.lines)["www-authenticate"]
    description = re.fullmatch(r'.*error_description="([\x20-\x21\x23-\x5b\x5d-\x7e]*)"', challenge)
    assert description is not None
    assert description[1] == "a?b?c??Set-Cookie: x????"
    scoped = render(InsufficientScope('x"y', "m"))
    assert fields(scoped.lines)["www-authenticate"].endswith('scope="x?y"')


def test_a_refused_method_names_the_one_that_is_taken() -> None:
    assert fields(render(MethodRefused("POST", "x")).lines)["allow"] == "POST"


def test_what_may_be_over_in_a_moment_says_when_to_come_again() -> None:
    assert fields(render(AuditUnavailable("x")).lines)["retry-after"] == "1"
    assert "retry-after" not in fields(render(UpstreamTimeout("x")).lines)


def test_the_code_is_the_documented_one() -> None:
    assert json.loads(render(TokenMissing("x")).body)["error"]["code"] == Code.TOKEN_MISSING.value

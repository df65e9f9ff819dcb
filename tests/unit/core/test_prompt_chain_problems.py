"""The `detail` dialect: the statuses and bodies of document 001, and what stands beside them."""

import json
from math import inf

import pytest

from jotgate.core.problems import Problem
from jotgate.core.prompt_chain_problems import limit_words, render_detail
from jotgate.errors import (
    AlgorithmRefused,
    AttemptsThrottled,
    BodyTooLarge,
    ChainCallRefused,
    ClaimRefused,
    ControlStale,
    CredentialsAmbiguous,
    InsufficientScope,
    InternalError,
    JotgateError,
    KeyUnknown,
    MethodRefused,
    QuotaExceeded,
    QuotaStanding,
    RequestMalformed,
    SchemeRefused,
    SignatureInvalid,
    TokenBound,
    TokenExpired,
    TokenImmature,
    TokenMalformed,
    TokenMissing,
    TokenRevoked,
    UnknownModel,
    UnknownOperation,
    UpstreamTimeout,
    UpstreamUnavailable,
)

INVALID = {"detail": "Invalid authentication credentials"}


def shown(error: JotgateError) -> tuple[int, object]:
    problem = render_detail(error, "req-1")
    return problem.status, json.loads(problem.body)


def field(problem: Problem, name: str) -> str | None:
    lines = dict(line.split(": ", 1) for line in problem.lines.decode().split("\r\n") if line)
    return lines.get(name)


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (TokenMissing("the request carries no bearer token"), 401, {"detail": "Not authenticated"}),
        (SchemeRefused("another scheme"), 401, INVALID),
        (TokenExpired("the token has expired"), 401, {"detail": "Token has expired"}),
        (TokenRevoked("the token was revoked"), 401, {"detail": "Token has been revoked"}),
        (SignatureInvalid("no"), 403, INVALID),
        (TokenMalformed("no"), 403, INVALID),
        (AlgorithmRefused("no"), 403, INVALID),
        (KeyUnknown("no"), 403, INVALID),
        (ClaimRefused("iss", "mismatch", "no"), 403, INVALID),
        (TokenImmature("no"), 403, INVALID),
        (TokenBound("no", by_key=True), 403, INVALID),
    ],
)
def test_a_token_that_is_refused_is_told_in_the_documents_words(error: JotgateError, status: int, body: object) -> None:
    assert shown(error) == (status, body)
    challenge = field(render_detail(error, ""), "WWW-Authenticate")
    assert (challenge is not None and challenge.startswith("Bearer ")) == (status == 401)


def test_a_body_that_is_too_large_is_told_with_both_sizes() -> None:
    status, body = shown(BodyTooLarge("the body exceeds 1024 bytes", size=2000, limit=1024))
    assert (status, body) == (
        413,
        {
            "error": "request_too_large",
            "message": "Request body too large: the body exceeds 1024 bytes",
            "actual_size_bytes": 2000,
            "max_size_bytes": 1024,
        },
    )


def standing(limit: int, window_s: int, unit: str = "requests") -> QuotaStanding:
    return QuotaStanding(
        name="q", levels=("principal",), unit=unit, limit=limit, spent=limit, window_s=window_s, resets_s=30.5,
        resets_at=1_800_000_031,
    )  # fmt: skip


def test_a_rate_limit_is_told_as_the_document_has_it_and_when_to_come_back() -> None:
    problem = render_detail(QuotaExceeded(standing(10, 60), "no more", retry_after_s=31), "")
    assert (problem.status, json.loads(problem.body)) == (429, {"detail": "10 per 1 minute"})
    assert field(problem, "Retry-After") == "31"
    assert field(problem, "X-RateLimit-Limit") == "10"
    assert field(problem, "X-RateLimit-Remaining") == "0"
    assert field(problem, "X-RateLimit-Reset") == "1800000031"


def test_a_limit_that_never_comes_back_has_no_time_to_come_back() -> None:
    never = QuotaStanding(name="q", levels=("token",), unit="requests", limit=5, spent=7, resets_s=inf)
    problem = render_detail(QuotaExceeded(never, "no more"), "")
    assert json.loads(problem.body) == {"detail": "5"}
    assert field(problem, "X-RateLimit-Remaining") == "0"
    assert (field(problem, "X-RateLimit-Reset"), field(problem, "Retry-After")) == (None, None)


@pytest.mark.parametrize(
    ("limit", "window_s", "unit", "words"),
    [
        (100, 3_600, "requests", "100 per 1 hour"),
        (5, 7_200, "requests", "5 per 2 hour"),
        (7, 1, "requests", "7 per 1 second"),
        (3, 86_400, "requests", "3 per 1 day"),
        (9, 2_592_000, "requests", "9 per 1 month"),
        (1000, 60, "total_tokens", "1000 tokens per 1 minute"),
        (2_500_000_000, 86_400, "cost", "2.5 USD per 1 day"),
        (4, 0, "concurrent", "4 calls at once"),
    ],
)
def test_the_words_of_a_limit(limit: int, window_s: int, unit: str, words: str) -> None:
    assert limit_words(standing(limit, window_s, unit)) == words


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (UnknownOperation("no such path"), 404, {"detail": "Not Found"}),
        (MethodRefused("POST", "POST only"), 405, {"detail": "Method Not Allowed"}),
        (
            RequestMalformed("'model' is not a string", param="model"),
            422,
            {"detail": [{"type": "value_error", "loc": ["body", "model"], "msg": "'model' is not a string"}]},
        ),
        (
            ChainCallRefused("'messages[2]' is no message", param="messages[2].role"),
            422,
            {
                "detail": [
                    {
                        "type": "value_error",
                        "loc": ["body", "messages", 2, "role"],
                        "msg": "'messages[2]' is no message",
                    }
                ]
            },
        ),
        (
            ChainCallRefused("a chain answers chat completions alone"),
            400,
            {"error": "request_malformed", "message": "a chain answers chat completions alone."},
        ),
        (
            RequestMalformed("the body is not a JSON object in UTF-8"),
            400,
            {"error": "request_malformed", "message": "the body is not a JSON object in UTF-8."},
        ),
        (
            UpstreamTimeout("the upstream is silent"),
            504,
            {"error": "streaming_timeout", "message": "the upstream is silent."},
        ),
        (InternalError("jotgate failed"), 500, {"detail": "Internal Server Error"}),
        (UpstreamUnavailable("no answer"), 502, {"detail": "no answer."}),
        (InsufficientScope("models", "not this"), 403, {"detail": "not this."}),
        (CredentialsAmbiguous("two", hint="Send one"), 400, {"detail": "two. Send one."}),
        (
            UnknownModel("no route carries this model", hint="List"),
            404,
            {"detail": "no route carries this model. List."},
        ),
        (ControlStale("stale", hint="Wait"), 503, {"detail": "stale. Wait."}),
    ],
)
def test_everything_else_has_a_detail_or_a_code(error: JotgateError, status: int, body: object) -> None:
    assert shown(error) == (status, body)


def test_the_fields_of_other_dialects_stand_here_too() -> None:
    assert field(render_detail(MethodRefused("POST", "no"), ""), "Allow") == "POST"
    assert field(render_detail(AttemptsThrottled("no", retry_after_s=9), ""), "Retry-After") == "9"
    assert field(render_detail(TokenMissing("no"), ""), "Cache-Control") == "no-store"


def test_nothing_that_is_for_the_operator_alone_is_told() -> None:
    for error in (
        SignatureInvalid("no", debug="hush"),
        InternalError("no", debug="hush"),
        ControlStale("no", debug="hush"),
    ):
        assert b"hush" not in render_detail(error, "").body

"""How the Coze proxy says no: the document's words, the original's codes, and no secret."""

import json
from typing import Any

import pytest

from jotgate.core.coze_proxy_problems import render_coze
from jotgate.core.upstream_tokens import NOT_LOGGED_IN, TokenLacking, lacking_error
from jotgate.errors import (
    InsufficientScope,
    InternalError,
    JotgateError,
    RecordMissing,
    RequestMalformed,
    TokenError,
    TokenExpired,
    TokenMalformed,
    TokenMissing,
    UnknownModel,
    UnknownOperation,
    UpstreamTokenRefused,
    UpstreamTokenUnavailable,
    UpstreamTokenUnconfigured,
)


def told(error: JotgateError) -> tuple[int, Any]:
    problem = render_coze(error, "req-1")
    assert b"Cache-Control: no-store\r\n" in problem.lines
    return problem.status, json.loads(problem.body)["error"]


def test_the_three_faults_of_the_documents_troubleshooting_are_its_words() -> None:
    status, error = told(UpstreamTokenUnconfigured("nothing says how one is got"))
    assert (status, error["message"]) == (503, "JWT configuration not provided")
    status, error = told(UpstreamTokenRefused("the token endpoint refused the client (invalid_client)"))
    wanted = "Failed to refresh JWT token: the token endpoint refused the client (invalid_client)"
    assert (status, error["message"], error["type"]) == (502, wanted, "server_error")
    unavailable = UpstreamTokenUnavailable("nobody answers", retry_after_s=7)
    status, error = told(unavailable)
    assert (status, error["message"]) == (503, "Token refresh failed")
    assert b"Retry-After: 7\r\n" in render_coze(unavailable, "").lines


def test_a_login_that_lacks_is_told_with_its_command_since_no_setting_is_missing() -> None:
    lacking = TokenLacking("unconfigured", f"{NOT_LOGGED_IN} for it; run: jotgate upstream login coze")
    status, error = told(lacking_error("coze", lacking))
    assert (status, error["code"], error["type"]) == (503, "upstream_token_unconfigured", "server_error")
    wanted = "there is no token for the upstream 'coze': nobody has logged in for it; run: jotgate upstream login coze"
    assert error["message"] == wanted


@pytest.mark.parametrize(
    ("param", "code"),
    [
        ("messages", "missing_messages"),
        ("x-model-type", "invalid_model_type"),
        ("bot_id", "missing_bot_id"),
        ("workflow_id", "missing_workflow_id"),
    ],
)
def test_a_body_at_fault_has_the_originals_code(param: str, code: str) -> None:
    status, error = told(RequestMalformed("it is wrong", param=param))
    assert (status, error["type"], error["code"], error["message"]) == (
        400,
        "invalid_request_error",
        code,
        "it is wrong",
    )
    assert told(RequestMalformed("it is wrong", param="x-bot-id"))[1]["code"] == "request_malformed"


def test_what_is_not_there_has_the_originals_codes() -> None:
    status, error = told(UnknownOperation("Unknown endpoint: GET /v2"))
    assert (status, error["message"], error["code"]) == (404, "Unknown endpoint: GET /v2", "endpoint_not_found")
    status, error = told(RecordMissing("Workflow session not found"))
    assert (status, error["code"], error["type"]) == (404, "session_not_found", "invalid_request_error")


def test_who_comes_without_a_token_is_told_how_one_is_made() -> None:
    problem = render_coze(TokenMissing("the request carries no bearer token"), "req-1")
    assert b'WWW-Authenticate: Bearer realm="jotgate"\r\n' in problem.lines
    message = json.loads(problem.body)["error"]["message"]
    assert "jotgate token create --subject me --scope ai --scope upstream:credentials" in message
    scope = InsufficientScope("upstream:credentials", "the token's scopes do not cover upstream:credentials")
    assert render_coze(scope, "").status == 403


@pytest.mark.parametrize("kind", [TokenMalformed, TokenExpired])
def test_who_comes_with_a_token_that_is_none_is_told_the_same_command(kind: type[TokenError]) -> None:
    """An SDK that was given the original's `not-used`, say."""
    problem = render_coze(kind("the token is no token"), "req-1")
    assert b'error="invalid_token"' in problem.lines
    message = json.loads(problem.body)["error"]["message"]
    assert message == (
        "the token is no token. Make a token with: "
        "jotgate token create --subject me --scope ai --scope upstream:credentials (request req-1)"
    )
    foreign = kind("the token is no token", hint=TokenError.foreign_hint)
    assert "jotgate token create" not in told(foreign)[1]["message"]


def test_all_else_is_told_as_natively() -> None:
    status, error = told(InternalError("x"))
    assert (status, error["type"], error["code"]) == (500, "server_error", "internal_error")
    assert told(UnknownModel("no route carries this model"))[1]["code"] == "model_not_found"

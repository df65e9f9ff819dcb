"""How the Kong auth service says no: what clients of the original read, and the form that it never sent."""

import json

from jotgate.core.kong_auth_problems import render_kong
from jotgate.errors import (
    JotgateError,
    KongUnavailable,
    RecordMissing,
    RequestMalformed,
    TokenExpired,
    TokenMissing,
    UnknownOperation,
)


def test_detail_stands_beside_the_canonical_object() -> None:
    problem = render_kong(RecordMissing("Token not found", hint="GET /my-tokens lists yours"), "req-1")
    error = {
        "code": "record_missing",
        "message": "Token not found",
        "reference_id": "req-1",
        "details": {"hint": "GET /my-tokens lists yours"},
    }
    assert (problem.status, json.loads(problem.body)) == (404, {"detail": "Token not found", "error": error})
    assert b"Cache-Control: no-store\r\n" in problem.lines


def test_the_member_at_fault_is_named() -> None:
    problem = render_kong(RequestMalformed("'token_name' is not a text", param="token_name"), "")
    assert json.loads(problem.body)["error"]["details"] == {"member": "token_name"}


def test_challenges_and_times_stand_in_the_head() -> None:
    assert b'WWW-Authenticate: Bearer realm="jotgate"\r\n' in render_kong(TokenMissing("none"), "").lines
    assert b'error="invalid_token"' in render_kong(TokenExpired("over"), "").lines
    assert b"Retry-After: 1\r\n" in render_kong(KongUnavailable("gone", debug="a secret"), "").lines
    assert b"secret" not in render_kong(KongUnavailable("gone", debug="a secret"), "").body


def test_hints_are_for_whoever_has_tokens_of_casdoor() -> None:
    def hint(error: JotgateError) -> str:
        return str(json.loads(render_kong(error, "").body)["error"]["details"]["hint"])

    for error in (TokenMissing("none"), TokenExpired("over")):
        assert "access token of Casdoor" in hint(error)
        assert "jotgate token create" not in hint(error)
    assert hint(TokenExpired("over", hint="Another one")) == "Another one"
    assert hint(UnknownOperation("nothing")) == "docs/systems/kong-auth.md lists the paths"

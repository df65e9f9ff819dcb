"""The MCP daemon as values: roles, variables, frames, errors."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jotgate.core.mcp_daemon import McpDaemonRules, in_grace, legacy_principal, may_call, role_of
from jotgate.core.mcp_daemon_frames import Frame, FrameFault, answer_to, error_to, read_frame
from jotgate.core.mcp_daemon_problems import render_daemon, tell_error
from jotgate.core.mcp_daemon_tools import ask_tool, outputs_of, read_answer, read_list
from jotgate.core.mcp_daemon_variables import read_mcp_daemon
from jotgate.core.preset_entries import McpDaemonEntry
from jotgate.core.presets import Preset
from jotgate.core.values import Secret
from jotgate.errors import (
    JotgateError,
    QuotaExceeded,
    QuotaStanding,
    RequestMalformed,
    TokenExpired,
    TokenMissing,
    UpstreamTimeout,
)

_SECRET = "0123456789abcdef0123456789abcdef01234567"


def preset(variables: Mapping[str, str], **entry: object) -> Preset:
    return read_mcp_daemon(variables, {}, McpDaemonEntry(**entry))  # type: ignore[arg-type]


def test_a_role_has_the_tools_that_its_patterns_name_and_no_role_is_a_user() -> None:
    rules = McpDaemonRules(roles={"user": ("chat",), "reader": ("files_read*",), "admin": ("*",)})
    assert [may_call(rules, roles, "chat") for roles in ((), ("user",), ("reader",), ("admin",), ("else",))] == [
        *(True, True, False, True, False)
    ]
    assert may_call(rules, ("reader",), "files_read_all")
    assert not may_call(rules, ("reader",), "files_write")
    assert may_call(rules, ("user", "reader"), "files_read")


def test_the_grace_ends_by_its_date() -> None:
    rules = McpDaemonRules(legacy=Secret("x" * 16), grace_until_s=1_000)
    assert [in_grace(rules, now_s) for now_s in (0.0, 999.9, 1_000.0)] == [True, True, False]
    assert not in_grace(McpDaemonRules(grace_until_s=1_000), 0.0)
    assert (legacy_principal(rules).expires_at_s, role_of(legacy_principal(rules))) == (1_000.0, "user")


def test_the_secret_is_the_document_s_variable_else_the_code_s() -> None:
    issuers = [
        preset(variables).tables["issuers"]
        for variables in ({"SUPABASE_JWT_SECRET": _SECRET}, {"JWT_SECRET_KEY": _SECRET, "JWT_AUDIENCE": "mine"})
    ]
    assert [(one[0]["secret_env"], one[0].get("audiences")) for one in issuers] == [  # type: ignore[index]
        *(("SUPABASE_JWT_SECRET", None), ("JWT_SECRET_KEY", ["mine"]))
    ]
    both = preset({"SUPABASE_JWT_SECRET": _SECRET, "JWT_SECRET_KEY": "another"})
    assert "JWT_SECRET_KEY is not used" in both.warnings[0]
    assert preset({}).missing
    assert preset({"MINE": _SECRET}, secret_env="MINE").secret_variables == {"MINE": "mcp_daemon.secret_env"}


@pytest.mark.parametrize(
    "variables",
    [
        *({"JWT_ALGORITHM": "none"}, {"EXAI_WS_MAX_BYTES": "33554433"}, {"EXAI_WS_HELLO_TIMEOUT": "0"}),
        *({"EXAI_WS_PORT": "many"}, {"JWT_GRACE_PERIOD_DAYS": "0"}, {"LOG_LEVEL": "loud"}),
    ],
)
def test_what_cannot_be_is_a_fault_of_its_variable(variables: dict[str, str]) -> None:
    ((path, _),) = preset({"SUPABASE_JWT_SECRET": _SECRET, **variables}).faults
    assert [path] == list(variables)


def test_settings_and_variables_come_to_rules() -> None:
    rules = preset({"EXAI_WS_MAX_BYTES": "2048"}, model="m", roles={"user": ("*",)}, connections=5).rules
    assert isinstance(rules, McpDaemonRules)
    assert (rules.model, rules.frame_bytes, rules.connections) == ("m", 2_048, 5)
    assert rules.roles == {"user": ("*",), "admin": ("*",)}


@given(st.binary(max_size=64) | st.text(max_size=64).map(str.encode))
def test_whatever_is_sent_is_a_frame_or_is_told_why_not(raw: bytes) -> None:
    try:
        read_frame(raw)
    except FrameFault as fault:
        told = json.loads(error_to(fault.frame, fault.error, fault.rpc_code))
        assert told["error"]["message"]


def test_a_member_that_stands_twice_is_no_frame() -> None:
    for raw in (b'{"tool":"a","tool":"b"}', b'{"tool":"chat","arguments":{"message":"a","message":"b"}}', b"[" * 99):
        with pytest.raises(FrameFault):
            read_frame(raw)


def test_a_tool_call_names_its_tool_in_either_way() -> None:
    frames = [read_frame(json.dumps({"op": "tool_call", "tool": tool}).encode()) for tool in ("t", {"name": "t"})]
    assert [one.tool for one in frames] == ["t", "t"]
    assert json.loads(answer_to(frames[0], outputs=[])) == {"op": "call_tool_res", "request_id": "", "outputs": []}


def test_what_chat_is_asked_is_a_chat_completion_and_nothing_unknown() -> None:
    frame = read_frame(b'{"tool":"chat","arguments":{"prompt":"hi","system":"be brief","max_tokens":5}}')
    asked = json.loads(ask_tool("chat", frame.arguments, "m").body)
    assert asked == {
        "model": "m",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}],
        "max_tokens": 5,
    }
    for arguments in (b"{}", b'{"message":1}', b'{"message":"a","prompt":"b"}', b'{"message":"a","stream":true}'):
        bad = read_frame(b'{"tool":"chat","arguments":%b}' % arguments)
        with pytest.raises(RequestMalformed):
            ask_tool("chat", bad.arguments, "m")
    with pytest.raises(RequestMalformed):
        ask_tool("no name", {}, "m")


def test_answers_that_are_none_are_the_provider_s_fault() -> None:
    for unreadable in (b'{"result":{"content":"\xff"}}', b'{"result":{"content":' + b"[" * 100_000):
        for status in (200, 502):
            assert read_answer("t", status, unreadable).status == 502
    cases = [read_answer("chat", 200, b"no"), read_answer("t", 200, b"[]"), read_answer("t", 500, b"no")]
    assert [one.error and one.error.code for one in cases] == ["PROVIDER_ERROR"] * 3
    told = {
        (400, '{"error":{"message":"context too long","code":null}}'): ("INVALID_REQUEST", "context too long"),
        (429, '{"error":{"message":"slowly","code":"rate_limit"}}'): ("OVER_CAPACITY", "slowly"),
        (503, '{"error":{"message":"no","code":"context_length_exceeded"}}'): ("SERVICE_UNAVAILABLE", "no"),
        (400, '{"error":{"message":"odd","code":"TOOL_NOT_FOUND"}}'): ("INVALID_REQUEST", "odd"),
        (402, '{"error":"pay"}'): ("INVALID_REQUEST", "it was refused with 402"),
    }
    for (status, body), wanted in told.items():
        found = read_answer("chat", status, body.encode())
        assert found.error is not None
        assert (found.status, found.error.code, found.error.message) == (status, *wanted), body
    failed = read_answer("t", 200, b'{"error":{"code":-32000,"message":"it broke"}}')
    assert (failed.status, failed.error and failed.error.code) == (502, "TOOL_EXECUTION_ERROR")
    assert read_list(200, b'{"result":{"tools":[{"name":"a"},1]}}') == ({"name": "a"},)
    assert outputs_of({}) == []


@pytest.mark.parametrize(
    ("error", "status", "code", "message"),
    [
        (TokenExpired("the token has expired"), 401, "UNAUTHORIZED", "Token has expired"),
        (TokenMissing("jwt_required"), 401, "UNAUTHORIZED", "jwt_required"),
        (UpstreamTimeout("too long"), 504, "TIMEOUT", "too long"),
    ],
)
def test_a_refusal_has_the_original_s_code_and_ours_beside_it(
    error: JotgateError, status: int, code: str, message: str
) -> None:
    problem = render_daemon(error, "r-1")
    told = json.loads(problem.body)
    assert (problem.status, told["request_id"]) == (status, "r-1")
    assert (told["error"]["code"], told["error"]["message"]) == (code, message)
    assert told["error"]["details"]["code"] == error.code
    assert "jotgate token create" not in told["error"]["details"].get("hint", ""), "nobody takes such a token here"


def test_a_spent_quota_is_told_with_its_name_and_when_there_is_more() -> None:
    standing = QuotaStanding(
        name="day",
        levels=("principal",),
        unit="requests",
        limit=1,
        spent=1,
        window_s=60,
        resets_s=5.0,
        resets_at=86_400,
    )
    told = tell_error(QuotaExceeded(standing, "spent", retry_after_s=5))
    assert (told.code, told.details["quota"], told.details["reset"]) == ("OVER_CAPACITY", "day", "1970-01-02T00:00:00Z")
    assert json.loads(error_to(Frame("call", "call_tool", request_id="q"), told))["error"]["details"]["quota"] == "day"

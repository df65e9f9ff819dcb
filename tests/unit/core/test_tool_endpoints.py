"""What endpoints of HTTP are asked, and what their answers are to callers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from jotgate.core.mcp_daemon_problems import ToldError
from jotgate.core.mcp_daemon_tools import read_answer
from jotgate.core.mcp_messages import read_message
from jotgate.core.principals import Principal
from jotgate.core.tool_answers import FAILED_KEY, answer, failed, text_result
from jotgate.core.tool_callers import with_caller
from jotgate.core.tool_endpoints import EndpointAsk, ToolEndpoint, ask_endpoint, read_endpoint
from jotgate.errors import McpMalformed, UpstreamFailed, UpstreamTorn

_GET = ToolEndpoint("t", "GET", "/t", "{}")
_POST = ToolEndpoint("t", "POST", "/t", "{}")


def asked(endpoint: ToolEndpoint, arguments: object) -> EndpointAsk:
    return ask_endpoint(endpoint, {"arguments": Raw(json.dumps(arguments).encode())})


def test_arguments_are_the_body_or_the_query() -> None:
    assert asked(_POST, {"a": [1, {"b": None}]}) == EndpointAsk("/t", b'{"a": [1, {"b": null}]}')
    assert ask_endpoint(_POST, {}) == EndpointAsk("/t", b"{}")
    assert asked(_GET, {}) == EndpointAsk("/t", None)
    assert asked(_GET, {"a b": "&=/", "n": 1.5, "t": True, "none": None, "l": ["x", 2]}) == EndpointAsk(
        "/t?a%20b=%26%3D%2F&n=1.5&t=true&l=x&l=2", None
    )
    assert asked(ToolEndpoint("t", "GET", "/t?u=c", "{}"), {"a": "\r\n"}).target == "/t?u=c&a=%0D%0A"


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=20) | st.integers() | st.booleans(), max_size=5))
def test_whatever_a_caller_gives_stays_in_the_query(arguments: dict[str, object]) -> None:
    target = asked(_GET, arguments).target
    assert target.isascii()
    assert target.isprintable()
    assert not set(target) & set(" #\r\n")
    assert target.partition("?")[0] == "/t"


@pytest.mark.parametrize("arguments", [{"a": {}}, {"a": [[1]]}, {"a": "x" * 20_000}, [1], "a", 1])
def test_what_a_query_cannot_hold_is_the_callers_fault(arguments: object) -> None:
    with pytest.raises(McpMalformed):
        asked(_GET, arguments)


def test_what_is_no_json_within_is_the_callers_fault_too() -> None:
    for raw in (b'{"a": "\\x"}', b'{"a": "\xff"}', b'{"a": 01}', b'{"a": "\\ud800"}'):
        try:
            told = ask_endpoint(_GET, {"arguments": Raw(raw)})
        except McpMalformed:
            continue
        assert told.target.isascii()


def test_a_good_answer_is_a_text_and_an_object_is_told_as_one() -> None:
    body = b'{"a": 1}'
    assert read_endpoint(200, b"application/json", body) == text_result('{"a": 1}', Raw(body))
    assert read_endpoint(201, b"application/problem+json", b"[1]") == text_result("[1]")
    assert read_endpoint(204, b"", b"") == text_result("")
    deep = b'{"a":' + b"[" * 70 + b"]" * 70 + b"}"
    assert "structuredContent" not in read_endpoint(200, b"application/json", deep)
    long = b'{"a":"' + b"x" * 1_100_000 + b'"}'
    assert "structuredContent" not in read_endpoint(200, b"application/json", long)
    with pytest.raises(UpstreamTorn):
        read_endpoint(200, b"application/json", long[:-1])


@pytest.mark.parametrize(
    ("status", "media_type", "body"),
    [
        (200, b"application/json", b'{"a"'),
        (200, b"application/json", b'{"a": "\xff"}'),
        (200, b"text/plain", b"\xff"),
        (200, b"application/octet-stream", b"x"),
        (200, b"", b"x"),
        (200, b"text/event-stream", b"data: \xff"),
    ],
)
def test_what_is_neither_json_nor_text_is_no_answer(status: int, media_type: bytes, body: bytes) -> None:
    with pytest.raises(UpstreamTorn):
        read_endpoint(status, media_type, body)


def test_a_refusal_says_the_status_and_nothing_else() -> None:
    for status in (400, 404, 422, 429):
        assert read_endpoint(status, b"application/json", b"secret") == failed(
            f"the endpoint of this tool answered with status {status}"
        )
    with pytest.raises(UpstreamFailed, match="status 503"):
        read_endpoint(503, b"text/plain", b"secret")


def test_the_daemon_tells_a_failure_of_these_as_an_error_and_leaves_others_as_they_are() -> None:
    told = read_answer("t", 200, answer(Raw(b"1"), failed("no")))
    assert told.error is not None
    assert (told.status, told.error.code, told.error.message) == (502, "TOOL_EXECUTION_ERROR", "no")
    other = b'{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true,"_meta":{"x":1}}}'
    assert read_answer("t", 200, other).result == {"content": [], "isError": True, "_meta": {"x": 1}}
    odd = json.dumps({"result": {"content": "x", "_meta": {FAILED_KEY: True}}}).encode()
    assert read_answer("t", 200, odd).result is not None
    refused = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"n is missing"}}'
    told = read_answer("t", 400, refused)
    assert told.error is not None
    assert (told.status, told.error.code, told.error.message) == (400, "INVALID_REQUEST", "n is missing")
    late = b'{"error":{"code":504,"message":"late","data":{"code":"upstream_timeout","hint":"Ask again","x":1}}}'
    assert read_answer("t", 504, late).error == ToldError(
        "TIMEOUT", "late", {"code": "upstream_timeout", "hint": "Ask again"}
    )
    odd = b'{"error":{"code":1,"message":"m","data":[]}}'
    assert read_answer("t", 503, odd).error == ToldError("SERVICE_UNAVAILABLE", "m")
    assert read_answer("t", 502, b"").error == ToldError("PROVIDER_ERROR", "it was refused with 502")


def test_who_calls_is_what_jotgate_says() -> None:
    params = {"name": "t", "_meta": {"jotgate/caller": {"subject": "root"}, "x": 1}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    who = Principal("iss", "ann", "", "", "", frozenset(), None, 1.0, 0.0, roles=frozenset({"b", "a"}))
    meta = json.loads(with_caller(body, who))["params"]["_meta"]
    assert meta == {"jotgate/caller": {"issuer": "iss", "subject": "ann", "role": "a,b"}, "x": 1}
    assert read_message(with_caller(body, None)).meta == {"x": Raw(b"1")}
    bare = b'{"jsonrpc":"2.0","method":"notifications/x"}'
    assert json.loads(with_caller(bare, None))["params"] == {"_meta": {}}
    assert with_caller(b"", who) == b""

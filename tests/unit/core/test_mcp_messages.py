"""Messages of MCP: what is read, what is refused, and that headers are held against the body."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from jotgate.core.mcp_messages import (
    check_agreement,
    is_stateless,
    read_message,
    read_name,
    write_message,
    write_name,
)
from jotgate.errors import Code, McpHeaderMismatch, McpMalformed, McpVersionUnsupported

_META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
_FIELDS = {b"mcp-protocol-version": b"2026-07-28", b"mcp-method": b"tools/call", b"mcp-name": b"echo"}

_JSON: Any = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["2.0", "ping", "tools/call", "a"])
_NAMES: Any = st.sampled_from(["jsonrpc", "id", "method", "params", "_meta", "name", "result", "a"])


def _nested(inner: Any) -> Any:
    return st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=5)


def _bytes(value: object) -> bytes:
    return json.dumps(value).encode()


def _call(**changed: Any) -> bytes:
    params = {"name": "echo", "arguments": {"a": 1}, "_meta": _META, **changed}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()


def test_a_request_says_what_it_is_about() -> None:
    message = read_message(_call())
    assert (message.method, message.name, message.version) == ("tools/call", "echo", "2026-07-28")
    assert message.is_request
    assert message.id == Raw(b"1")
    assert json.loads(write_message(message)) == json.loads(_call())


def test_a_notification_and_a_response_are_no_requests() -> None:
    told = read_message(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
    answered = read_message(b'{"jsonrpc":"2.0","id":"a","result":{}}')
    assert not told.is_request
    assert not answered.is_request
    assert (told.method, answered.method) == ("notifications/initialized", "")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"[]", -32600),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping\xff"}', -32700),
        (b'{"id":1,"method":"ping"}', -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":5}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"a b"}', -32600),
        (b'{"jsonrpc":"2.0","id":1}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"result":{},"error":{}}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":1}}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"a":1,"a":2}}}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + b'{"a":' * 70 + b"1" + b"}" * 71, -32600),
    ],
)
def test_what_is_no_message_is_refused_with_the_protocols_code(body: bytes, code: int) -> None:
    with pytest.raises(McpMalformed) as refused:
        read_message(body)
    assert refused.value.rpc_code == code
    assert refused.value.status == 400


def test_headers_agree_with_the_body() -> None:
    check_agreement(read_message(_call()), _FIELDS)
    check_agreement(read_message(_call()), {**_FIELDS, b"mcp-name": b"=?base64?ZWNobw==?="})


@pytest.mark.parametrize(
    "changed",
    [
        {b"mcp-name": b"other"},
        {b"mcp-name": b"=?base64?b3RoZXI=?="},
        {b"mcp-name": b"=?base64?/w==?="},
        {b"mcp-name": b"ech\xffo"},
        {b"mcp-method": b"tools/list"},
        {b"mcp-method": b"Tools/call"},
        {b"mcp-protocol-version": b"2025-11-25"},
        {b"mcp-name": None},
        {b"mcp-method": None},
        {b"mcp-protocol-version": None},
    ],
)
def test_a_header_that_is_missing_or_says_something_else_is_refused(changed: dict[bytes, bytes | None]) -> None:
    fields = {name: value for name, value in {**_FIELDS, **changed}.items() if value is not None}
    with pytest.raises(McpHeaderMismatch) as refused:
        check_agreement(read_message(_call()), fields)
    assert (refused.value.code, refused.value.rpc_code) == (Code.MCP_HEADER_MISMATCH, -32020)


@pytest.mark.parametrize("version", [1, None, ["2026-07-28"], {}])
def test_a_version_that_is_no_text_is_said_to_be_none(version: object) -> None:
    key = "io.modelcontextprotocol/protocolVersion"
    with pytest.raises(McpMalformed) as refused:
        read_message(_call(_meta={**_META, key: version}))
    assert (refused.value.rpc_code, refused.value.param) == (-32602, f"params._meta.{key}")
    assert key in refused.value.message


def test_a_version_that_nobody_speaks_is_refused() -> None:
    message = read_message(_call(_meta={**_META, "io.modelcontextprotocol/protocolVersion": "2099-01-01"}))
    with pytest.raises(McpVersionUnsupported) as refused:
        check_agreement(message, {**_FIELDS, b"mcp-protocol-version": b"2099-01-01"})
    assert (refused.value.code, refused.value.rpc_code) == (Code.MCP_VERSION_UNSUPPORTED, -32022)
    assert refused.value.requested == "2099-01-01"


@pytest.mark.parametrize("lacking", _META)
def test_a_request_lacks_nothing_that_each_has(lacking: str) -> None:
    meta = {name: value for name, value in _META.items() if name != lacking}
    with pytest.raises(McpMalformed) as refused:
        check_agreement(read_message(_call(_meta=meta)), _FIELDS)
    assert refused.value.rpc_code == -32602


def test_the_era_is_told_by_the_body_or_by_the_header() -> None:
    old = read_message(b'{"jsonrpc":"2.0","id":1,"method":"ping"}')
    assert is_stateless(read_message(_call()), {})
    assert is_stateless(old, {b"mcp-protocol-version": b"2026-07-28"})
    assert not is_stateless(old, {b"mcp-protocol-version": b"2025-11-25"})
    assert not is_stateless(old, {})


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_every_name_survives_its_header(name: str) -> None:
    field = write_name(name)
    assert field.strip(b" \t") == field
    assert field.isascii()
    assert read_name(field) == name


@given(st.one_of(st.binary(max_size=200), st.recursive(_JSON, _nested, max_leaves=8).map(_bytes)))
def test_whatever_comes_is_a_message_or_is_refused(body: bytes) -> None:
    message, refused = None, 0
    try:
        message = read_message(body)
    except McpMalformed as refusal:
        refused = refusal.rpc_code
    if message is None:
        assert refused in {-32700, -32600, -32602}
    else:
        assert json.loads(write_message(message)) == json.loads(body)

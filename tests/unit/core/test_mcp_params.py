"""Arguments that stand in headers too, for callers whose era knows none."""

import json
from typing import Any

import pytest
from msgspec import Raw

from jotgate.core.mcp_params import param_lines_of

_SCHEMA = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
        "sure": {"type": "boolean", "x-mcp-header": "Sure"},
        "inner": {"type": "object", "properties": {"deep": {"type": "string", "x-mcp-header": "Deep"}}},
        "list": {"type": "array", "items": {"type": "string", "x-mcp-header": "Never"}},
        "bad": {"type": "string", "x-mcp-header": "a b"},
    },
}


def _lines(arguments: Any, definition: bytes | None = None) -> bytes:
    known = json.dumps({"name": "t", "inputSchema": _SCHEMA}).encode() if definition is None else definition
    return param_lines_of(known, Raw(json.dumps(arguments).encode()))


def test_marked_arguments_are_written() -> None:
    given = {"region": "eu", "count": 3, "sure": True, "inner": {"deep": "Ü"}, "list": ["a"], "bad": "x", "other": 1}
    assert _lines(given) == (
        b"Mcp-Param-Region: eu\r\nMcp-Param-Count: 3\r\nMcp-Param-Sure: true\r\nMcp-Param-Deep: =?base64?w5w=?=\r\n"
    )


def test_what_would_break_a_header_cannot() -> None:
    assert _lines({"region": "a\r\nX: y"}) == b"Mcp-Param-Region: =?base64?YQ0KWDogeQ==?=\r\n"


@pytest.mark.parametrize("given", [{}, {"region": None}, {"region": ["a"]}, [], "text"])
def test_what_is_not_given_is_not_written(given: object) -> None:
    assert _lines(given) == b""


@pytest.mark.parametrize("definition", [b"", b"{", b"[]", b'{"inputSchema":5}'])
def test_of_a_tool_that_nobody_knows_nothing_is_written(definition: bytes) -> None:
    assert _lines({"region": "eu"}, definition) == b""

"""The headers that a stateless server wants of a tool's arguments, for callers whose era knows none (MCP SEP-2243)."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Raw

from jotgate.core.mcp_messages import write_name

_MARK: Final = "x-mcp-header"
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_DEPTH_MAX: Final = 16
_decode: Final = msgspec.json.Decoder().decode


def param_lines_of(definition: bytes, arguments: Raw) -> bytes:
    """The header lines `Mcp-Param-…` for the arguments that a tool's definition marks; none where it is not known."""
    try:
        known: object = _decode(definition) if definition else None
        given: object = _decode(arguments)
    except msgspec.DecodeError:
        return b""
    if not isinstance(known, dict) or not isinstance(given, dict):
        return b""
    lines = b""
    for name, value in _marked(known.get("inputSchema"), given, 0):
        lines += b"Mcp-Param-%b: %b\r\n" % (name.encode("ascii"), write_name(value))
    return lines


def _marked(schema: object, given: object, depth: int) -> Iterator[tuple[str, str]]:
    """The names and values of what is marked and given, along chains of `properties` alone."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or not isinstance(given, dict) or depth > _DEPTH_MAX:
        return
    for member, inner in properties.items():
        if member not in given or not isinstance(inner, dict):
            continue
        name, text = inner.get(_MARK), _text(given[member])
        if isinstance(name, str) and _TOKEN.fullmatch(name) and text is not None:
            yield name, text
        yield from _marked(inner, given[member], depth + 1)


def _text(value: object) -> str | None:
    """A value as such a header has it; None: it can be none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | str) else None

"""`[[mcp.servers.tools]]` and `python` as values: tools that are endpoints of HTTP, or functions of Python."""

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from jotgate.core.calls import BODY_DEPTH_MAX
from jotgate.core.faults import Fault, shown
from jotgate.core.mcp_tools import DEFINITION_BYTES_MAX
from jotgate.core.tables import read_table
from jotgate.core.tool_endpoints import ToolEndpoint

ENTRY_POINTS: Final = "jotgate.tools"
"""The group of entry points in which packages offer functions as tools."""
TOOLS_MAX: Final = 200
"""So many tools one server of the settings has."""
_ENTRY_POINT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_PATH: Final = re.compile(r"/[\x21\x22\x24-\x7e]*")
_OBJECT: Final = "object"
_DEFAULT_SCHEMA: Final[Mapping[str, object]] = {"type": _OBJECT}
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(dict[str, object]).decode


class ToolEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[mcp.servers.tools]]`: one endpoint of HTTP, below the `url` of its server, as a tool."""

    name: Annotated[
        str, Meta(description="1 to 64 letters, digits, '_', '-' or '.'", pattern=r"^[A-Za-z0-9_.-]{1,64}\Z")
    ]
    description: Annotated[str, Meta(description="a text of at most 4096 characters", max_length=4_096)] = ""
    method: Annotated[Literal["POST", "GET"], Meta(description='"POST" or "GET"')] = "POST"
    path: Annotated[str, Meta(description="a text in quotes", max_length=2_048)] = ""
    input_schema: Annotated[str, Meta(description="a table of JSON Schema, or JSON in quotes")] = ""
    read_only: Annotated[bool, Meta(description="true or false")] = False


def read_tools_table(path: str, value: object, faults: list[Fault]) -> tuple[ToolEntry, ...]:
    """The sound tools of one server, whose path is given."""
    if not isinstance(value, list):
        faults.append((f"{path}.tools", f"is {shown(value)}, and must be tables, each headed [[mcp.servers.tools]]"))
        return ()
    found = [
        read_table(ToolEntry, _with_text(one), f"{path}.tools[{index}]", faults) for index, one in enumerate(value)
    ]
    return tuple(one for one in found if one is not None)


def check_tools(path: str, url: str, tools: tuple[ToolEntry, ...]) -> list[Fault]:
    """The faults of the endpoints of one server, whose path and URL are given."""
    faults: list[Fault] = []
    if len(tools) > TOOLS_MAX:
        faults.append((f"{path}.tools", f"are more than {TOOLS_MAX}; make a second server of some"))
    if "?" in url:
        faults.append((f"{path}.url", "holds a query, and its tools have paths below it; write the query there"))
    first: dict[str, int] = {}
    for index, one in enumerate(tools):
        where = f"{path}.tools[{index}]"
        if one.path and _PATH.fullmatch(one.path) is None:
            faults.append((f"{where}.path", 'is none below the url; write one such as "/forecast", without a fragment'))
        if first.setdefault(one.name, index) != index:
            faults.append((f"{where}.name", f"is '{one.name}' as in tools[{first[one.name]}]; each name stands once"))
        if fault := _schema_fault(one):
            faults.append((f"{where}.input_schema", fault))
    return faults


def check_python(path: str, names: tuple[str, ...]) -> list[Fault]:
    """The faults of the entry points of one server, whose path is given."""
    faults = [
        (f"{path}.python", f"holds {shown(name)}; write names of entry points of the group {ENTRY_POINTS}")
        for name in names
        if _ENTRY_POINT.fullmatch(name) is None
    ]
    if len(set(names)) < len(names):
        faults.append((f"{path}.python", "holds a name twice; take one of them out"))
    if len(names) > TOOLS_MAX:
        faults.append((f"{path}.python", f"holds more than {TOOLS_MAX} names; make a second server of some"))
    return faults


def compile_tool(entry: ToolEntry) -> ToolEndpoint:
    """A sound endpoint as workers know it."""
    definition: dict[str, object] = {
        "name": entry.name,
        "description": entry.description,
        "inputSchema": schema_of(entry),
    }
    if entry.read_only:
        definition["annotations"] = {"readOnlyHint": True}
    return ToolEndpoint(entry.name, entry.method, entry.path, _encode(definition).decode())


def schema_of(entry: ToolEntry) -> Mapping[str, object]:
    """The schema of the arguments of an endpoint. Raises ValueError, RecursionError."""
    if not entry.input_schema:
        return _DEFAULT_SCHEMA
    return _decode(entry.input_schema)  # Its errors are ValueErrors.


def _with_text(tool: object) -> object:
    """A tool whose schema is JSON, where it was written as a table."""
    schema = tool.get("input_schema") if isinstance(tool, Mapping) else None
    if not isinstance(tool, Mapping) or not isinstance(schema, Mapping):
        return tool
    return {**tool, "input_schema": _encode(schema).decode()}


def _schema_fault(entry: ToolEntry) -> str:
    """What is wrong with the schema of an endpoint; empty when nothing."""
    try:
        schema = schema_of(entry)
    except (ValueError, RecursionError):
        return "is no JSON object; write a table, or JSON in quotes"
    if schema.get("type") != _OBJECT:
        return 'must have type = "object": arguments have names'
    if len(entry.input_schema) > DEFINITION_BYTES_MAX // 2:
        return f"is longer than {DEFINITION_BYTES_MAX // 2} characters of JSON"
    return "is nested too deep" if _depth(schema) > BODY_DEPTH_MAX // 2 else ""


def _depth(value: object) -> int:
    """How deep it is nested, counted level by level."""
    depth, level = 0, [value]
    while level and depth <= BODY_DEPTH_MAX:
        depth += 1
        below = [tuple(one.values()) if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [inner for one in below for inner in one]
    return depth

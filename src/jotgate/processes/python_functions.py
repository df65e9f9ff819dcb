"""A function of a package as a tool: its arguments, their schema, and how it is called.

The signature is the schema: what a call gives is held against it before the function sees it.
"""

import inspect
import typing
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from jotgate.core.tool_entries import ENTRY_POINTS
from jotgate.sdk.tools import ToolCaller

_NAMED: Final = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_DESCRIPTION_CHARS_MAX: Final = 4_096
_encode: Final = msgspec.json.Encoder().encode


class UnfitFunction(Exception):
    """An entry point that can be no tool, and why."""


class PythonTool(Struct, frozen=True):
    """One function. `caller` is the name of the parameter that is told who calls; empty: none is."""

    name: str
    function: Callable[..., object]
    arguments: type[Struct]
    definition: str
    caller: str = ""

    @property
    def is_async(self) -> bool:
        """Whether it is awaited; else it has a thread while it runs."""
        return inspect.iscoroutinefunction(self.function)

    def read(self, arguments: Raw, caller: ToolCaller) -> dict[str, object]:
        """What it is called with. Raises msgspec.ValidationError, msgspec.DecodeError."""
        found = msgspec.json.decode(arguments, type=self.arguments)
        fields = msgspec.structs.fields(self.arguments)
        given = {one.name: value for one in fields if (value := getattr(found, one.name)) is not msgspec.UNSET}
        return {**given, self.caller: caller} if self.caller else given


def load(name: str) -> PythonTool:
    """The tool of an entry point. Raises UnfitFunction, and whatever its package raises when it is imported."""
    found = tuple(entry_points(group=ENTRY_POINTS, name=name))
    if not found:
        raise UnfitFunction(f"no installed package has it in the group {ENTRY_POINTS}")
    if len({one.value for one in found}) > 1:
        raise UnfitFunction(f"several packages have it: {', '.join(sorted(one.value for one in found))}")
    return tool_of(name, found[0].load())


def tool_of(name: str, function: object) -> PythonTool:
    """A function as a tool. Raises UnfitFunction."""
    if not callable(function) or inspect.isclass(function):
        raise UnfitFunction("it is no function")
    try:
        parameters = inspect.signature(function).parameters
        hints = typing.get_type_hints(function, include_extras=True)
    except (ValueError, TypeError, NameError) as fault:
        raise UnfitFunction(f"its signature cannot be read: {fault}") from None
    unnamed = [one.name for one in parameters.values() if one.kind not in _NAMED]
    if unnamed:
        raise UnfitFunction(f"it takes '{unnamed[0]}', and arguments of tools have names")
    callers = [one for one in parameters if hints.get(one) is ToolCaller]
    fields: list[tuple[str, Any, Any]] = []
    for one in parameters.values():
        if one.name in callers:
            continue
        kind = hints.get(one.name, Any)
        if one.default is inspect.Parameter.empty:
            fields.append((one.name, kind, msgspec.NODEFAULT))
        else:
            fields.append((one.name, kind | msgspec.UnsetType, msgspec.UNSET))
    try:
        arguments = msgspec.defstruct("Arguments", fields, kw_only=True, forbid_unknown_fields=True)
        schema = _schema_of(arguments)
    except (TypeError, ValueError) as fault:
        raise UnfitFunction(f"its arguments cannot be told in JSON Schema: {fault}") from None
    description = (inspect.getdoc(function) or "")[:_DESCRIPTION_CHARS_MAX]
    definition = _encode({"name": name, "description": description, "inputSchema": schema}).decode()
    return PythonTool(name, function, arguments, definition, callers[0] if callers else "")


def _schema_of(arguments: type[Struct]) -> Mapping[str, object]:
    """The schema of arguments as MCP wants it: an object at the top, what it refers to beside."""
    _, components = msgspec.json.schema_components([arguments], ref_template="#/$defs/{name}")
    top = components.pop("Arguments")
    top.pop("title", None)
    return {**top, "$defs": components} if components else top

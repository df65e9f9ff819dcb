"""The tools of MCP servers as values: which scopes cover them, what they are called in a list of several servers.

One rule decides for lists and for calls (`covered_by`). A scope is `mcp:<server>:<tool>`; `mcp:<server>:*` covers
all of a server, and `mcp:<server>:read` all that only reads: tools that say `readOnlyHint` and no `destructiveHint`,
resources and prompts. Nothing else covers a tool; `ai` does not.
"""

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.mcp_operations import Need

SCOPE_HEAD: Final = "mcp:"
EVERY: Final = "*"
READ: Final = "read"
NAME_CHARS_MAX: Final = 64
"""So long may be the name of a tool that a model is told of; longer ones are refused by the services of models."""

DEFINITION_BYTES_MAX: Final = 65_536
"""A definition that is longer is one of no tool that could be used."""

_TOOL_NAME: Final = re.compile(r"[A-Za-z0-9_./-]{1,128}")
_SCOPE: Final = re.compile(r"mcp:([a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?):(\*|[A-Za-z0-9_./-]{1,128})")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]+")
_UNPLAIN: Final = re.compile(r"[^A-Za-z0-9_-]")
_DIGEST_DIGITS: Final = 8
_JOINT: Final = "_"
_SHORTENED: Final = re.compile(rf".*_[0-9a-f]{{{_DIGEST_DIGITS}}}")


class Tool(Struct, frozen=True):
    """A tool as its server defines it. `digest` names the definition: all that stands in it, in whatever order.

    `definition` is the whole definition as the server gave it, an object of JSON that names nothing twice.
    """

    server: str
    name: str
    digest: str
    read_only: bool
    definition: bytes

    @property
    def label(self) -> str:
        """What policies, quotas and the audit log call it."""
        return tool_label(self.server, self.name)


class ToolDeny(Struct, frozen=True):
    """The scopes do not cover it: `scopes` are those that would, all of which are needed."""

    scopes: tuple[str, ...]


def tool_label(server: str, tool: str) -> str:
    """A tool's name among those of all servers."""
    return f"{server}:{tool}"


def read_label(label: str) -> tuple[str, str]:
    """The server and the tool of a label; a server's name alone is one without a tool."""
    server, _, tool = label.partition(":")
    return server, tool


def server_route(server: str) -> str:
    """What policies and quotas call a server among the routes; no alias of a model is meant by it."""
    return f"{SCOPE_HEAD}{server}"


def server_of(route: str) -> str:
    """The server whose route, or whose upstream, this is; empty: that of none."""
    return route.removeprefix(SCOPE_HEAD) if route.startswith(SCOPE_HEAD) else ""


def tool_scope(server: str, tool: str) -> str:
    """The scope that covers one tool, or what `EVERY` or `READ` stands for."""
    return f"{SCOPE_HEAD}{server}:{tool}"


def read_scope(scope: str) -> tuple[str, str] | None:
    """The server and the tool (or `EVERY`, or `READ`) that a scope names; None: it is no scope of tools."""
    found = _SCOPE.fullmatch(scope)
    return None if found is None else (found[1], found[2])


def covering(scope: str) -> str:
    """The scope that covers all of the server of which this one is; empty: it is no scope of tools."""
    found = read_scope(scope)
    return "" if found is None else tool_scope(found[0], EVERY)


def may_use(scopes: frozenset[str], server: str, need: Need) -> ToolDeny | None:
    """Whether these scopes cover something of a server that is no tool; None: they do."""
    if tool_scope(server, EVERY) in scopes or tool_scope(server, READ) in scopes:
        return None
    if need == "any" and any(scope.startswith(tool_scope(server, "")) for scope in scopes):
        return None
    return ToolDeny((tool_scope(server, READ),))


def covered_by(scopes: frozenset[str], server: str, name: str, *, read_only: bool) -> str:
    """Which of these scopes covers a tool, the narrowest; empty: none. What nobody knows is not `read_only`."""
    own, read, every = (tool_scope(server, one) for one in (name, READ, EVERY))
    if name != READ and own in scopes:
        return own
    if read_only and read in scopes:
        return read
    return every if every in scopes else ""


def wanted_scope(server: str, name: str, *, read_only: bool = False) -> str:
    """The narrowest scope that covers a tool. One that is called `read` has none of its own."""
    if name == READ:
        return tool_scope(server, READ if read_only else EVERY)
    return tool_scope(server, name if is_tool_name(name) else EVERY)


def is_tool_name(name: str) -> bool:
    """Whether a tool may be called so: another name can be granted to nobody, and is shown to nobody."""
    return _TOOL_NAME.fullmatch(name) is not None


def read_tools(server: str, listed: Iterable[object]) -> tuple[list[Tool], int]:
    """The tools of a server's answer, by name, and how many of its items are none that could be used.

    What stands twice under one name is used neither time: nobody could say which of both was approved.
    """
    found: dict[str, Tool | None] = {}
    refused = 0
    for item in listed:
        tool = _read_tool(server, item)
        if tool is None or tool.name in found:
            refused += 1
        if tool is not None:
            found[tool.name] = None if tool.name in found else tool
    kept = [tool for tool in found.values() if tool is not None]
    return sorted(kept, key=_name_of), refused + len(found) - len(kept)


def renamed(tool: Tool, name: str) -> bytes:
    """The tool's definition under another name."""
    members: dict[str, object] = msgspec.json.decode(tool.definition)
    members["name"] = name
    return msgspec.json.encode(members)


def prefixed(server: str, name: str) -> str:
    """What a tool is called in a list of several servers: `<server>_<tool>`, in letters, digits, `_` and `-`.

    No server's name has a `_`. What would be longer than `NAME_CHARS_MAX`, or have other characters, ends in a digest
    of it, so that it is always the same and no other tool's.
    """
    whole = f"{server}{_JOINT}{name}"
    if len(whole) <= NAME_CHARS_MAX and _PLAIN.fullmatch(whole):
        return whole
    digest = sha256(tool_label(server, name).encode()).hexdigest()[:_DIGEST_DIGITS]
    return f"{_UNPLAIN.sub('-', whole)[: NAME_CHARS_MAX - len(digest) - 1]}{_JOINT}{digest}"


def find_prefixed(name: str, tools: Mapping[str, Iterable[str]]) -> tuple[str, str] | None:
    """The server and the tool that a name of such a list stands for, by the known tools of each server.

    A name of a known server whose tool nobody knows is that tool's all the same: who may call it is told the scope.
    """
    server, joint, rest = name.partition(_JOINT)
    if not joint or not rest or server not in tools:
        return None
    known = next((one for one in tools[server] if prefixed(server, one) == name), None)
    return (server, rest if known is None else known)


def is_shortened(name: str) -> bool:
    """Whether a name of such a list may be a shortened one, of which only the list of tools says what it stands for."""
    return _SHORTENED.fullmatch(name) is not None


def told_scope(server: str, name: str) -> str:
    """The scope that whoever may not call a name of such a list is told, whether there is such a tool or not.

    What a shortened name stands for would say that there is such a tool: then it is the scope for all of the server.
    """
    return wanted_scope(server, EVERY if is_shortened(name) else name.partition(_JOINT)[2])


def _read_tool(server: str, item: object) -> Tool | None:
    if not isinstance(item, dict):
        return None
    name, hints = item.get("name"), item.get("annotations")
    if not isinstance(name, str) or not is_tool_name(name) or not isinstance(item.get("inputSchema"), dict):
        return None
    said = hints if isinstance(hints, dict) else {}
    read_only = said.get("readOnlyHint") is True and said.get("destructiveHint") is not True
    definition = msgspec.json.encode(item)
    if len(definition) > DEFINITION_BYTES_MAX:
        return None
    return Tool(server, name, digest_of(item), read_only, definition)


def digest_of(definition: Mapping[str, object]) -> str:
    """What names a definition: the SHA-256 of its JSON with the members in the order of their names."""
    return sha256(msgspec.json.encode(definition, order="sorted")).hexdigest()


def _name_of(tool: Tool) -> str:
    return tool.name

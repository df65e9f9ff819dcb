"""The versions of MCP that jotgate speaks, what may be said in which era, and what one era's messages are in the other.

The stateless revision carries its version in each message; the older ones agree on it with `initialize`. A server of
one era is asked by clients of the other through what stands here.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from msgspec import Raw, Struct

from jotgate.core.mcp_operations import McpMethod, find_method
from jotgate.core.mcp_reader import Members, find_members
from jotgate.errors import McpMethodAbsent, McpMethodUnknown

Era = Literal["stateless", "legacy"]
STATELESS: Final = ("2026-07-28",)
"""Versions whose messages each carry all that they need."""
LEGACY: Final = ("2025-11-25", "2025-06-18", "2025-03-26")
"""Versions that begin with `initialize`, the newest first."""
SUPPORTED: Final = (*STATELESS, *LEGACY)
NAMED_BY: Final[Mapping[str, str]] = {"tools/call": "name", "resources/read": "uri", "prompts/get": "name"}
"""The member of `params` that names what a method is about, where the header Mcp-Name says it too."""
LISTINGS: Final[Mapping[str, str]] = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}
"""The member of a result that is a list."""
DISCOVER: Final = "server/discover"
LISTEN: Final = "subscriptions/listen"
INITIALIZE: Final = "initialize"
INITIALIZED: Final = "notifications/initialized"
CANCELLED: Final = "notifications/cancelled"

CACHEABLE: Final = frozenset({*LISTINGS, "resources/read", DISCOVER})
"""Of which a stateless result says for how long, and for whom, it is good (MCP 2026-07-28, "Caching")."""
_LEGACY_ONLY: Final = frozenset(
    {
        *(INITIALIZE, "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"),
        *(INITIALIZED, "notifications/progress", "notifications/roots/list_changed"),
    }
)
_STATELESS_ONLY: Final = frozenset({DISCOVER, LISTEN})
_OF_SERVER: Final = "io.modelcontextprotocol/serverInfo"
_OF_PROTOCOL: Final = "io.modelcontextprotocol/"
_UNSHARED: Final = frozenset({"logging", "tasks"})
"""What a server offers to one session, and not to callers who share it."""
_encode: Final = msgspec.json.Encoder().encode
_COMPLETE: Final = Raw(b'"complete"')
_PRIVATE: Final = Raw(b'"private"')
_NO_TIME: Final = Raw(b"0")


class Conversation(Struct, frozen=True):
    """What a server has said of itself: as the members of its `initialize` or `server/discover` result.

    `session` is the one that it gave to `initialize`, or empty. `version` is the one that was agreed on.
    """

    era: Era
    version: str
    capabilities: Raw
    server_info: Raw
    instructions: Raw | None = None
    session: str = ""


def method_of(name: str, era: Era) -> McpMethod:
    """The row of a method that a client of this era may send. Raises McpMethodUnknown."""
    found = find_method(name)
    if found is None or name in (_LEGACY_ONLY if era == "stateless" else _STATELESS_ONLY):
        kind = McpMethodUnknown if era == "stateless" else McpMethodAbsent
        raise kind("this method is none that jotgate lets through")
    return found


def to_stateless_result(method: str, result: Members, server: Conversation | None) -> Members:
    """A result of the older era as the stateless one has it."""
    found: Members = {"resultType": _COMPLETE, **result}
    if method in CACHEABLE:
        found = {"ttlMs": _NO_TIME, "cacheScope": _PRIVATE, **found}
    if server is not None:
        meta = _inner(result.get("_meta"))
        found["_meta"] = Raw(_encode({_OF_SERVER: server.server_info, **meta}))
    return found


def to_legacy_result(result: Members) -> Members:
    """A result of the stateless era as the older ones have it."""
    found = {name: raw for name, raw in result.items() if name not in {"resultType", "ttlMs", "cacheScope"}}
    meta = {name: raw for name, raw in _inner(result.get("_meta")).items() if not name.startswith(_OF_PROTOCOL)}
    found.pop("_meta", None)
    return {**found, "_meta": Raw(_encode(meta))} if meta else found


def to_legacy_meta(meta: Members) -> Members:
    """The `_meta` of a stateless request for a server that wants none of the protocol's own members."""
    return {name: raw for name, raw in meta.items() if not name.startswith(_OF_PROTOCOL)}


def to_stateless_meta(meta: Members, client: Raw, capabilities: Raw) -> Members:
    """The `_meta` of a request of the older era for a stateless server: what `initialize` said stands in each."""
    found = {
        **{name: raw for name, raw in meta.items() if not name.startswith(_OF_PROTOCOL)},
        "io.modelcontextprotocol/protocolVersion": Raw(_encode(STATELESS[0])),
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    }
    return found if bytes(client) == b"{}" else {**found, "io.modelcontextprotocol/clientInfo": client}


def discovered(server: Conversation) -> Members:
    """The result of `server/discover` for what is known of a server, whichever era it is of."""
    found: Members = {
        "resultType": _COMPLETE,
        "supportedVersions": Raw(_encode(list(STATELESS))),
        "capabilities": _shareable(server.capabilities, subscribe=server.era == "stateless"),
        "serverInfo": server.server_info,
        "ttlMs": _NO_TIME,
        "cacheScope": _PRIVATE,
        "_meta": Raw(_encode({_OF_SERVER: server.server_info})),
    }
    return found if server.instructions is None else {**found, "instructions": server.instructions}


def initialized(server: Conversation, version: str) -> Members:
    """The result of `initialize` for a session that is jotgate's own."""
    found: Members = {
        "protocolVersion": Raw(_encode(version)),
        "capabilities": _shareable(server.capabilities, subscribe=False),
        "serverInfo": server.server_info,
    }
    return found if server.instructions is None else {**found, "instructions": server.instructions}


def agreed_version(asked: str) -> str:
    """The version of a session for a client that asks for this one (MCP 2025-11-25, "Version Negotiation")."""
    return asked if asked in LEGACY else LEGACY[0]


def _shareable(capabilities: Raw, *, subscribe: bool) -> Raw:
    found = {name: raw for name, raw in _inner(capabilities).items() if name not in _UNSHARED}
    if not subscribe and "resources" in found:
        kept = {name: raw for name, raw in _inner(found["resources"]).items() if name != "subscribe"}
        found["resources"] = Raw(_encode(kept))
    return Raw(_encode(found))


def _inner(raw: Raw | None) -> Members:
    return find_members(raw) or {}

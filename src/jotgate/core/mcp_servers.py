"""The MCP servers of a snapshot as workers know them, and which of them a path means."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from jotgate.core.mcp_entries import McpEra
from jotgate.core.mcp_pins import PinRule
from jotgate.core.operations import Operation
from jotgate.core.routes import Attempt, Route
from jotgate.core.values import Secret
from jotgate.errors import UnknownOperation

ALL_SERVERS: Final = b"/mcp"
"""The path at which callers find the tools of all servers in one list."""
_BELOW: Final = b"/mcp/"
METHODS: Final = "DELETE, GET, OPTIONS, POST"
"""What may be asked there, as Allow has it (RFC 9110 s10.2.1)."""
MCP: Final = Operation("mcp", b"POST", ALL_SERVERS, False)
"""What is asked there, as long as the body is not read: then it is one of `core.mcp_operations`."""


class McpServer(Struct, frozen=True):
    """One server. `upstream` is what it is called among the upstreams; `local`: it is a child of control.

    `pins` says what becomes of the definitions of its tools. `of_callers`: each caller is sent there with a credential
    of its own, so that what one is told is none of the others' business.
    """

    name: str
    upstream: str
    era: McpEra = "auto"
    local: bool = False
    message_bytes: int = 33_554_432
    tools_ttl_s: float = 60.0
    pins: PinRule = "first-use"
    of_callers: bool = False

    @property
    def route(self) -> Route:
        """Where its calls go."""
        return Route(self.name, (Attempt(self.upstream, ""),), attempts_max=1)


class McpRules(Struct, frozen=True):
    """All servers, in the order of the settings. `session_key` seals the sessions of clients of the older era."""

    servers: tuple[McpServer, ...] = ()
    keep_alive_s: float = 15.0
    session_key: Secret | None = None

    @property
    def by_name(self) -> Mapping[str, McpServer]:
        """The servers by their names."""
        return {one.name: one for one in self.servers}


def is_mcp(path: bytes) -> bool:
    """Whether a path is that of MCP."""
    return path.startswith(_BELOW) or path == ALL_SERVERS


def server_of(path: bytes) -> str:
    """The name of the server that a path of MCP means; empty: all of them."""
    return path[len(_BELOW) :].decode("latin-1") if path.startswith(_BELOW) else ""


def unknown_server(path: bytes = ALL_SERVERS) -> UnknownOperation:
    """The refusal of a path that no server has; nobody is told which there are."""
    hint = "Ask its operator for the path of the server"
    if path.endswith(b"/"):
        hint = "Leave out the slash at the end of the path"
    return UnknownOperation("no MCP server of this gateway has this name", hint=hint)

"""The closed table of what may be asked of an MCP server: each method, the operation that it is, and what it needs.

A method that has no row is answered as unknown (JSON-RPC -32601), whatever the server behind would do with it.
"""

from typing import Final, Literal

from msgspec import Struct

Need = Literal["any", "read", "tool"]
"""A scope of the server, whichever; one that covers all that only reads; one that covers the tool that is named."""

HEAD: Final = "mcp."
"""What the names of these operations begin with."""
TOOLS_LIST: Final = "mcp.tools_list"
TOOLS_CALL: Final = "mcp.tools_call"


class McpMethod(Struct, frozen=True):
    """One row: `operation` is what policies, quotas and the audit log call it."""

    method: str
    operation: str
    need: Need


METHODS: Final = (
    McpMethod("initialize", "mcp.initialize", "any"),
    McpMethod("ping", "mcp.ping", "any"),
    McpMethod("server/discover", "mcp.discover", "any"),
    McpMethod("tools/list", TOOLS_LIST, "any"),
    McpMethod("tools/call", TOOLS_CALL, "tool"),
    McpMethod("resources/list", "mcp.resources_list", "read"),
    McpMethod("resources/templates/list", "mcp.resource_templates_list", "read"),
    McpMethod("resources/read", "mcp.resources_read", "read"),
    McpMethod("resources/subscribe", "mcp.resources_subscribe", "read"),
    McpMethod("resources/unsubscribe", "mcp.resources_unsubscribe", "read"),
    McpMethod("prompts/list", "mcp.prompts_list", "read"),
    McpMethod("prompts/get", "mcp.prompts_get", "read"),
    McpMethod("completion/complete", "mcp.complete", "read"),
    McpMethod("logging/setLevel", "mcp.logging_set_level", "any"),
    McpMethod("subscriptions/listen", "mcp.subscriptions_listen", "any"),
    McpMethod("notifications/initialized", "mcp.notify", "any"),
    McpMethod("notifications/cancelled", "mcp.notify", "any"),
    McpMethod("notifications/progress", "mcp.notify", "any"),
    McpMethod("notifications/roots/list_changed", "mcp.notify", "any"),
)
STREAM: Final = "mcp.stream"
"""A stream without a request, and the end of a session: GET and DELETE of the older era. It needs any scope."""
RESPONSE: Final = "mcp.respond"
"""An answer of the client to what a server has asked it, in the older era. It needs any scope."""

OPERATIONS: Final = frozenset({*(row.operation for row in METHODS), STREAM, RESPONSE})
_BY_METHOD: Final = {row.method: row for row in METHODS}
_NEEDS: Final[dict[str, Need]] = {row.operation: row.need for row in METHODS}


def find_method(method: str) -> McpMethod | None:
    """The row of a method; None: there is none."""
    return _BY_METHOD.get(method)


def need_of(operation: str) -> Need:
    """What scope an operation needs of the server."""
    return _NEEDS.get(operation, "any")

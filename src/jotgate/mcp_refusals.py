"""How an MCP client is told no: its message, its headers or its session is at fault.

`rpc_code` is the code of the JSON-RPC error object that it gets (JSON-RPC 2.0 s5.1; MCP 2026-07-28, "Error Codes").
"""

from typing import ClassVar, Final

from jotgate.codes import Code
from jotgate.refusals import PermissionRefused, RequestError, RequestMalformed, UnknownOperation

RPC_PARSE: Final = -32700
RPC_INVALID_REQUEST: Final = -32600
RPC_UNKNOWN_METHOD: Final = -32601
RPC_INVALID_PARAMS: Final = -32602
RPC_INTERNAL: Final = -32603
RPC_HEADER_MISMATCH: Final = -32020
RPC_VERSION: Final = -32022


class McpMalformed(RequestMalformed):
    """The body is no JSON-RPC message, or no MCP one; `rpc_code` says which."""

    def __init__(self, rpc_code: int, message: str, *, param: str = "", hint: str = "", debug: str = "") -> None:
        super().__init__(message, param=param, hint=hint, debug=debug)
        self.rpc_code = rpc_code


class McpMethodUnknown(UnknownOperation):
    """The method is none of those that jotgate lets through."""

    rpc_code: ClassVar[int] = RPC_UNKNOWN_METHOD
    default_hint = "docs/mcp.md lists the methods that jotgate lets through"


class McpMethodAbsent(McpMethodUnknown):
    """The same, told in a session of the older era: a 404 would end that."""

    status = 200


class McpHeaderMismatch(RequestError):
    """A header that the revision 2026-07-28 demands is missing, or says something else than the body."""

    code = Code.MCP_HEADER_MISMATCH
    status = 400
    rpc_code: ClassVar[int] = RPC_HEADER_MISMATCH
    default_hint = "Send MCP-Protocol-Version, Mcp-Method and Mcp-Name as the body has them"


class McpVersionUnsupported(RequestError):
    """The protocol version is none that jotgate speaks; `requested` is the one that was asked for."""

    code = Code.MCP_VERSION_UNSUPPORTED
    status = 400
    rpc_code: ClassVar[int] = RPC_VERSION
    default_hint = "Ask again with one of the versions in 'supported'"

    def __init__(self, requested: str, message: str, *, hint: str = "", debug: str = "") -> None:
        super().__init__(message, hint=hint, debug=debug)
        self.requested = requested


class McpSessionUnknown(RequestError):
    """The session is over, of another server or another caller's: the client begins a new one with `initialize`."""

    code = Code.MCP_SESSION_UNKNOWN
    status = 404
    rpc_code: ClassVar[int] = RPC_INVALID_REQUEST
    default_hint = "Begin a new session: send 'initialize' without Mcp-Session-Id"


class McpToolUnapproved(PermissionRefused):
    """The tool is new, or is not what was approved of it: it is hidden until the operator approves it as it is."""

    code = Code.MCP_TOOL_UNAPPROVED
    default_hint = "Ask the operator of this gateway; 'jotgate mcp list' shows what waits to be approved"

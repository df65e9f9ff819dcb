"""Renders a refusal for MCP clients: a JSON-RPC error object beside the status and the challenge that all callers get.

The code is the protocol's own where it has one; else it is the HTTP status, since the protocol keeps the numbers below
-32000 for itself and wants no new ones of others there.
"""

from typing import Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from jotgate.core.mcp_eras import STATELESS
from jotgate.core.problems import Problem, render
from jotgate.core.quota_answers import QuotaTold, told
from jotgate.errors import (
    InternalError,
    JotgateError,
    McpHeaderMismatch,
    McpMalformed,
    McpMethodUnknown,
    McpSessionUnknown,
    McpVersionUnsupported,
    QuotaExceeded,
    TokenError,
    TokenMissing,
)
from jotgate.mcp_refusals import RPC_INTERNAL, RPC_INVALID_REQUEST

_OF_PROTOCOL: Final = (
    McpHeaderMismatch,
    McpMalformed,
    McpMethodUnknown,
    McpSessionUnknown,
    McpVersionUnsupported,
)
_encode: Final = msgspec.json.Encoder().encode


class _Data(Struct, frozen=True, omit_defaults=True):
    code: str
    request_id: str = ""
    hint: str = ""
    supported: tuple[str, ...] = ()
    requested: str = ""
    quota: QuotaTold | UnsetType = UNSET


class _Error(Struct, frozen=True):
    code: int
    message: str
    data: _Data


class _Response(Struct, frozen=True):
    error: _Error
    id: Raw | UnsetType = UNSET
    jsonrpc: str = "2.0"


def render_mcp(
    error: JotgateError,
    request_id: str = "",
    resource_metadata: str = "",
    identity: Raw | None = None,
    scopes: str = "",
) -> Problem:
    """The refusal of a message with this JSON-RPC `id`; None: it is not known, or it has none."""
    plain = render(error, request_id, resource_metadata, scopes)
    return Problem(plain.status, plain.lines, error_body(error, request_id, identity))


def error_body(error: JotgateError, request_id: str = "", identity: Raw | None = None) -> bytes:
    """The JSON-RPC response alone, as it also stands in a stream."""
    return _encode(_Response(_error(error, request_id), UNSET if identity is None else identity))


def error_member(error: JotgateError, request_id: str = "") -> Raw:
    """The `error` of such a response."""
    return Raw(_encode(_error(error, request_id)))


def _error(error: JotgateError, request_id: str) -> _Error:
    message = error.message
    if request_id and isinstance(error, TokenError) and not isinstance(error, TokenMissing):
        message += f" (request {request_id})"
    versions = isinstance(error, McpVersionUnsupported)
    found = _Data(
        code=error.code,
        request_id=request_id,
        hint=error.hint,
        supported=STATELESS if versions else (),
        requested=error.requested if isinstance(error, McpVersionUnsupported) else "",
        quota=told(error.standing) if isinstance(error, QuotaExceeded) else UNSET,
    )
    return _Error(rpc_code(error), message, found)


def rpc_code(error: JotgateError) -> int:
    """The code of the JSON-RPC error object."""
    if isinstance(error, _OF_PROTOCOL):
        return error.rpc_code
    if isinstance(error, InternalError):
        return RPC_INTERNAL
    return RPC_INVALID_REQUEST if error.status == 400 else error.status

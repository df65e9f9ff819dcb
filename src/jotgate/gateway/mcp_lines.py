"""Which header fields of an MCP message cross to a server: by allow-list; the caller's credential never does."""

from typing import Final

from jotgate.core.calls import Request
from jotgate.core.mcp_messages import LAST_EVENT_FIELD, SESSION_FIELD
from jotgate.gateway.headers import request_id_line

_EITHER: Final = b"application/json, text/event-stream"
_TRACES: Final = (b"traceparent", b"tracestate")
_LEGACY: Final = (b"mcp-protocol-version",)
_STREAM: Final = (*_LEGACY, LAST_EVENT_FIELD)
_STATELESS: Final = (b"mcp-protocol-version", b"mcp-method", b"mcp-name")
_PARAM: Final = b"mcp-param-"


def base_lines(request: Request) -> bytes:
    """What every message has."""
    headers = request.headers
    lines = request_id_line(request.request_id) + b"Accept: %b\r\n" % headers.get(b"accept", _EITHER)
    for name in _TRACES:
        if name in headers:
            lines += b"%b: %b\r\n" % (name, headers[name])
    return lines


def stateless_passed(request: Request) -> bytes:
    """Those of a stateless message that goes to its server as it came."""
    return base_lines(request) + _passed(request, _STATELESS) + param_lines(request)


def param_lines(request: Request) -> bytes:
    """The arguments that stand in headers, whether anybody here knows them or not (MCP 2026-07-28, SEP-2243)."""
    return b"".join(b"%b: %b\r\n" % (name, value) for name, value in request.headers.items() if name.startswith(_PARAM))


def legacy_passed(request: Request, session: str) -> bytes:
    """Those of a message in a session that its server has given."""
    # What is said again on a stream is sifted there (gateway.mcp_unasked); the answer to a POST is not looked at so.
    lines = base_lines(request) + _passed(request, _STREAM if request.method == b"GET" else _LEGACY)
    return lines + b"%b: %b\r\n" % (SESSION_FIELD, session.encode("latin-1")) if session else lines


def _passed(request: Request, names: tuple[bytes, ...]) -> bytes:
    headers = request.headers
    return b"".join(b"%b: %b\r\n" % (name, headers[name]) for name in names if name in headers)

"""Calls from web pages (Fetch standard, CORS): listed origins may read answers, but for those of the admin API.

A preflight is answered here, without a token, since browsers send none with it. `Access-Control-Allow-Credentials` is
sent only where some route takes tokens from cookies, and no origin is `*`.
"""

import re
from collections.abc import Iterable
from functools import partial
from typing import Final, Protocol

from jotgate.core.calls import Request
from jotgate.edge.http1.listener import Application
from jotgate.edge.surfaces.switched import Talk, switch
from jotgate.errors import JotgateError
from jotgate.gateway.headers import request_id_line
from jotgate.ports import Answer, Caller, Running
from jotgate.socket_ports import SocketBounds

_CLOSED: Final = b"/admin/"  # No page of elsewhere administers a gateway.
_VARY: Final = b"Vary: Origin\r\n"
_EXPOSED: Final = (
    b"Access-Control-Expose-Headers: X-Request-Id, Retry-After, WWW-Authenticate, DPoP-Nonce, OpenAI-Processing-Ms, "
    b"Mcp-Session-Id\r\n"
)
_PREFLIGHT_VARY: Final = (
    b"Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\nCache-Control: no-store\r\n"
)
_PREFLIGHT_LINES: Final = b"Access-Control-Allow-Methods: GET, HEAD, POST\r\nAccess-Control-Max-Age: 600\r\n"
# Field names, as browsers write them there; an SDK's own (x-stainless-...) change with its versions.
_NAMES: Final = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+(?:,[ ]?[a-z0-9!#$%&'*+.^_`|~-]+)*", re.IGNORECASE)
_NAMES_BYTES_MAX: Final = 2_048
_WITH_COOKIES: Final = b"Access-Control-Allow-Credentials: true\r\n"


def asked_names(request: Request) -> bytes:
    """The names of header fields that a preflight asks for; empty where there are none, or they are no such list."""
    names = request.headers.get(b"access-control-request-headers", b"")
    return names if len(names) <= _NAMES_BYTES_MAX and _NAMES.fullmatch(names) else b""


class NamingApplication(Application, Protocol):
    """What is served to web pages: it names the preflights too."""

    def name(self, request: Request) -> str:
        """The id of a request that somebody else answers."""


class CorsSurface:
    """Serves what another application serves, to web pages too (edge.http1.listener.Application)."""

    def __init__(self, inner: NamingApplication, origins: Iterable[str], *, with_cookies: bool = False) -> None:
        """`with_cookies`: pages may send cookies too."""
        self._inner = inner
        self._credentials = _WITH_COOKIES if with_cookies else b""
        self._lines = {
            origin: b"Access-Control-Allow-Origin: %b\r\n" % origin + self._credentials + _VARY + _EXPOSED
            for origin in (text.encode("ascii") for text in origins)
        }

    def open(self, request: Request) -> Answer:
        """Open, or answer a preflight.

        Raises:
            JotgateError: as the inner application.
        """
        origin = request.headers.get(b"origin", b"")
        if request.method == b"OPTIONS" and b"access-control-request-method" in request.headers:
            request.request_id = self._inner.name(request)
            listed = origin in self._lines and not request.path.startswith(_CLOSED)
            lines = _allowance(request, origin) + self._credentials if listed else b""
            return partial(answer_preflight, request, lines)
        return partial(_answer, self._inner.open(request), self._lines_for(request))

    def refuse(self, request: Request, refusal: JotgateError, caller: Caller) -> None:
        """Tell the caller no, so that a page can read why."""
        self._inner.refuse(request, refusal, Headed(caller, self._lines_for(request)))

    def _lines_for(self, request: Request) -> bytes:
        """What the answer says of who may read it."""
        if request.path.startswith(_CLOSED):
            return _VARY
        return self._lines.get(request.headers.get(b"origin", b""), _VARY)


class Headed:
    """A caller whose answers get further header lines (socket_ports.SocketCaller)."""

    def __init__(self, caller: Caller, lines: bytes) -> None:
        self._caller = caller
        self._lines = lines
        self.write = caller.write
        self.end = caller.end
        self.abort = caller.abort

    def respond(self, status: int, lines: bytes, body: bytes) -> None:
        self._caller.respond(status, self._lines + lines, body)

    def start(self, status: int, lines: bytes, length: int | None, piece: bytes) -> None:
        self._caller.start(status, self._lines + lines, length, piece)

    def switch(self, lines: bytes, bounds: SocketBounds, talk: Talk) -> None:
        switch(self._caller, lines, bounds, talk)


def _answer(answer: Answer, lines: bytes, caller: Caller) -> Running | None:
    return answer(Headed(caller, lines))


def _allowance(request: Request, origin: bytes) -> bytes:
    """What the origin may send."""
    lines = b"Access-Control-Allow-Origin: %b\r\n" % origin + _PREFLIGHT_LINES
    names = asked_names(request)
    return lines + b"Access-Control-Allow-Headers: %b\r\n" % names if names else lines


def answer_preflight(request: Request, allowance: bytes, caller: Caller) -> None:
    """Say what may be sent; an origin that is not listed is told nothing, and its browser goes no further."""
    caller.respond(204, request_id_line(request.request_id) + _PREFLIGHT_VARY + allowance, b"")

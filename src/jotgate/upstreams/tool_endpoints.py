"""A server of MCP that is made of endpoints of HTTP: what is said to it in MCP, and asked of them in plain requests.

The endpoints are below one URL, and are sent the one credential of their server. What they answer is held until it is
whole, and no longer than `message_bytes` says.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from msgspec import Raw

from jotgate import __version__
from jotgate.core.calls import Outbound, ResponseHead
from jotgate.core.mcp_eras import DISCOVER
from jotgate.core.mcp_messages import Message, read_message
from jotgate.core.routes import Upstream
from jotgate.core.tool_answers import answer, discovered, error, listed
from jotgate.core.tool_endpoints import ask_endpoint, read_endpoint
from jotgate.errors import McpMalformed, UpstreamError, UpstreamTorn
from jotgate.mcp_refusals import RPC_INVALID_PARAMS
from jotgate.ports import Stopping, UpstreamEvents, UpstreamExchange
from jotgate.upstreams.openai import endpoint_of
from jotgate.upstreams.transport import Pool
from jotgate.upstreams.tunnel import proxy_lines

_JSON: Final = [(b"content-type", b"application/json")]
_ACCEPT: Final = b"Accept: application/json, text/*\r\n"
_CROSSING: Final = (b"x-request-id", b"traceparent", b"tracestate")
_UNKNOWN_METHOD: Final = -32601
_NOT_SENT: Final = (401, 403, 407, *range(300, 400))
"""Statuses that speak of jotgate's own request: whoever began the call knows what becomes of it."""


class EndpointsUpstream:
    """Calls the endpoints of one server (ports.UpstreamPort)."""

    def __init__(
        self, upstream: Upstream, loop: asyncio.AbstractEventLoop, roots: ssl.SSLContext | None = None
    ) -> None:
        parts = urlsplit(upstream.base_url)
        authority = parts.netloc.rpartition("@")[2]
        proxy = upstream.reach.proxy if parts.scheme == "http" else None
        # Through a proxy a plain request names its whole URL (RFC 9112 s3.2.2).
        self._prefix = (f"http://{authority}" if proxy else "") + parts.path.rstrip("/")
        credential = None if upstream.exchanged else upstream.credential
        authorization = "" if credential is None else f"Authorization: Bearer {credential.reveal()}\r\n"
        through = proxy_lines(proxy) if proxy else ""
        fixed = f"Host: {authority}\r\n{authorization}{through}User-Agent: jotgate/{__version__}\r\n"
        self._fixed = fixed.encode("latin-1") + _ACCEPT
        self._name = upstream.name.removeprefix("mcp:")
        self._bytes_max = upstream.answer_bytes
        self._endpoints = {one.name: one for one in upstream.endpoints}
        self._loop = loop
        self.pool = Pool(endpoint_of(upstream, parts), loop, roots)

    def begin_with(self, line: bytes, outbound: Outbound, events: UpstreamEvents) -> UpstreamExchange:
        """Answer the message, or have its endpoint asked with one more header line."""
        message = read_message(outbound.body)
        if message.method != "tools/call":
            return _Said(self._loop, events, *self._own(message))
        endpoint = self._endpoints.get(message.name)
        if endpoint is None:
            text = "there is no tool of this name"
            return _Said(self._loop, events, 400, error(message.id, RPC_INVALID_PARAMS, text))
        try:
            asked = ask_endpoint(endpoint, message.params)
        except McpMalformed as fault:
            return _Said(self._loop, events, 400, error(message.id, RPC_INVALID_PARAMS, fault.message))
        method, body = (b"GET", b"") if asked.body is None else (b"POST", asked.body)
        target = (self._prefix + asked.target) or "/"
        head = b"%b %b HTTP/1.1\r\n%b%b" % (method, target.encode("latin-1"), self._fixed, line)
        for one in outbound.lines.split(b"\r\n"):
            if one.partition(b":")[0].lower() in _CROSSING:
                head += one + b"\r\n"
        if asked.body is not None:
            head += b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
        gathering = _Gathering(message.id, events, self._bytes_max)
        gathering.exchange = self.pool.begin(head + b"\r\n" + body, gathering)
        return gathering

    def begin(self, outbound: Outbound, events: UpstreamEvents) -> UpstreamExchange:
        """The same with the credential of the settings, or none."""
        return self.begin_with(b"", outbound, events)

    def _own(self, message: Message) -> tuple[int, bytes]:
        """The status and body of what the settings answer."""
        if not message.is_request:
            return 202, b""
        if message.method == DISCOVER:
            return 200, answer(message.id, discovered(self._name))
        if message.method == "tools/list":
            return 200, answer(message.id, listed(one.definition for one in self._endpoints.values()))
        return 404, error(message.id, _UNKNOWN_METHOD, "this server has tools alone")


class _Said:
    """What is answered without asking anybody, in the next turn of the loop (ports.UpstreamExchange)."""

    written = True

    def __init__(self, loop: asyncio.AbstractEventLoop, events: UpstreamEvents, status: int, body: bytes) -> None:
        head = ResponseHead(status, _JSON if body else [], len(body))
        self._handle = loop.call_soon(events.received, head, body, True)

    def abort(self) -> None:
        self._handle.cancel()

    def stop(self) -> Stopping:
        self._handle.cancel()
        return "over"

    def pause(self) -> None:
        """It is one piece."""

    def resume(self) -> None:
        """The same."""


class _Gathering:
    """One call of an endpoint (ports.UpstreamExchange), and who hears of it (ports.UpstreamEvents).

    Mutable: what has come of the answer, and whom it is told.
    """

    def __init__(self, identity: Raw | None, events: UpstreamEvents, bytes_max: int) -> None:
        self.exchange: UpstreamExchange | None = None
        self._identity = identity
        self._events: UpstreamEvents | None = events
        self._bytes_max = bytes_max
        self._head: ResponseHead | None = None
        self._pieces: list[bytes] = []
        self._size = 0

    # ports.UpstreamExchange

    @property
    def written(self) -> bool:
        return self.exchange is not None and self.exchange.written

    def abort(self) -> None:
        self._events = None
        if self.exchange is not None:
            self.exchange.abort()

    def stop(self) -> Stopping:
        """Nobody wants it: there is nothing of it to tell."""
        self.abort()
        return "over"

    def pause(self) -> None:
        """It is told in one piece, which is bounded."""

    def resume(self) -> None:
        """The same."""

    # ports.UpstreamEvents

    def received(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
        if self._events is None:
            return
        if head is not None:
            self._head = head
        assert self._head is not None, "a body follows a head"
        status = self._head.status
        if status in _NOT_SENT:
            self._end(lambda events: events.received(ResponseHead(status, [], 0), b"", True), whole=complete)
            return
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > self._bytes_max:
            self._fail(UpstreamTorn("the answer of the tool's endpoint is too large"), whole=complete)
        elif complete:
            self._finish(self._head)

    def failed(self, error: UpstreamError, written: bool) -> None:
        if self._events is not None:
            events, self._events = self._events, None
            events.failed(error, written)

    def _finish(self, head: ResponseHead) -> None:
        fields = dict(head.headers)
        media_type = fields.get(b"content-type", b"").partition(b";")[0].strip().lower()
        try:
            if fields.get(b"content-encoding", b"identity").strip().lower() != b"identity":
                raise UpstreamTorn("the answer of the tool's endpoint is coded, which nobody has asked for")
            body = answer(self._identity, read_endpoint(head.status, media_type, b"".join(self._pieces)))
        except UpstreamError as fault:
            self._fail(fault, whole=True)
            return
        self._end(lambda events: events.received(ResponseHead(200, _JSON, len(body)), body, True), whole=True)

    def _fail(self, fault: UpstreamError, *, whole: bool) -> None:
        self._end(lambda events: events.failed(fault, True), whole=whole)

    def _end(self, tell: Callable[[UpstreamEvents], None], *, whole: bool) -> None:
        """Tell what came of it; the connection is closed unless the answer is whole."""
        events, self._events = self._events, None
        if not whole and self.exchange is not None:
            self.exchange.abort()
        if events is not None:
            tell(events)

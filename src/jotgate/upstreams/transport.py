"""HTTP/1.1 to an upstream: one request at a time on kept connections, straight from the event loop's callbacks.

A pool belongs to one endpoint (TCP, TLS or a Unix socket) and one event loop. A connection goes back to it only when
its answer ended where the framing said; anything else closes it.
"""

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Final, TypeVar, cast

import httptools
from msgspec import Struct

from jotgate.core.calls import ResponseHead
from jotgate.core.routes import Bounds, Proxy
from jotgate.errors import UpstreamError, UpstreamTorn, UpstreamUnavailable
from jotgate.ports import Stopping, UpstreamEvents
from jotgate.upstreams.tunnel import open_tunnel

_HEADER_BYTES_MAX: Final = 65_536
_STATUS_NO_BODY: Final = frozenset({204, 304})
_NO_BOUNDS: Final = Bounds()


class Endpoint(Struct, frozen=True):
    """Where to connect. `unix_path` wins over host and port; `proxy` is one to go through to an end with TLS."""

    host: str = ""
    port: int = 0
    tls: bool = False
    unix_path: str = ""
    connect_timeout_s: float = 5.0
    idle_connections: int = _NO_BOUNDS.idle_connections
    idle_s: float = _NO_BOUNDS.idle_s
    proxy: Proxy | None = None


class Exchange:
    """One request under way (ports.UpstreamExchange). Mutable: bound to a connection once there is one."""

    __slots__ = ("connection", "events", "paused", "stopped")

    def __init__(self, events: UpstreamEvents) -> None:
        self.events: UpstreamEvents | None = events
        self.connection: _Connection | None = None
        self.paused = False
        self.stopped = False

    @property
    def written(self) -> bool:
        """Whether there is a connection that the request was written to."""
        return self.connection is not None

    def abort(self) -> None:
        """Give up: close the connection; no event follows."""
        self.events = None
        if self.connection is not None:
            self.connection.close()

    def stop(self) -> Stopping:
        """End our half of the connection, which servers take for its end, and read on what they have sent."""
        connection = self.connection
        if connection is None:
            self.abort()
            return "over"
        self.stopped = True
        self.resume()
        if not connection.transport.can_write_eof():  # With TLS
            return "unasked"
        connection.transport.write_eof()
        return "asked"

    def pause(self) -> None:
        """Stop reading the answer."""
        if not self.paused:
            self.paused = True
            if self.connection is not None:
                self.connection.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self.paused:
            self.paused = False
            if self.connection is not None:
                self.connection.transport.resume_reading()


class DialledProtocol(asyncio.Protocol, ABC):
    """What has a connection of its own, and speaks on it as it likes."""

    @abstractmethod
    def unreached(self, error: UpstreamError) -> None:
        """There is none; nothing else is told."""


_Made = TypeVar("_Made", bound=asyncio.Protocol)


class Pool:
    """The connections to one endpoint. Mutable: the idle ones, newest last, and the connects under way."""

    def __init__(
        self, endpoint: Endpoint, loop: asyncio.AbstractEventLoop, roots: ssl.SSLContext | None = None
    ) -> None:
        self._endpoint = endpoint
        self._loop = loop
        self._tls = (roots or ssl.create_default_context()) if endpoint.tls else None
        self._idle_s = endpoint.idle_s
        self._retired = False
        self._idle: deque[_Connection] = deque()
        self._connecting: set[asyncio.Task[None]] = set()

    def begin(self, request: bytes, events: UpstreamEvents) -> Exchange:
        """Send a whole request; what comes of it is told to `events`, never before this returns."""
        exchange = Exchange(events)
        while self._idle:
            connection = self._idle.pop()
            if connection.open and self._loop.time() - connection.idle_since_s < self._idle_s:
                connection.send(request, exchange)
                return exchange
            connection.close()
        task = self._loop.create_task(self._connect(request, exchange))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return exchange

    def dial(self, socket: DialledProtocol) -> None:
        """Have a new connection made for this protocol, which is never in the pool."""
        task = self._loop.create_task(self._dial(socket))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def give_back(self, connection: "_Connection") -> None:
        """Take a connection whose answer is complete."""
        if self._retired or len(self._idle) >= self._endpoint.idle_connections:
            connection.close()
            return
        connection.idle_since_s = self._loop.time()
        self._idle.append(connection)

    def forget(self, connection: "_Connection") -> None:
        """A connection is gone."""
        if connection in self._idle:
            self._idle.remove(connection)

    def close_idle(self) -> None:
        """Close what has been idle for too long. Called a few times a second."""
        now_s = self._loop.time()
        while self._idle and now_s - self._idle[0].idle_since_s >= self._idle_s:
            self._idle.popleft().close()

    def retire(self) -> None:
        """No new call will come: close every connection as soon as it is idle."""
        self._retired = True
        while self._idle:
            self._idle.popleft().close()

    async def _dial(self, socket: DialledProtocol) -> None:
        try:
            async with asyncio.timeout(self._endpoint.connect_timeout_s):
                await self._open(lambda: socket)
        except (OSError, UnicodeError) as fault:
            socket.unreached(_unreachable(fault))

    async def _connect(self, request: bytes, exchange: Exchange) -> None:
        try:
            async with asyncio.timeout(self._endpoint.connect_timeout_s):
                connection = await self._open(self._protocol)
        except (OSError, UnicodeError) as fault:  # UnicodeError: a name that IDNA cannot encode
            if exchange.events is not None:
                exchange.events.failed(_unreachable(fault), False)
            return
        if exchange.events is None:
            connection.close()
            return
        connection.send(request, exchange)

    async def _open(self, make: Callable[[], _Made]) -> _Made:
        endpoint = self._endpoint
        if endpoint.unix_path:
            _, connection = await self._loop.create_unix_connection(make, endpoint.unix_path)
        elif self._tls is not None and endpoint.proxy is not None:
            address = (endpoint.host, endpoint.port)
            transport, connection = await open_tunnel(self._loop, endpoint.proxy, address, self._tls, make)
            connection.connection_made(transport)
        elif self._tls is not None:
            _, connection = await self._loop.create_connection(
                make, endpoint.host, endpoint.port, ssl=self._tls, server_hostname=endpoint.host
            )
        else:
            _, connection = await self._loop.create_connection(make, endpoint.host, endpoint.port)
        return connection

    def _protocol(self) -> "_Connection":
        return _Connection(self)


class _Connection(asyncio.Protocol):
    """One connection; httptools calls the `on_…` methods while `data_received` feeds it."""

    transport: asyncio.Transport

    def __init__(self, pool: Pool) -> None:
        self.idle_since_s = 0.0
        self.open = True
        self._pool = pool
        self._parser = httptools.HttpResponseParser(self)
        self._exchange: Exchange | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._barren_bytes = 0
        self._received = 0
        self._head: ResponseHead | None = None
        self._pieces: list[bytes] = []
        self._in_answer = False
        self._until_close = False
        self._complete = False
        self._keep = False

    def send(self, request: bytes, exchange: Exchange) -> None:
        """Write a request; the connection is this exchange's until its answer is complete."""
        self._exchange = exchange
        exchange.connection = self
        if exchange.paused:
            self.transport.pause_reading()
        self.transport.write(request)

    def close(self) -> None:
        """Close without telling anyone."""
        self._exchange = None
        self.open = False
        self.transport.close()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are ones without saying so

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:
            self.close()  # An answer that nobody asked for: the next one could not be told from it.
            return
        self._received = len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as fault:
            if not self._complete:
                self._break_off("the upstream's answer is not HTTP/1.1", str(fault))
                return
            self._keep = False  # The answer is whole; what stands behind it is not ours to read.
        head, pieces = self._head, self._pieces
        if head is None and not pieces and not self._complete:
            # A head, trailers or interim responses without end: the parser would gather them for ever.
            self._barren_bytes += self._received
            if self._barren_bytes > _HEADER_BYTES_MAX:
                self._break_off("the upstream's header section is too large", "")
            return
        self._barren_bytes = 0
        exchange = self._exchange
        piece = b"" if not pieces else pieces[0] if len(pieces) == 1 else b"".join(pieces)
        complete = self._complete
        self._head = None
        if pieces:
            self._pieces = []
        if complete:
            self._release(exchange)
        if exchange.events is not None:
            exchange.events.received(head, piece, complete)

    def connection_lost(self, fault: Exception | None) -> None:
        self.open = False
        self._pool.forget(self)
        exchange, self._exchange = self._exchange, None
        if exchange is None or exchange.events is None:
            return
        exchange.connection = None
        if self._until_close and fault is None:
            exchange.events.received(self._head, b"".join(self._pieces), True)
            return
        error: UpstreamError = (
            UpstreamTorn("the upstream's answer broke off", debug=_reason(fault))
            if self._in_answer
            else UpstreamUnavailable("the upstream closed the connection without an answer", debug=_reason(fault))
        )
        exchange.events.failed(error, True)

    # httptools

    def on_message_begin(self) -> None:
        if self._complete:
            self._keep = False  # Bytes behind the end of the answer: not a connection to use again.
            return
        self._headers = []
        self._in_answer = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_answer or self._complete:
            return  # Trailers are not passed on.
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._complete or 100 <= status < 200:
            return
        if not 200 <= status < 600:
            raise ValueError("no status code of RFC 9110 s15")
        length: int | None = None
        chunked = False
        # Only bytes that have come can make a head too large.
        if self._barren_bytes + self._received > _HEADER_BYTES_MAX and _size(self._headers) > _HEADER_BYTES_MAX:
            raise ValueError("header section too large")
        for name, value in self._headers:
            if name == b"content-length":
                length = int(value)
            elif name == b"transfer-encoding":
                chunked = True
                if value.strip().lower() != b"chunked":
                    raise ValueError("a transfer coding other than chunked")
        self._in_answer = True
        self._until_close = length is None and not chunked and status not in _STATUS_NO_BODY
        self._head = ResponseHead(status, self._headers, length)

    def on_body(self, body: bytes) -> None:
        if self._complete:
            return
        if not self._in_answer:
            raise ValueError("a body before the answer's head")  # An interim response has none (RFC 9110 s15.2).
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        if not self._in_answer or self._complete:
            return  # An interim response (RFC 9110 s15.2); the final one follows.
        self._complete = True
        self._keep = self._parser.should_keep_alive()

    # How an exchange ends

    def _release(self, exchange: Exchange) -> None:
        exchange.connection = None
        self._exchange = None
        self._complete = False
        self._in_answer = False
        if self._keep and not (exchange.paused or exchange.stopped):
            self._pool.give_back(self)
        else:
            self.close()

    def _break_off(self, what: str, debug: str) -> None:
        exchange = self._exchange
        self.close()
        if exchange is not None and exchange.events is not None:
            exchange.events.failed(UpstreamTorn(what, debug=debug), True)


def _unreachable(fault: Exception) -> UpstreamUnavailable:
    return UpstreamUnavailable("no connection to the upstream could be made", debug=_reason(fault))


def _reason(fault: Exception | None) -> str:
    """What the log has of a connection that is no more, or never was; nothing where the other end just closed it."""
    return "" if fault is None else str(fault) or type(fault).__name__


def _size(headers: list[tuple[bytes, bytes]]) -> int:
    """The length of a header section: names and values, and four bytes for each line's colon, space and end."""
    return sum(len(name) + len(value) + 4 for name, value in headers)

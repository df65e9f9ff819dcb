"""An HTTP upstream on loopback that answers as told, well or badly, and records exactly the requests it saw.

An answer is a list of steps: bytes to send, gates to wait at, and how the connection ends. Bytes before a gate have
left before the gate is reached, so that a test chooses the pieces in which its stream arrives.
"""

import asyncio
import socket
import ssl
import struct
from collections import deque
from collections.abc import Coroutine, Iterable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Final, Literal, Self, cast

from msgspec import Struct

from jotgate.testing.threads import in_thread

_LINGER_NOT: Final = struct.pack("ii", 1, 0)
_READY_S: Final = 10.0
_BACKLOG: Final = 1_024
"""A thousand callers at once are waited for, and not sent away to come again a second later."""


class Gate:
    """A place where an answer waits until `open` is called, from any thread. Never opened, it is silence."""

    def __init__(self) -> None:
        self._future: Future[None] = Future()

    @property
    def is_open(self) -> bool:
        """Whether `open` was called."""
        return self._future.done()

    def open(self) -> None:
        """Let the answer go on."""
        self._future.set_result(None)

    async def passed(self) -> None:
        """Wait for `open`."""
        await asyncio.shield(asyncio.wrap_future(self._future))


class End(Struct, frozen=True):
    """The end of the connection: in order (FIN), or with a reset."""

    how: Literal["close", "reset"] = "close"


class Pause(Struct, frozen=True):
    """So much time, in seconds, before the answer goes on: a slow peer is slow by the clock."""

    span_s: float


Step = bytes | Gate | Pause | End
Answer = Iterable[Step]
"""A generator says each step when the one before it is over."""


class Received(Struct, frozen=True):
    """One request as it came: its bytes, and which connection brought it, counted from 0."""

    raw: bytes
    connection: int

    @property
    def head(self) -> bytes:
        """The head without its empty line."""
        return self.raw.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        """The body."""
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def target(self) -> str:
        """The request target."""
        return self.head.split(b" ")[1].decode("ascii")

    @property
    def headers(self) -> dict[str, str]:
        """The header fields by lower-case name; one that stands twice fails the test."""
        fields: dict[str, str] = {}
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            name, _, value = line.partition(": ")
            assert name.lower() not in fields, f"{name} stands twice"
            fields[name.lower()] = value
        return fields


def unary(body: bytes, status: int = 200, *lines: bytes) -> list[Step]:
    """A whole answer with a Content-Length; `lines` are further header lines without their CRLF."""
    fields = b"".join(b"%b\r\n" % line for line in (b"Content-Type: application/json", *lines))
    return [b"HTTP/1.1 %d Scripted\r\n%bContent-Length: %d\r\n\r\n%b" % (status, fields, len(body), body)]


def chunked(*pieces: Step, content_type: bytes = b"text/event-stream") -> list[Step]:
    """A chunked answer, one chunk for each piece; gates and ends stand between the chunks."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % content_type
    steps = [b"%x\r\n%b\r\n" % (len(piece), piece) if isinstance(piece, bytes) else piece for piece in pieces]
    return [head, *steps, b"0\r\n\r\n"]


def until_close(*pieces: Step, content_type: bytes = b"text/event-stream") -> list[Step]:
    """An answer whose body ends with the connection."""
    return [b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n\r\n" % content_type, *pieces, End()]


def torn(body: bytes, missing: int = 1) -> list[Step]:
    """A unary answer that ends before its Content-Length."""
    return [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body) + missing, body), End()]


class UpstreamServer:
    """The upstream; use it with `async with`. Answers are given in the order of `script`, then `default` for ever.

    `answering` counts the requests that are being answered, `busiest` is the most that there were at once.
    """

    def __init__(
        self, *script: Answer, tls: ssl.SSLContext | None = None, unix_path: str = "", host: str = "127.0.0.1"
    ) -> None:
        self.script = deque(script)
        self.default: Answer = unary(b'{"error":"unscripted"}', 500)
        self.requests: list[Received] = []
        self.opened = 0
        self.answering = 0
        self.busiest = 0
        self.port = 0
        self._tls = tls
        self._unix_path = unix_path
        self._host = host
        self._changed = asyncio.Event()
        self._open: set[_Line] = set()
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        """The URL below which an OpenAI-compatible API would stand."""
        return f"{self.origin}/v1"

    @property
    def origin(self) -> str:
        """The server's scheme, host and port as a URL."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http{'s' if self._tls else ''}://{host}:{self.port}"

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        if self._unix_path:
            self._server = await loop.create_unix_server(self._line, self._unix_path)
        else:
            self._server = await loop.create_server(self._line, self._host, self.port, ssl=self._tls, backlog=_BACKLOG)
            self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server is not None
        self._server.close()
        for line in tuple(self._open):
            line.transport.abort()
        await self.until_connections(0)

    async def until_connections(self, count: int) -> None:
        """Wait until so many connections are open."""
        while len(self._open) != count:
            self._changed.clear()
            await self._changed.wait()

    async def until_requests(self, count: int) -> None:
        """Wait until so many requests have come."""
        while len(self.requests) < count:
            self._changed.clear()
            await self._changed.wait()

    async def refuse(self) -> None:
        """Refuse connections from now on; those that are open stay."""
        assert self._server is not None
        self._server.close()

    async def accept(self) -> None:
        """Take connections again, at the same port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._line, self._host, self.port, ssl=self._tls)

    def do(self, work: Coroutine[None, None, None]) -> None:
        """Have one of these done from another thread, and wait for it."""
        assert self._server is not None
        asyncio.run_coroutine_threadsafe(work, self._server.get_loop()).result(_READY_S)

    async def hang_up(self) -> None:
        """Close every open connection, as a server does with those that were idle for too long."""
        for line in tuple(self._open):
            line.transport.close()
        await self.until_connections(0)

    def _line(self) -> "_Line":
        number = self.opened
        self.opened += 1
        return _Line(self, number)

    # What a connection tells

    def connected(self, line: "_Line") -> None:
        self._open.add(line)
        self._changed.set()

    def disconnected(self, line: "_Line") -> None:
        self._open.discard(line)
        self._changed.set()

    def asked(self, request: Received) -> Answer:
        """Take a request down, and say how it is answered."""
        self.requests.append(request)
        self._changed.set()
        return self.script.popleft() if self.script else self.default


class _Line(asyncio.Protocol):
    """One connection to the upstream."""

    transport: asyncio.Transport

    def __init__(self, server: UpstreamServer, number: int) -> None:
        self._server = server
        self._number = number
        self._bytes = b""
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._server.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio calls it so
        if self._answering is not None:
            self._answering.cancel()
        self._server.disconnected(self)

    def data_received(self, data: bytes) -> None:
        self._bytes += data
        head, found, rest = self._bytes.partition(b"\r\n\r\n")
        if not found:
            return
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        if len(rest) < length:
            return
        assert len(rest) == length, "a second request came before the first was answered"
        raw, self._bytes = self._bytes, b""
        answer = self._server.asked(Received(raw, self._number))
        self._answering = asyncio.get_running_loop().create_task(self._answer(answer))

    async def _answer(self, answer: Answer) -> None:
        server = self._server
        server.answering += 1
        server.busiest = max(server.busiest, server.answering)
        try:
            await self._take(answer)
        finally:
            server.answering -= 1

    async def _take(self, answer: Answer) -> None:
        for step in answer:
            if isinstance(step, bytes):
                self.transport.write(step)
            elif isinstance(step, Gate):
                await step.passed()
            elif isinstance(step, Pause):
                await pause(step.span_s)
            else:
                self._end(step.how)
                return

    def _end(self, how: str) -> None:
        if how == "reset":
            reset(self.transport)
        else:
            self.transport.close()


def reset(transport: asyncio.Transport) -> None:
    """Close a connection with a reset."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    transport.abort()


async def pause(span_s: float) -> None:
    """Let so much time pass, in seconds."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    loop.call_later(span_s, over.set_result, None)
    await asyncio.shield(over)


def upstream_in_thread(*script: Answer, tls: ssl.SSLContext | None = None) -> AbstractContextManager[UpstreamServer]:
    """The same upstream with a loop and a thread of its own, for tests that have no loop."""
    return in_thread(UpstreamServer(*script, tls=tls))

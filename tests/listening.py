"""A real listener with the edge behind it and an application that a test steers, and a client that speaks raw bytes."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Self, cast

from jotgate.core.calls import Request
from jotgate.core.problems import render
from jotgate.core.snapshot import Limits
from jotgate.core.websocket_handshake import grant_lines
from jotgate.edge.accepting import Acceptor
from jotgate.edge.http1.guard import GuardedConnection, sweep
from jotgate.edge.http1.listener import OpenConnection, Surroundings
from jotgate.edge.http1.responses import HeadWriter
from jotgate.errors import JotgateError, TokenMissing
from jotgate.ports import Answer, Caller, Running
from jotgate.socket_ports import Socket, SocketBounds, SocketCaller
from jotgate.testing.ports import ManualClock
from tests.loops import until

SMALL: Final = Limits(header_bytes=1024, header_count=8, body_bytes=200_000)
_LINES: Final = b"Content-Type: text/plain\r\n"


@dataclass
class Task:
    """A request of `/later` under way (ports.Running): the test answers it through `caller`."""

    request: Request
    caller: Caller
    told: list[str] = field(default_factory=list)

    def caller_gone(self) -> None:
        self.told.append("gone")

    def caller_paused(self) -> None:
        self.told.append("paused")

    def caller_resumed(self) -> None:
        self.told.append("resumed")


@dataclass
class Talk:
    """A WebSocket at `/socket` (socket_ports.SocketEvents): what is said on it is said back."""

    socket: Socket
    told: list[str | int | bytes] = field(default_factory=list)

    def said(self, message: bytes, *, text: bool) -> None:
        if message == b"fault":
            raise ZeroDivisionError("a defect")
        self.told.append(message)
        self.socket.send(message, text=text)

    def slowed(self) -> None:
        self.told.append("slowed")

    def hastened(self) -> None:
        self.told.append("hastened")

    def leaving(self) -> None:
        self.socket.close(1001, "jotgate stops")

    def ended(self, code: int) -> None:
        self.told.append(code)


class Application:
    """Answers by path: `/now` says its body back, `/later` waits, `/no` is refused at its head, `/fault` fails.

    `/socket` is a WebSocket.
    """

    def __init__(self) -> None:
        self.talks: list[Talk] = []
        self.bounds = SocketBounds(message_bytes=100_000, messages_per_s=10.0, messages_at_once=50)
        self.opened: list[Request] = []
        self.answered: list[Request] = []
        self.refused: list[tuple[Request, JotgateError]] = []
        self.tasks: list[Task] = []

    def open(self, request: Request) -> Answer:
        self.opened.append(request)
        if request.path == b"/no":
            raise TokenMissing("there is none")
        if request.path == b"/broken":
            raise ZeroDivisionError("a defect while opening")
        return partial(self._answer, request)

    def refuse(self, request: Request, refusal: JotgateError, caller: Caller) -> None:
        self.refused.append((request, refusal))
        problem = render(refusal)
        caller.respond(problem.status, problem.lines, problem.body)

    def _answer(self, request: Request, caller: Caller) -> Running | None:
        self.answered.append(request)
        if request.path == b"/later":
            task = Task(request, caller)
            self.tasks.append(task)
            return task
        if request.path == b"/socket" and request.handshake is not None:
            spoken = request.handshake.protocols[0] if request.handshake.protocols else b""
            cast("SocketCaller", caller).switch(grant_lines(request.handshake, spoken), self.bounds, self._talk)
            return None
        if request.path == b"/fault":
            raise ZeroDivisionError("a defect")
        if request.path == b"/half":
            caller.start(200, _LINES, 9, b"half")
            raise ZeroDivisionError("a defect")
        caller.respond(200, _LINES, request.path + b":" + request.body)
        return None

    def _talk(self, socket: Socket) -> Talk:
        self.talks.append(Talk(socket))
        return self.talks[-1]


@dataclass
class Response:
    """One response: `whole` says whether its framing was fulfilled."""

    status: int
    fields: dict[str, str]
    body: bytes
    whole: bool = True

    @property
    def closes(self) -> bool:
        return self.fields.get("connection") == "close"


class Client:
    """A client connection. Reading is strict: an answer that is not HTTP/1.1 fails the test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *pieces: bytes) -> Self:
        for piece in pieces:
            self.writer.write(piece)
        return self

    async def trickle(self, text: bytes) -> None:
        """Send byte by byte, each as a segment of its own as far as the loop can tell."""
        for byte in text:
            self.writer.write(bytes([byte]))
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def answer(self, *, head_only: bool = False) -> Response:
        """The next response; interim ones have their own status."""
        head = (await self.reader.readuntil(b"\r\n\r\n"))[:-4].decode("latin-1")
        first, *lines = head.split("\r\n")
        version, status = first.split(" ")[:2]
        assert version == "HTTP/1.1"
        fields: dict[str, str] = {}
        for line in lines:
            name, found, value = line.partition(": ")
            assert found, line
            assert name.lower() not in fields, f"{name} stands twice"
            fields[name.lower()] = value
        response = Response(int(status), fields, b"")
        if not head_only and response.status >= 200 and response.status not in (204, 304):
            await self._read_body(response)
        return response

    async def _read_body(self, response: Response) -> None:
        assert not {"content-length", "transfer-encoding"} <= response.fields.keys()
        try:
            if "content-length" in response.fields:
                response.body = await self.reader.readexactly(int(response.fields["content-length"]))
            elif response.fields.get("transfer-encoding") == "chunked":
                await self._read_chunks(response)
            else:
                response.body = await self.reader.read()
        except asyncio.IncompleteReadError as fault:
            response.body += fault.partial
            response.whole = False

    async def _read_chunks(self, response: Response) -> None:
        while size := int((await self.reader.readuntil(b"\r\n")), 16):
            response.body += await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        assert await self.reader.readexactly(2) == b"\r\n"

    async def closed(self) -> bool:
        """Wait for the end of the connection; nothing may come before it."""
        rest = await self.reader.read()
        assert rest == b"", rest
        return True

    def leave(self) -> None:
        """Go away at once."""
        self.writer.transport.abort()


class Edge:
    """The listener."""

    def __init__(self, limits: Limits) -> None:
        self.application = Application()
        self.connections: set[OpenConnection] = set()
        self.made: list[GuardedConnection] = []
        self.clock = clock = ManualClock()
        self.surroundings = Surroundings(
            application=self.application,
            clock=clock,
            heads=HeadWriter(clock),
            limits=limits,
            connections=self.connections,
        )
        self.acceptor = Acceptor(asyncio.get_running_loop(), self.surroundings, self.make)
        self.faults: list[dict[str, object]] = []
        self.port = 0
        self._clients: list[Client] = []

    async def connect(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self._clients.append(client)
        return client

    def make(self, surroundings: Surroundings, address: str, count: int) -> GuardedConnection:
        self.made.append(GuardedConnection(surroundings, address, count))
        return self.made[-1]

    async def let_pass(self, seconds: float) -> None:
        """Let so much time pass for those who wait, and let the sweep see it."""
        await sweep(self.connections, self.clock)
        self.clock.advance(seconds)
        await sweep(self.connections, self.clock)

    def leave_all(self) -> None:
        for client in self._clients:
            client.leave()

    def note(self, _loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        self.faults.append(context)


@asynccontextmanager
async def listening(limits: Limits = SMALL, *, faults: int = 0) -> AsyncIterator[Edge]:
    """An edge on loopback; so many unforeseen faults are expected, and all its connections are gone at the end."""
    loop = asyncio.get_running_loop()
    edge = Edge(limits)
    loop.set_exception_handler(edge.note)
    listener = socket.create_server(("127.0.0.1", 0))
    edge.port = listener.getsockname()[1]
    edge.acceptor.open(listener)
    try:
        yield edge
    finally:
        edge.acceptor.close()
        edge.leave_all()
    await until(lambda: not edge.connections and not edge.acceptor.arriving)
    assert len(edge.faults) == faults, edge.faults


def get(path: bytes = b"/now", *lines: bytes, version: bytes = b"1.1") -> bytes:
    """A GET request."""
    fields = b"".join(b"%b\r\n" % line for line in (b"Host: gate", *lines))
    return b"GET %b HTTP/%b\r\n%b\r\n" % (path, version, fields)


def post(body: bytes, path: bytes = b"/now", *lines: bytes) -> bytes:
    """A POST request with a Content-Length."""
    fields = b"".join(b"%b\r\n" % line for line in (b"Host: gate", *lines))
    return b"POST %b HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b" % (path, fields, len(body), body)


def post_chunked(*chunks: bytes, path: bytes = b"/now", trailer: bytes = b"") -> bytes:
    """A POST request with a chunked body."""
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"POST %b HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: chunked\r\n\r\n%b0\r\n%b\r\n" % (
        path,
        framed,
        trailer,
    )


async def later(edge: Edge, client: Client, request: bytes) -> None:
    """Send a request for `/later` and wait until it is being answered."""
    count = len(edge.application.tasks)
    client.send(request)
    await until(lambda: len(edge.application.tasks) > count)

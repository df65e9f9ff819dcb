"""Clients that speak HTTP/1.1 themselves, over TLS or not, and forgive nothing: no retry, no other answer than theirs.

Like every client they look whether the server has closed a kept connection before they use it again.
"""

import asyncio
import json
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import Final, NamedTuple

from bench.soak.outcomes import Closed, Outcomes, Wrong
from bench.soak.upstream import EVENTS

MODEL: Final = "said"
ANSWER_WITHIN_S: Final = 30.0
_PAUSE_S: Final = 0.01
_FAREWELL_S: Final = 1.0
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Door:
    """Where the gateway listens, what opens it, and how its certificate is checked (None: no TLS)."""

    port: int
    token: str
    tls: ssl.SSLContext | None

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/v1"


class Line(NamedTuple):
    """A connection; our own port is how the server's list of connections names it."""

    port: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def gone(self) -> bool:
        """Whether the server has closed it."""
        return self.reader.at_eof() or self.writer.is_closing()

    async def close(self) -> None:
        """Close it and wait until it is closed."""
        self.writer.close()
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await self.writer.wait_closed()
        except (OSError, TimeoutError):
            self.writer.transport.abort()
            await asyncio.sleep(0)  # It is gone after a turn of the loop.


class NotConnected(Closed):
    """No connection came about from this port."""

    def __init__(self, port: int, detail: str) -> None:
        super().__init__(f"while connecting: {detail}")
        self.port = port


async def connect(door: Door) -> Line:
    """Open a connection.

    Raises:
        NotConnected: it could not be opened, or was closed before TLS stood.
    """
    sock = socket.socket()
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))  # So that our port is known whatever becomes of it.
    port: int = sock.getsockname()[1]
    try:
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", door.port))
        name = "localhost" if door.tls else None
        return Line(port, *await asyncio.open_connection(sock=sock, ssl=door.tls, server_hostname=name))
    except OSError as error:
        sock.close()
        raise NotConnected(port, repr(error)) from error


def render(door: Door, text: str, *, stream: bool = False, upgrade: bool = False, close: bool = False) -> bytes:
    """A chat completion request; `upgrade` asks for HTTP/2 in the clear, as Java's client does."""
    body = json.dumps({"model": MODEL, "stream": stream, "messages": [{"role": "user", "content": text}]}).encode()
    lines = [b"Authorization: Bearer " + door.token.encode(), b"Content-Type: application/json"]
    if upgrade:
        lines += [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAEAAEAAAAIAAAAB"]
    if close:
        lines.append(b"Connection: close")
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n%b\r\nContent-Length: %d\r\n\r\n"
    return head % (b"\r\n".join(lines), len(body)) + body


async def ask(line: Line, door: Door, *, stream: bool = False, upgrade: bool = False, close: bool = False) -> bool:
    """Send one request and read its answer; whether the connection may be used again.

    Raises:
        Closed: the connection ended before the answer did.
        Wrong: the answer is another one.
    """
    text = f"request-{next(_numbers)}"
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            line.writer.write(render(door, text, stream=stream, upgrade=upgrade, close=close))
            head = await line.reader.readuntil(b"\r\n\r\n")
            body = await read_body(line.reader, head)
    except TimeoutError:
        raise Wrong(f"no answer within {ANSWER_WITHIN_S:.0f} s") from None
    except (asyncio.IncompleteReadError, OSError) as error:
        raise Closed(repr(error)) from error
    if not head.startswith(b"HTTP/1.1 200 "):
        raise Wrong(f"{head[:60]!r} {body[:300]!r}")
    if stream:
        _check_stream(body, text)
    elif json.loads(body)["choices"][0]["message"]["content"] != text:
        raise Wrong(f"the answer to another request: {body[:300]!r}")
    return b"\r\nconnection: close\r\n" not in head.lower()


async def read_body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """The body that follows this head, chunked or not."""
    low = head.lower()
    if b"\r\ntransfer-encoding: chunked\r\n" not in low:
        return await reader.readexactly(int(low.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return body


def _check_stream(body: bytes, text: str) -> None:
    if body.count(f'"{text} "'.encode()) != EVENTS or not body.endswith(b"data: [DONE]\n\n"):
        raise Wrong(f"a stream that is not whole or another's: {body[-300:]!r}")


# The clients

Act = Callable[[Line], Awaitable[bool]]


class Client:
    """One client that asks until it is told to stop."""

    def __init__(self, name: str, door: Door, outcomes: Outcomes) -> None:
        self._name = name
        self._door = door
        self._outcomes = outcomes

    async def keep_asking(self, stop: asyncio.Event) -> None:
        """Over a kept connection, one request after the other, as wrk does it."""
        line: Line | None = None
        while not stop.is_set():
            if line is not None and line.gone:
                await line.close()
                line = None
            line = await self._counted(lambda used: ask(used, self._door), line)
            await asyncio.sleep(_PAUSE_S)
        if line is not None:
            await line.close()

    async def ask_anew(self, stop: asyncio.Event, *, stream: bool = False, upgrade: bool = False) -> None:
        """Over a new connection for each request."""
        while not stop.is_set():
            await self.ask_once(stream=stream, upgrade=upgrade)
            await asyncio.sleep(_PAUSE_S)

    async def ask_once(self, *, stream: bool = False, upgrade: bool = False) -> None:
        """One request over a connection of its own."""
        line = await self._counted(
            lambda used: ask(used, self._door, stream=stream, upgrade=upgrade, close=not upgrade), None
        )
        if line is not None:
            await line.close()

    async def _counted(self, act: Act, line: Line | None) -> Line | None:
        """Act on the connection, or on a new one; returns it when it may be used again."""
        began_s, port = time.monotonic(), 0
        try:
            line = line or await connect(self._door)
            port = line.port
            goes_on = await act(line)
        except (Closed, Wrong) as error:
            port = error.port if isinstance(error, NotConnected) else port
            self._outcomes.failed(self._name, error, port, began_s)
            goes_on = False
        else:
            self._outcomes.succeeded(self._name, port, began_s)
        if goes_on:
            return line
        if line is not None:
            await line.close()
        return None

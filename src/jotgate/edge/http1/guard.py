"""Keeps client connections within limits: how many from one address, how far each is read ahead, how long it may take.

Time is kept by a coarse sweep that looks at each connection a few times a second and asks what it is waiting for: a
request costs nothing for it, and a limit may be exceeded by the time between two looks.
"""

import asyncio
from collections.abc import Collection
from typing import Final, Literal

from jotgate.core.snapshot import Limits
from jotgate.edge.http1.listener import OpenConnection, Surroundings
from jotgate.edge.http1.protocol import Connection
from jotgate.edge.websocket import ServerSocket, Talk
from jotgate.errors import RequestLate, TooManyConnections
from jotgate.ports import Clock
from jotgate.socket_ports import SocketBounds

# What comes in one segment of at most this size is parsed as it is: all but large requests, and pipelines.
_SHORT_BYTES: Final = 2_048
# While a request is being answered, so much of the next one's body is read.
_READ_AHEAD_BYTES: Final = 65_536
_PIECES_AT_ONCE: Final = 32
_CONNECTIONS_AT_ONCE: Final = 500
SWEEP_INTERVAL_S: Final = 0.5

Wait = Literal["first_byte", "header", "body", "idle", "stall", "closing", ""]


class GuardedConnection(Connection):
    """A client connection within its limits. Mutable: bytes that wait unparsed, and what it has been waiting for."""

    def __init__(self, surroundings: Surroundings, address: str = "", count: int = 0) -> None:
        """`count` is how many connections the address has with this one; 0 when its connections are not counted."""
        super().__init__(surroundings)
        self._address = address
        self._count = count
        self._made = False
        self._held = b""
        self._reads = True
        self._scheduled = False
        self._wait: Wait = ""
        self._mark: object = None
        self._since_s = 0.0

    # How many

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._made = True
        around = self._around
        around.connections.add(self)
        limit = around.limits.connections_per_address
        if self._count > limit:
            self._refuse_unread(TooManyConnections(f"this address has {limit} connections already"))
            self._advance()

    def set_up_ended(self) -> None:
        """There will be no `connection_made` if there was none: count it no longer."""
        if not self._made:
            self._leave()

    def connection_lost(self, exc: Exception | None) -> None:
        self._around.connections.discard(self)
        self._leave()
        self._held = b""
        super().connection_lost(exc)

    def _leave(self) -> None:
        if self._count:
            self._around.crowd.leave(self._address)
            self._count = 0

    # How far ahead. Each request passes the first two: naming the class costs less than super().

    def data_received(self, data: bytes) -> None:
        if (
            len(data) > _SHORT_BYTES
            or self._turn is not None
            or self._waiting
            or self._held
            or self._request is not None
            or self._early
            or self._switching
        ):
            self._held += data
            self._take()
            return
        self._held = self._read(data)
        self._advance()
        if self._held:
            self._take()

    def _finish_turn(self) -> None:
        self._switching = False
        Connection._finish_turn(self)  # noqa: SLF001 - its own
        if self._held:
            self._take_soon()

    # A WebSocket instead

    def switch(self, lines: bytes, bounds: SocketBounds, talk: Talk) -> None:
        """Grant the WebSocket that was asked for, and hand the connection over to it (socket_ports.SocketCaller)."""
        self._turn = None
        self.transport.write(self._around.heads.switching(lines))
        socket = ServerSocket(self.transport, self._around, bounds, self._let_go)
        socket.begin(talk)
        # What stands behind the handshake is known when the reading that goes on below this has ended.
        asyncio.get_running_loop().call_soon(self._hand_over, socket)

    def _hand_over(self, socket: ServerSocket) -> None:
        early, self._held = self._held, b""
        if self.transport.is_closing():
            socket.connection_lost(None)
            return
        self._around.connections.discard(self)
        self._around.connections.add(socket)
        self.transport.set_protocol(socket)
        self._read_on(reads=True)
        if early:
            socket.data_received(early)

    def _let_go(self, socket: OpenConnection) -> None:
        """The WebSocket is gone."""
        self._around.connections.discard(socket)
        self._leave()

    def _take(self) -> None:
        """Parse what is held, request by request, while there is room; stop reading while something is left."""
        held, start, pieces = self._held, 0, _PIECES_AT_ONCE
        while start < len(held) and pieces and self._has_room():
            end = self._piece_end(held, start)
            start = end - len(self._read(held[start:end]))
            self._advance()
            pieces -= 1
        self._held = b"" if self._last_read else held[start:]
        if self._held and self._has_room():
            self._take_soon()
        self._read_on(not self._held)

    def _take_soon(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._take_again)

    def _take_again(self) -> None:
        self._scheduled = False
        self._take()

    def _read_on(self, reads: bool) -> None:
        if reads is self._reads or self.transport.is_closing():
            return
        self._reads = reads
        if reads:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def _has_room(self) -> bool:
        """Whether another request, or more of the body that is being read, may be taken."""
        if self._last_read:
            return True  # Nothing is kept of it.
        if self._switching:
            return False  # What follows may be no HTTP.
        if len(self._waiting) >= self._limits.pipelined_requests:
            return False
        return self._request is None or self.idle or self._body_bytes < _READ_AHEAD_BYTES

    # How long

    def check_patience(self, now_s: float) -> None:
        """Cut off a client that has been waited for long enough."""
        wait, mark = self._waits_for()
        if wait != self._wait or not (mark is self._mark or (wait == "stall" and mark == self._mark)):
            self._wait, self._mark, self._since_s = wait, mark, now_s
        elif wait and now_s - self._since_s > patience_s(wait, self._around.limits):
            self._lose_patience(wait)

    def _waits_for(self) -> tuple[Wait, object]:
        """What is awaited of the client, and a mark that changes when another such wait begins."""
        if self.transport.is_closing():
            return "closing", None
        if self._caller_paused:
            return "stall", self.transport.get_write_buffer_size()
        if self._last_read or self._held or not self.idle:
            return "", None
        if self._request is not None:
            return "body", self._request
        if self._answer is not None:
            return "idle", self._fields
        return "header" if self._received else "first_byte", self._fields

    def _lose_patience(self, wait: Wait) -> None:
        seconds = f"{patience_s(wait, self._around.limits):g} s"
        if wait == "header":
            self._refuse_unread(RequestLate(f"the header section did not come within {seconds}"))
            self._advance()
        elif wait == "body" and self._request is not None:
            self._refuse_now(self._request, RequestLate(f"the body did not come within {seconds}"))
            self._advance()
        elif wait in ("first_byte", "idle"):
            self._last_read = True
            self.transport.close()
        else:
            self.transport.abort()


def patience_s(wait: Wait, limits: Limits) -> float:
    """How long a client is waited for."""
    match wait:
        case "first_byte":
            return limits.first_byte_s
        case "header":
            return limits.header_s
        case "body":
            return limits.body_s
        case "idle":
            return limits.idle_s
        case _:
            return limits.stall_s


async def sweep(connections: Collection[OpenConnection], clock: Clock) -> None:
    """Look at each connection once; the event loop goes on in between."""
    for count, connection in enumerate(tuple(connections), 1):
        connection.check_patience(clock.monotonic_s())
        if count % _CONNECTIONS_AT_ONCE == 0:
            await asyncio.sleep(0)

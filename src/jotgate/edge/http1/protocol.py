"""The hot edge: one client connection of HTTP/1.1, requests answered in the order in which they came.

`http1.reading` reads them; here is the `ports.Caller` of the request whose turn it is. `http1.guard` bounds reading and
waiting.
"""

import asyncio
import fcntl
import socket
import struct
import sys
import termios
from typing import Final, cast

import httptools

from jotgate.core.problems import render
from jotgate.edge.http1.listener import Surroundings, Turn
from jotgate.edge.http1.reading import RequestReader
from jotgate.edge.http1.responses import CONTINUE, LAST_CHUNK, chunk
from jotgate.errors import InternalError
from jotgate.ports import Running

# RFC 9112 s9.6: bytes that arrive at a closed socket reset the connection, and the reset may overtake the answer.
_LINGER_S: Final = 2.0
_FAREWELL_S: Final = 0.75
"""So long a client has for what it has not read of an answer that is given up: a cut is one within 1.5 s."""
# RFC 9110 s8.6: these have no body, and a Content-Length of 0 would be forbidden or untrue.
_STATUS_NO_BODY: Final = frozenset({204, 304})
# Socket option SO_LINGER: on, for 0 s; what closes then is a reset.
_RESET: Final = struct.pack("ii", 1, 0)


class Connection(RequestReader):
    """One client connection. Mutable: the request being answered, beside those being read."""

    transport: asyncio.Transport

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._turn: Turn | None = None
        self._running: Running | None = None
        self._chunked = False
        self._ends_with_connection = False
        self._bodiless = False
        self._begun = False
        self._keep_alive = True
        self._ending = False
        self._advancing = False
        self._caller_paused = False

    @property
    def idle(self) -> bool:
        """Nothing is being answered, and nothing waits."""
        return self._turn is None and not self._waiting

    def announce_end(self) -> None:
        """Close behind the answer to the next request, and say so in it; until then the caller may still ask."""
        self._ending = True

    def close_when_idle(self) -> None:
        """Take no request that has not begun; close when those that have are answered."""
        if self._has_begun_one:
            self._ending = self._takes_no_other = True
            return
        self._last_read = True
        if self.idle:
            self.transport.close()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are ones without saying so
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if isinstance(peer, tuple) else ""
        tls = transport.get_extra_info("ssl_object")
        self._certificate = b"" if tls is None else tls.getpeercert(binary_form=True) or b""

    def data_received(self, data: bytes) -> None:
        start = 0
        while start < len(data):
            end = self._piece_end(data, start)
            start = end - len(self._read(data[start:end]))
        self._advance()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio calls it so
        self._waiting.clear()
        self._last_read = True
        running, self._running, self._turn = self._running, None, None
        if running is not None:
            running.caller_gone()
        # The old one refers back here, and thousands of such pairs would wait for a cyclic collection.
        self._parser = httptools.HttpRequestParser(None)

    def pause_writing(self) -> None:
        self._caller_paused = True
        if self._running is not None:
            self._running.caller_paused()

    def resume_writing(self) -> None:
        self._caller_paused = False
        if self._running is not None:
            self._running.caller_resumed()
        self._advance()

    # The request being answered (ports.Caller)

    def respond(self, status: int, lines: bytes, body: bytes) -> None:
        """Send a whole response."""
        self._begun = True
        framing = b"" if status in _STATUS_NO_BODY else b"Content-Length: %d\r\n" % len(body)
        self.transport.write(self._headed(status, lines, framing, b"" if self._bodiless else body))
        self._finish_turn()

    def start(self, status: int, lines: bytes, length: int | None, piece: bytes) -> None:
        """Send the head and the first piece."""
        self._begun = True
        self._chunked = False
        if length is not None:
            framing = b"Content-Length: %d\r\n" % length
        elif self._turn is not None and self._turn.http10:
            framing = b""
            self._keep_alive = False
            self._ends_with_connection = True
        else:
            framing = b"Transfer-Encoding: chunked\r\n"
            self._chunked = True
        self.transport.write(self._headed(status, lines, framing, self._framed(piece)))

    def write(self, piece: bytes) -> None:
        """Send a further piece."""
        self.transport.write(self._framed(piece))

    def end(self, piece: bytes) -> None:
        """Send the last piece and finish the response."""
        last = LAST_CHUNK if self._chunked and not self._bodiless else b""
        self.transport.write(self._framed(piece) + last)
        self._finish_turn()

    def abort(self) -> None:
        """Close the connection: the response cannot be finished. Where its end is the connection's, by a reset.

        A client that reads slowly has a moment for what it has not read of it; the rest is dropped.
        """
        self._running = None
        self._last_read = True
        if self._ends_with_connection:
            self._reset()
        elif not self._unread_bytes() or not (self.transport.can_write_eof() or self._caller_paused):
            self.transport.close()
        else:
            if self.transport.can_write_eof():
                self.transport.write_eof()
            asyncio.get_running_loop().call_later(_FAREWELL_S, self._drop)

    def _headed(self, status: int, lines: bytes, framing: bytes, piece: bytes) -> bytes:
        if (self._last_read or (self._ending and not self._has_begun_one)) and not self._waiting:
            self._keep_alive = False
        return self._around.heads.head(status, lines, framing, piece, keep_alive=self._keep_alive)

    def _framed(self, piece: bytes) -> bytes:
        if self._bodiless:
            return b""
        return chunk(piece) if self._chunked else piece

    def _finish_turn(self) -> None:
        self._turn = None
        self._running = None
        if not self._keep_alive or (self._last_read and not self._waiting):
            self._waiting.clear()
            self._last_read = True
            self._close()
        else:
            if self._waiting:
                self._advance()
            if self._owes_continue:
                self._continue()

    def _continue(self) -> None:
        """Tell a client that waits to send its body, once all before it is answered (RFC 9110 s10.1.1)."""
        if self._owes_continue and self.idle:
            self._owes_continue = False
            self.transport.write(CONTINUE)

    def _run(self, turn: Turn) -> Running | None:
        try:
            return turn.answer(self)
        except Exception as fault:  # The top of the edge: what nobody foresaw still gets an answer, and is told.
            self._report(fault)
            if self._begun:
                self.abort()
            else:
                problem = render(InternalError("jotgate failed to answer this request"))
                self.respond(problem.status, problem.lines, problem.body)
            return None

    def _report(self, fault: Exception) -> None:
        context = {"message": "a request met an unexpected fault", "exception": fault, "protocol": self}
        asyncio.get_running_loop().call_exception_handler(context)

    def _close(self) -> None:
        """Close behind the answer; where the client may still be sending, our side first and the rest soon."""
        if self._cut_short and self.transport.can_write_eof():
            self.transport.write_eof()
            asyncio.get_running_loop().call_later(_LINGER_S, self.transport.close)
        else:
            self.transport.close()

    def _drop(self) -> None:
        if self._unread_bytes():
            self._reset()
        else:
            self.transport.close()

    def _unread_bytes(self) -> int:
        """How much of what was written the client has not taken, as far as this machine knows."""
        unsent = self.transport.get_write_buffer_size()
        connected = self.transport.get_extra_info("socket")
        if connected is None or self.transport.is_closing():
            return unsent
        return unsent + int.from_bytes(fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)

    def _reset(self) -> None:
        """Break the connection off so that the client sees it (RFC 9112 s8)."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def _advance(self) -> None:
        """Run the waiting requests, one at a time, until one of them takes longer than this turn of the loop."""
        if self._advancing:
            return
        self._advancing = True
        while self._turn is None and self._waiting and not self._caller_paused:
            turn = self._waiting.popleft()
            self._turn, self._begun = turn, False
            self._keep_alive, self._bodiless = turn.keep_alive, turn.bodiless
            running = self._run(turn)
            if self._turn is turn:
                self._running = running
        self._advancing = False

"""The hot edge: one client connection of HTTP/1.1, requests answered in the order in which they came.

Reads with httptools, refuses what that lets through, and is the `ports.Caller` of the request whose turn it is. A
request whose head is refused is answered at once, and the connection closed; `http1.guard` bounds reading and waiting.
"""

import asyncio
from collections import deque
from functools import partial
from typing import Final, cast

import httptools

from jotgate.core.calls import Request
from jotgate.core.problems import render
from jotgate.edge.http1.heads import (
    Fields,
    body_too_large,
    check_head,
    fields_too_large,
    gather_fields,
    head_bytes,
    head_without_upgrade,
    split_target,
)
from jotgate.edge.http1.listener import Surroundings, Turn
from jotgate.edge.http1.responses import CONTINUE, LAST_CHUNK, chunk
from jotgate.errors import HeadersTooLarge, InternalError, JotgateError, RequestMalformed
from jotgate.ports import Answer, Running

# A refused body up to this size is read to its end, so that the connection can be kept.
_READ_REFUSED_BYTES: Final = 65_536
# RFC 9112 s9.6: bytes that arrive at a closed socket reset the connection, and the reset may overtake the answer.
_LINGER_S: Final = 2.0
# RFC 9110 s8.6: these have no body, and a Content-Length of 0 would be forbidden or untrue.
_STATUS_NO_BODY: Final = frozenset({204, 304})


class Connection(asyncio.Protocol):
    """One client connection. Mutable: the request being read, those waiting, the one being answered."""

    transport: asyncio.Transport

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings
        self._limits = surroundings.limits
        self._parser = httptools.HttpRequestParser(self)
        self._peer = ""
        # The request being read.
        self._target = b""
        self._fields: Fields = []
        self._field_bytes = 0
        self._request: Request | None = None
        self._answer: Answer | None = None
        self._refused = False
        self._pieces: list[bytes] = []
        self._body_bytes = 0
        self._body_bytes_max = self._limits.body_bytes
        self._received = 0
        self._part_ended = False
        self._http10 = False
        self._upgrading = False
        self._owes_continue = False
        # The requests that are read.
        self._waiting: deque[Turn] = deque()
        self._last_read = False
        self._cut_short = False
        # The request being answered.
        self._turn: Turn | None = None
        self._running: Running | None = None
        self._chunked = False
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
        """Take no further request; close when what is read has been answered."""
        self._last_read = True
        if self.idle:
            self.transport.close()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are ones without saying so
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if isinstance(peer, tuple) else ""

    def data_received(self, data: bytes) -> None:
        if self._last_read:
            self._cut_short = True
            return
        self._received = len(data)
        self._part_ended = False
        body_bytes = self._body_bytes
        self._feed(data)
        if not self._part_ended and self._body_bytes == body_bytes:
            self._bound_fields()
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

    # httptools: a request is read

    def on_message_begin(self) -> None:
        self._target = b""
        self._fields = []
        self._field_bytes = 0
        self._request = None
        self._answer = None
        self._refused = False
        self._body_bytes = 0
        self._body_bytes_max = self._limits.body_bytes
        self._owes_continue = False

    def on_url(self, target: bytes) -> None:
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers land here too, behind a head that is already read; both are bounded by limits.header_bytes.
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        self._part_ended = True
        if self._last_read:
            return
        version = self._parser.get_http_version()
        self._http10 = version == "1.0"
        request = Request(
            method=self._parser.get_method(),
            path=self._target,
            query=b"",
            headers={},
            peer=self._peer,
            begun_s=self._around.clock.monotonic_s(),
        )
        self._request = request
        try:
            self._read_head(request, version)
        except JotgateError as refusal:
            self._refuse_now(request, refusal)
            return
        if self._upgrading:
            return  # The parser stops here; the request is read again without its wish.
        try:
            self._answer = self._around.application.open(request)
        except JotgateError as refusal:
            self._refuse(request, refusal)
        if request.body_bytes_max is not None:
            self._body_bytes_max = min(self._body_bytes_max, request.body_bytes_max)
        self._await_body(request)

    def on_body(self, piece: bytes) -> None:
        request = self._request
        if request is None or self._last_read:
            return
        self._body_bytes += len(piece)
        self._field_bytes = 0
        self._owes_continue = False
        if self._refused:
            if self._body_bytes > _READ_REFUSED_BYTES:
                self._cut_reading()
        elif self._body_bytes > self._body_bytes_max:
            self._refuse_now(request, body_too_large(self._body_bytes_max))
        else:
            self._pieces.append(piece)

    def on_message_complete(self) -> None:
        self._part_ended = True
        if self._request is not None and not self._upgrading:
            # An HTTP/1.0 client keeps a connection only when it is told so, and none is (RFC 9112 s9.3).
            self._finish_reading(keep_alive=self._parser.should_keep_alive() and not self._http10)

    # The request being read

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as fault:
            self._report(fault)
            self._refuse_unread(InternalError("jotgate failed to read this request"))
        except httptools.HttpParserError:
            self._refuse_unread(RequestMalformed("the request is not HTTP/1.1"))

    def _read_head(self, request: Request, version: str) -> None:
        if len(self._fields) > self._limits.header_count:
            raise HeadersTooLarge(f"the request has more than {self._limits.header_count} header fields")
        limit = self._limits.header_bytes
        if self._field_bytes + self._received > limit and head_bytes(self._target, self._fields) > limit:
            raise fields_too_large(limit)
        headers = gather_fields(self._fields)
        check_head(headers, version)
        if request.method == b"CONNECT":
            raise RequestMalformed("CONNECT asks for a tunnel, and jotgate is no proxy for them")
        request.path, request.query = split_target(self._target)
        request.headers = headers
        self._upgrading = self._parser.should_upgrade()
        self._field_bytes = 0

    def _bound_fields(self) -> None:
        """Refuse a head that does not end, or trailers that do not: the parser would gather either for ever.

        A segment that held the end of a head or body says nothing of the length of what follows, and does not count.
        """
        if self._last_read:
            return
        self._field_bytes += self._received
        if self._field_bytes > self._limits.header_bytes:
            self._refuse_unread(fields_too_large(self._limits.header_bytes))

    def _await_body(self, request: Request) -> None:
        """Refuse a body that is too large before it is sent, and tell a client that waits to go on."""
        length = int(request.headers.get(b"content-length", b"0"))
        wish = request.headers.get(b"expect")
        expects = wish is not None and wish.lower() == b"100-continue" and not self._http10
        if not self._refused and length > self._body_bytes_max:
            self._refuse(request, body_too_large(self._body_bytes_max))
        if self._refused and (length > _READ_REFUSED_BYTES or expects):
            self._cut_reading()
        elif expects:
            self._owes_continue = True
            self._continue()

    def _continue(self) -> None:
        """Tell a client that waits to send its body, once all before it is answered (RFC 9110 s10.1.1)."""
        if self._owes_continue and self.idle:
            self._owes_continue = False
            self.transport.write(CONTINUE)

    def _cut_reading(self) -> None:
        self._cut_short = True
        self._finish_reading(keep_alive=False)

    def _finish_reading(self, *, keep_alive: bool) -> None:
        request, answer = self._request, self._answer
        self._request = None
        pieces, self._pieces = self._pieces, []
        if request is None or answer is None or self._last_read:
            return
        request.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._last_read = not keep_alive
        self._waiting.append(Turn(answer, keep_alive, self._http10, request.method == b"HEAD"))

    def _refuse(self, request: Request, refusal: JotgateError) -> None:
        """Answer with the refusal when the rest of the request has been read, and dropped."""
        self._refused = True
        self._answer = partial(self._around.application.refuse, request, refusal)

    def _refuse_now(self, request: Request, refusal: JotgateError) -> None:
        """Answer with the refusal, after everything before it, without reading on; then close."""
        self._request = request
        self._refuse(request, refusal)
        self._cut_reading()

    def _refuse_unread(self, refusal: JotgateError) -> None:
        """Refuse what cannot be read as a request."""
        begun_s = self._around.clock.monotonic_s()
        self._refuse_now(Request(b"", b"", b"", {}, self._peer, begun_s), refusal)

    def _decline_upgrade(self, rest: bytes) -> None:
        """Go on in HTTP/1.1 (RFC 9110 s7.8): read the request again without its wish, and the body behind it."""
        if not self._upgrading:
            return
        self._upgrading = False
        head = head_without_upgrade(self._parser, self._target, self._fields)
        self._parser = httptools.HttpRequestParser(self)
        self._feed(head + rest)

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
        """Close the connection after what is written: the response cannot be finished."""
        self._running = None
        self._last_read = True
        self.transport.close()

    def _headed(self, status: int, lines: bytes, framing: bytes, piece: bytes) -> bytes:
        if (self._last_read or self._ending) and not self._waiting:
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

"""Reads the requests of one client connection, one message at a time, and refuses what no HTTP/1.1 request is.

Parses with httptools and refuses what that lets through. A request whose head is refused is answered at once, and the
connection closed. `http1.protocol` answers what is read here.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from functools import partial
from typing import Final

import httptools

from jotgate.core.calls import Request
from jotgate.core.websocket_handshake import find_handshake
from jotgate.edge.http1.heads import (
    HEAD_END,
    Fields,
    body_too_large,
    check_head,
    fields_too_large,
    fields_too_many,
    gather_fields,
    head_bytes,
    head_without_upgrade,
    http_version,
    message_end,
    split_target,
)
from jotgate.edge.http1.listener import Surroundings, Turn
from jotgate.errors import InternalError, JotgateError, RequestMalformed
from jotgate.ports import Answer

# A refused body up to this size is read to its end, so that the connection can be kept.
_READ_REFUSED_BYTES: Final = 65_536
# Bodies in chunks are parsed in pieces of this size.
_PIECE_BYTES: Final = 2_048
_LINE_END: Final = b" HTTP/1.1\r\n"


class _Halt(Exception):
    """Tells the parser to stop where it is; it is raised in its callbacks, and never leaves `_feed`."""


class RequestReader(asyncio.Protocol, ABC):
    """What reads requests. Mutable: the request being read, and those that are read and wait for their turn.

    What is parsed at once belongs to one message, so that its request line stands where it begins: the parser does not
    tell HTTP's own word from that of RTSP, and passes over line feeds in front of it.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings
        self._limits = surroundings.limits
        self._parser = httptools.HttpRequestParser(self)
        self._peer = ""
        self._certificate = b""
        # The bytes being parsed, and those of an unfinished head that were parsed before them.
        self._segment = b""
        self._early = bytearray()
        self._received = 0
        self._progressed = False
        self._halted = False
        # The request being read.
        self._target = b""
        self._fields: Fields = []
        self._field_bytes = 0
        self._request: Request | None = None
        self._answer: Answer | None = None
        self._refused = False
        self._body = b""
        self._further = bytearray()
        self._body_bytes = 0
        self._body_bytes_max = self._limits.body_bytes
        self._http10 = False
        self._upgrading = False
        self._switching = False
        self._owes_continue = False
        # The requests that are read.
        self._waiting: deque[Turn] = deque()
        self._takes_no_other = False
        self._last_read = False
        self._cut_short = False

    @abstractmethod
    def _continue(self) -> None:
        """Tell a client that waits to send its body, once all before it is answered (RFC 9110 s10.1.1)."""

    @abstractmethod
    def _report(self, fault: Exception) -> None:
        """Tell of a fault that nobody foresaw."""

    @property
    def _has_begun_one(self) -> bool:
        """Whether a part of a request has come, and not yet all of it."""
        return self._request is not None or bool(self._early.strip(b"\r\n"))

    def _piece_end(self, held: bytes, start: int) -> int:
        """Where a piece ends that `_read` may be given: with its message, or before."""
        if self._last_read:
            return len(held)
        request = self._request
        if request is None:
            if self._early and held[start] in b"\r\n":
                return start + 1  # It may be the rest of the empty line behind the head.
            end = held.find(HEAD_END, start)
            return len(held) if end < 0 else end + len(HEAD_END)
        length = request.headers.get(b"content-length")
        if length is not None:
            return min(len(held), start + max(int(length) - self._body_bytes, 1))
        limit = start + _PIECE_BYTES
        end = held.find(HEAD_END, start, limit)
        return min(len(held), limit) if end < 0 else end + len(HEAD_END)

    def _read(self, data: bytes) -> bytes:
        """Parse a piece, or any bytes where no request has begun; return what stands behind a message in it."""
        if self._last_read:
            self._cut_short = True
            return b""
        self._received = len(data)
        rest = self._feed(data)
        if not self._progressed:
            self._bound_fields(data)
        self._segment = b""
        return rest

    # httptools: a request is read

    def on_message_begin(self) -> None:
        if self._progressed:
            self._halt()  # Behind a message that these bytes end.
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
        # Trailers land here too, behind a head that is already read; the limits hold for both together.
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        self._progressed = True
        if self._last_read:
            return
        method, begun_s = self._parser.get_method(), self._around.clock.monotonic_s()
        try:
            headers = self._read_head(method)
            path, query = split_target(self._target)
        except JotgateError as refusal:
            self._refuse_now(Request(method, self._target, b"", {}, self._peer, begun_s), refusal)
            return
        self._request = request = Request(method, path, query, headers, self._peer, begun_s)
        if self._certificate:
            request.certificate = self._certificate
        self._field_bytes = 0
        self._upgrading = self._parser.should_upgrade()
        if self._upgrading:
            request.handshake = None if self._http10 else find_handshake(method, headers)
            if request.handshake is None:
                return  # The parser stops here; the request is read again without its wish.
        try:
            self._answer = self._around.application.open(request)
        except JotgateError as refusal:
            self._refuse(request, refusal)
        if request.body_bytes_max is not None:
            self._body_bytes_max = min(self._body_bytes_max, request.body_bytes_max)
        self._await_body(request)

    def on_body(self, piece: bytes) -> None:
        self._progressed = True
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
            self._refuse_now(request, body_too_large(self._body_bytes_max, self._body_bytes))
        elif not self._body:
            self._body = piece
        else:
            self._further += piece  # An object for each would cost more than a small piece.

    def on_message_complete(self) -> None:
        self._progressed = True
        if self._request is not None and not self._upgrading:
            if len(self._fields) > self._limits.header_count:
                self._refuse_now(self._request, fields_too_many(self._limits.header_count))
                return
            # An HTTP/1.0 client keeps a connection only when it is told so, and none is (RFC 9112 s9.3).
            self._finish_reading(keep_alive=self._parser.should_keep_alive() and not self._http10)

    # The request being read

    def _halt(self) -> None:
        """Stop the parser, from one of its callbacks."""
        self._halted = True
        raise _Halt

    def _feed(self, data: bytes) -> bytes:
        """Parse; return what is behind the end of the message."""
        self._segment = data
        self._progressed = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._stop_at_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as fault:
            if self._halted:
                return self._behind(data)
            self._report(fault)
            self._refuse_unread(InternalError("jotgate failed to read this request"))
        except httptools.HttpParserError:
            self._refuse_unread(RequestMalformed("the request is not HTTP/1.1"))
        return b""

    def _behind(self, data: bytes) -> bytes:
        """What stands behind the message that ends in this; it is for another parser, since this one was halted."""
        self._halted = False
        if self._last_read:
            return b""
        self._parser = httptools.HttpRequestParser(self)
        if self._segment:
            # The head was read before this, and the piece holds no other end of a message than half of an empty line.
            return data[1 if data.startswith(b"\n") else 2 :]
        return data[message_end(data, self._fields, self._body_bytes) :]

    def _read_head(self, method: bytes) -> dict[bytes, bytes]:
        """The fields of a head that is one of HTTP."""
        if len(self._fields) > self._limits.header_count:
            raise fields_too_many(self._limits.header_count)
        segment, version = self._segment, "1.1"
        self._segment = b""
        if self._early or not segment.startswith(_LINE_END, len(method) + 1 + len(self._target)):
            begun, self._early = bytes(self._early) + segment, bytearray()
            version = http_version(begun, method, self._target)
        self._http10 = version == "1.0"
        limit = self._limits.header_bytes
        if self._field_bytes + self._received > limit and head_bytes(self._target, self._fields) > limit:
            raise fields_too_large(limit)
        headers = gather_fields(self._fields)
        check_head(headers, version)
        if method == b"CONNECT":
            raise RequestMalformed("CONNECT asks for a tunnel, and jotgate is no proxy for them")
        return headers

    def _bound_fields(self, data: bytes) -> None:
        """Refuse a head that does not end, or trailers that do not: the parser would gather either for ever.

        A piece that held the end of a head, or a part of a body, says nothing of the length of what follows, and does
        not count.
        """
        if self._last_read:
            return
        self._field_bytes += len(data)
        if self._request is None:
            self._early += data
        if self._field_bytes > self._limits.header_bytes:
            self._refuse_unread(fields_too_large(self._limits.header_bytes))
        elif len(self._fields) > self._limits.header_count:
            self._refuse_unread(fields_too_many(self._limits.header_count))

    def _await_body(self, request: Request) -> None:
        """Refuse a body that is too large before it is sent, and tell a client that waits to go on."""
        length = int(request.headers.get(b"content-length", b"0"))
        wish = request.headers.get(b"expect")
        expects = wish is not None and wish.lower() == b"100-continue" and not self._http10
        if not self._refused and length > self._body_bytes_max:
            self._refuse(request, body_too_large(self._body_bytes_max, length))
        if self._refused and (length > _READ_REFUSED_BYTES or expects):
            self._cut_reading()
        elif expects:
            self._owes_continue = True
            self._continue()

    def _cut_reading(self) -> None:
        self._cut_short = True
        self._finish_reading(keep_alive=False)

    def _finish_reading(self, *, keep_alive: bool) -> None:
        request, answer = self._request, self._answer
        self._request = None
        body, self._body = self._body, b""
        if self._further:
            body, self._further = body + self._further, bytearray()
        if request is None or answer is None or self._last_read:
            return
        request.body = body
        self._last_read = self._takes_no_other or not keep_alive
        self._waiting.append(Turn(answer, keep_alive, self._http10, request.method == b"HEAD"))

    def _refuse(self, request: Request, refusal: JotgateError) -> None:
        """Answer with the refusal when the rest of the request has been read, and dropped."""
        self._refused = True
        self._answer = partial(self._around.application.refuse, request, refusal)

    def _refuse_now(self, request: Request, refusal: JotgateError) -> None:
        """Answer with the refusal, after everything before it, without reading on; then close."""
        self._request = request
        self._fields = []
        self._early = bytearray()
        self._refuse(request, refusal)
        self._cut_reading()

    def _refuse_unread(self, refusal: JotgateError) -> None:
        """Refuse what cannot be read as a request."""
        begun_s = self._around.clock.monotonic_s()
        self._refuse_now(Request(b"", b"", b"", {}, self._peer, begun_s), refusal)

    def _stop_at_upgrade(self, rest: bytes) -> bytes:
        """The parser has stopped behind a head that asks for another protocol; `rest` stands behind it."""
        if not self._upgrading:
            return b""
        self._upgrading = False
        if self._request is not None and self._request.handshake is not None:
            self._parser = httptools.HttpRequestParser(self)
            self._switching = True  # Whether what follows is HTTP, the answer decides.
            self._finish_reading(keep_alive=True)
            return rest
        return self._decline_upgrade(rest)

    def _decline_upgrade(self, rest: bytes) -> bytes:
        """Go on in HTTP/1.1 (RFC 9110 s7.8): read the request again without its wish, and the body behind it."""
        head = head_without_upgrade(self._parser, self._target, self._fields)
        self._parser = httptools.HttpRequestParser(self)
        return self._feed(head + rest)

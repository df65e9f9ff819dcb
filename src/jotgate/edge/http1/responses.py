"""Writes the framing of HTTP/1.1 responses (RFC 9112): status lines, Date, length or chunks."""

from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from jotgate.ports import Clock

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"
_END: Final = b"\r\n"
_END_CLOSING: Final = b"Connection: close\r\n\r\n"
_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode("ascii") for status in HTTPStatus
}


# Answers are not pages: browsers are to take them for what they say they are, and to tell nobody where they came from.
_SECURITY: Final = b"X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
_HSTS: Final = b"Strict-Transport-Security: max-age=31536000\r\n"


class HeadWriter:
    """Makes response heads. Mutable in the Date line alone, which is made anew each second (RFC 9110 s6.6.1).

    With `hsts` browsers are told to come back under TLS only (RFC 6797).
    """

    def __init__(self, clock: Clock, *, hsts: bool = False) -> None:
        self._clock = clock
        self._second = -1
        self._date = b""  # and the lines that are the same in every answer
        self._fixed = _SECURITY + (_HSTS if hsts else b"")

    def head(self, status: int, lines: bytes, framing: bytes, body: bytes = b"", *, keep_alive: bool) -> bytes:
        """The head of a response and what follows it; `framing` is Content-Length, Transfer-Encoding, or empty."""
        second = int(self._clock.now_s())
        if second != self._second:
            self._second = second
            self._date = b"Date: %b\r\n%b" % (formatdate(second, usegmt=True).encode("ascii"), self._fixed)
        status_line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
        return b"".join((status_line, self._date, lines, framing, _END if keep_alive else _END_CLOSING, body))

    def switching(self, lines: bytes) -> bytes:
        """The head by which a WebSocket is granted; it has no body, and no line of HTTP follows it."""
        return self.head(101, lines, b"", keep_alive=True)


def chunk(piece: bytes) -> bytes:
    """One chunk (RFC 9112 s7.1); an empty piece is no chunk, since that would end the body."""
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""

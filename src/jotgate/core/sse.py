"""Reads token usage out of an answer while its bytes pass by, and never fails the call.

Streams are server-sent events (WHATWG HTML s9.2): OpenAI-shaped APIs put `usage` into one of the last `data:` lines.
A unary answer is one JSON object with a `usage` member.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

_MARK: Final = b'"usage"'
_LINE_BYTES_MAX: Final = 65_536
_UNARY_BYTES_MAX: Final = 16 * 1024 * 1024

_Count = Annotated[int, Meta(ge=0, le=2**53)]  # what every JSON reader can hold exactly (RFC 8259 s6)


class Usage(Struct, frozen=True):
    """Tokens as the upstream counted them; None where it said nothing."""

    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None


class _Answer(Struct, frozen=True):
    usage: Usage | None = None


UNKNOWN: Final = Usage()
_decode: Final = msgspec.json.Decoder(_Answer).decode


def read_usage(text: bytes) -> Usage:
    """The usage of a JSON answer or of one event's data; UNKNOWN when it says none or is not JSON."""
    try:
        return _decode(text).usage or UNKNOWN
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return UNKNOWN


class UnaryTap:
    """Gathers a unary answer up to a bound and reads its usage at the end."""

    __slots__ = ("_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the body."""
        self._size += len(piece)
        if self._size > _UNARY_BYTES_MAX:
            self._pieces.clear()
        else:
            self._pieces.append(piece)

    def usage(self) -> Usage:
        """What the answer says of its usage."""
        return read_usage(self.text())

    def text(self) -> bytes:
        """The answer; nothing when it is beyond the bound."""
        pieces = self._pieces
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class StreamTap:
    """Scans a stream for usage, whatever the borders of the pieces it is fed.

    A line ends with a line feed, with or without a carriage return before it; a line of more than 64 KiB is not read.
    """

    __slots__ = ("_open_line", "_usage")

    def __init__(self) -> None:
        self._open_line = b""
        self._usage = UNKNOWN

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the stream."""
        if self._open_line:
            piece = self._open_line + piece
            self._open_line = b""
        if not piece.endswith(b"\n"):
            cut = piece.rfind(b"\n") + 1
            rest = piece[cut:]
            # The head of a line longer than the bound is dropped, so that it cannot grow without end.
            self._open_line = rest if len(rest) <= _LINE_BYTES_MAX else b"-"
            piece = piece[:cut]
        if _MARK in piece:
            self._read_lines(piece)

    def usage(self) -> Usage:
        """The last usage that the stream has told so far."""
        return self._usage

    def _read_lines(self, text: bytes) -> None:
        for line in text.split(b"\n"):
            if line.startswith(b"data:") and _MARK in line and len(line) <= _LINE_BYTES_MAX:
                found = read_usage(line[5:])
                if found is not UNKNOWN:
                    self._usage = found

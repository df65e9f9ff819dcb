"""Cuts a stream of server-sent events into its events, and writes events that carry a message of MCP.

Pieces come as the network has them; an event is whole when its empty line has come (WHATWG HTML s9.2.5).
"""

import re
from typing import Final

from jotgate.errors import UpstreamTorn

KEEP_ALIVE: Final = b":\r\n\r\n"
"""A comment, which no client takes for an event."""
_END: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r|\r\n\n|\n\r\n")
_LINE: Final = re.compile(rb"\r\n|\n|\r")
_BOM: Final = b"\xef\xbb\xbf"


class EventCutter:
    """Mutable: the beginning of an event whose end has not come. `bytes_max` is how long one may be."""

    __slots__ = ("_bytes_max", "_from", "_held")

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._held = bytearray()  # A long event may come in many pieces: none of it is copied for each.
        self._from = 0

    @property
    def between(self) -> bool:
        """Whether the stream stands between two events."""
        return not self._held

    def feed(self, piece: bytes) -> list[bytes]:
        """The events that are whole by now, each with its empty line.

        Raises:
            UpstreamTorn: one is longer than it may be.
        """
        held = self._held
        held += piece
        events, start, found = [], 0, _END.search(held, max(0, self._from))
        while found is not None:
            events.append(bytes(held[start : found.end()]))
            start = found.end()
            found = _END.search(held, start)
        del held[:start]
        self._from = len(held) - 3
        if len(held) > self._bytes_max:
            raise UpstreamTorn("an event of the upstream's answer is too large")
        return events


def data_of(event: bytes) -> bytes:
    """What an event carries; empty for a comment, and for one that only moves the client's position."""
    lines = _LINE.split(event.removeprefix(_BOM))
    return b"\n".join(_value(line) for line in lines if line.startswith(b"data:"))


def with_data(event: bytes, data: bytes) -> bytes:
    """The event with other data; its further fields stay as they are."""
    lines = [line for line in _LINE.split(event.removeprefix(_BOM)) if line and not line.startswith(b"data:")]
    return b"\n".join((*lines, b"data: " + data)) + b"\n\n"


def event_of(data: bytes) -> bytes:
    """An event that carries one message, which has no line break in it."""
    return b"event: message\ndata: %b\n\n" % data


def _value(line: bytes) -> bytes:
    value = line[5:]
    return value[1:] if value[:1] == b" " else value

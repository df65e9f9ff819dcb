"""Reads the event streams of Coze (WHATWG HTML s9.2), wherever their bytes are cut.

Coze writes `event:NAME` in chats and `event: NAME` in workflows; both are read alike. A text is decoded when its event
is whole, so that no character is lost between two pieces.
"""

import re
from typing import Final

from msgspec import Struct

EVENT_BYTES_MAX: Final = 1024 * 1024
"""An event of more bytes is none that is read."""

_END: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r|\r\n\n|\n\r\n")
_END_BYTES_MAX: Final = 4
_MARK: Final = b"\xef\xbb\xbf"


class CozeEvent(Struct, frozen=True):
    """One event: its name, its data, and the number that workflows give it, empty where there is none."""

    name: str
    data: bytes
    number: str = ""


class EventReader:
    """Cuts a stream into events. Mutable: the event that is not whole.

    `overlong`: an event is longer than any that is read; nothing more is.
    """

    __slots__ = ("_begun", "_open", "overlong")

    def __init__(self) -> None:
        self._open = b""
        self._begun = False
        self.overlong = False

    def take(self, piece: bytes) -> list[CozeEvent]:
        """Take the next bytes; the events that are whole now. Comments and events that say nothing are left out."""
        if self.overlong:
            return []
        text = self._open + piece if self._open else piece
        searched = max(0, len(self._open) - _END_BYTES_MAX)
        if not self._begun and len(text) >= len(_MARK):
            text, self._begun = text.removeprefix(_MARK), True
            searched = 0
        found: list[CozeEvent] = []
        begin = 0
        for end in _END.finditer(text, searched):
            event = _read(text[begin : end.start()])
            begin = end.end()
            if event is not None:
                found.append(event)
        self._open = text[begin:]
        if len(self._open) > EVENT_BYTES_MAX:
            self._open, self.overlong = b"", True
        return found

    @property
    def torn(self) -> bool:
        """Whether the stream stands within an event."""
        return bool(self._open.strip())


def _read(lines: bytes) -> CozeEvent | None:
    name = number = b""
    data: list[bytes] = []
    for line in lines.splitlines():
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.strip()
        elif field == b"id":
            number = value.strip()
    if not (name or data):
        return None
    return CozeEvent(name.decode("utf-8", "replace"), b"\n".join(data), number.decode("utf-8", "replace"))

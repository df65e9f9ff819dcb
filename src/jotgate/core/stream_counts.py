"""Counts what a stream of answers says while its bytes pass by, and keeps back the event that nobody asked for.

Tokens cannot be counted from text, so there are two figures. `seen` is by how much a stream has grown: an event carries
a token at least, and where it carries many, they have mostly four bytes each or more; steps go by it. `most` is not
below what was sent, since a token is at least one byte: what is charged when an upstream does not say its usage.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

from jotgate.core.sse import UNKNOWN, Usage

_EVENT_BYTES_MAX: Final = 65_536
TOKEN_BYTES: Final = 4
"""Of usual text, in an event that carries many: with fewer a stream would have grown by more than it reserved."""
_END: Final = re.compile(rb"\r?\n\r?\n|\r\r")
_END_BYTES_MAX: Final = 4
_NOTHING: Final = frozenset({b"null", b'""', b"[]", b"{}"})
_DONE: Final = b"[DONE]"


class _Choice(Struct, frozen=True):
    delta: dict[str, Raw] | None = None
    text: Raw = Raw(b"null")


class _Event(Struct, frozen=True):
    choices: list[_Choice] | None = None
    usage: Usage | None = None


class _WholeChoice(Struct, frozen=True):
    message: dict[str, Raw] = {}
    text: Raw = Raw(b"null")


class _Whole(Struct, frozen=True):
    choices: list[_WholeChoice] = []


_decode: Final = msgspec.json.Decoder(_Event).decode
_decode_choice: Final = msgspec.json.Decoder(_Choice).decode
_decode_whole: Final = msgspec.json.Decoder(_Whole).decode


class StreamCount:
    """The figures of one stream. Mutable: those, and the event that is not whole.

    `hides_usage`: events that carry usage alone are not passed on. `before` are tokens of output that came of the call
    before its stream did, which the usage that it tells holds too. `usage` is the last that the stream told; `final`:
    it is that of the whole answer.
    """

    __slots__ = ("_before", "_events", "_hides_usage", "_long", "_open", "_sent", "final", "usage")

    def __init__(self, *, hides_usage: bool, before: int = 0) -> None:
        self._hides_usage = hides_usage
        self._before = before
        self._open = b""
        self._long = False  # the open event is longer than what is read, and its beginning has been passed on
        self._events = 0
        self._sent = 0
        self.usage = UNKNOWN
        self.final = False

    @property
    def seen(self) -> int:
        """By how many tokens of output the stream has grown, as far as that shows."""
        grown = max(self._events, self._sent // TOKEN_BYTES)
        return max(self._before + grown, self.usage.completion_tokens or 0)

    @property
    def most(self) -> int:
        """So many tokens of output at most were sent."""
        return max(self._before + self._sent + len(self._open), self.usage.completion_tokens or 0)

    def take(self, piece: bytes, complete: bool) -> bytes:
        """Take the next bytes of the stream; what of it, and of what was kept before, is to be passed on."""
        before = self._open
        text = before + piece if before else piece
        passed: list[bytes] = []
        begin = 0
        for found in _END.finditer(text, max(0, len(before) - _END_BYTES_MAX)):
            event = text[begin : found.end()]
            begin = found.end()
            if self._read(event):
                passed.append(event)
        rest = text[begin:]
        if complete:
            if rest and self._read(rest):
                passed.append(rest)
            rest = b""
        elif self._long or len(rest) > _EVENT_BYTES_MAX:
            self._long = True
            self._sent += len(rest)
            passed.append(rest)
            rest = b""
        self._open = rest
        return b"".join(passed) if self._hides_usage else piece

    def _read(self, event: bytes) -> bool:
        """Count an event; whether it is passed on."""
        if self._long:
            self._long = False
            self._sent += len(event)
            return True
        data = _data(event)
        if not data or data == _DONE:
            return True
        try:
            found = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._grow(len(data))
            return True
        if found.usage is not None:
            self.usage = found.usage
        if found.choices:
            for choice in found.choices:
                self._grow(_said(choice))
            return True
        self.final = found.usage is not None
        if not self.final and found.choices is None:
            self._grow(len(data))
        return not (self.final and self._hides_usage)

    def _grow(self, size: int) -> None:
        if size:
            self._events += 1
            self._sent += size


class PlainCount:
    """The figures of an answer to a stream that is no event stream. Mutable: those. Its usage it tells at its end."""

    __slots__ = ("_before", "_sent")
    final: Final = False

    def __init__(self, *, before: int = 0) -> None:
        self._before = before
        self._sent = 0

    @property
    def seen(self) -> int:
        """By how many tokens of output the answer has grown, as far as that shows."""
        return self._before + self._sent // TOKEN_BYTES

    @property
    def most(self) -> int:
        """So many tokens of output at most were sent."""
        return self._before + self._sent

    def take(self, piece: bytes, complete: bool) -> bytes:  # noqa: ARG002 - as StreamCount.take
        """Take the next bytes of the answer; all of them are to be passed on."""
        self._sent += len(piece)
        return piece


def said_by(answer: bytes) -> int | None:
    """The bytes of what was generated in a whole answer; None: it cannot be read, or says nothing that is known."""
    try:
        found = _decode_whole(answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return sum(_size(one.text) + _sizes(one.message) for one in found.choices) or None


def said_in(choices: Iterable[Raw]) -> int:
    """The bytes of what was generated in the choices of an event; of one that cannot be read, all of it."""
    return sum(map(_said_in, choices))


def _said_in(choice: Raw) -> int:
    try:
        return _said(_decode_choice(choice))
    except (msgspec.DecodeError, RecursionError):
        return len(bytes(choice))


def _data(event: bytes) -> bytes:
    """The data of an event (WHATWG HTML s9.2.6): that of its lines, joined."""
    return b"\n".join(line[5:].strip() for line in event.splitlines() if line.startswith(b"data:"))


def _said(choice: _Choice) -> int:
    """The bytes of what was generated; escapes count as they stand, which is no less than what they stand for."""
    size = _size(choice.text)
    if choice.delta is not None:
        size += _sizes(choice.delta)
    return size


def _sizes(members: Mapping[str, Raw]) -> int:
    return sum(_size(raw) for name, raw in members.items() if name != "role")


def _size(raw: Raw) -> int:
    text = bytes(raw)
    if text in _NOTHING:
        return 0
    return len(text) - 2 if text.startswith(b'"') else len(text)

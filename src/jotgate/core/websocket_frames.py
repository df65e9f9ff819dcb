"""WebSocket frames (RFC 6455 s5) as bytes: read strictly, gathered to messages, written. No extension is understood.

Both ends of a connection are read by the same code: what a client sends is masked, what a server sends is not (s5.1).
"""

import re
from typing import Final, Literal

from msgspec import Struct

CONTROL_BYTES_MAX: Final = 125
"""RFC 6455 s5.5"""
REASON_BYTES_MAX: Final = 123

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
NO_STATUS: Final = 1005
"""Stands for a close frame without a code; it is never sent."""
ABNORMAL: Final = 1006
"""Stands for a connection that broke off; it is never sent."""
INVALID_DATA: Final = 1007
POLICY_VIOLATION: Final = 1008
TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011
TRY_AGAIN_LATER: Final = 1013

Kind = Literal["text", "binary", "ping", "pong", "close"]

_FIN: Final = 0x80
_RESERVED: Final = 0x70
_OPCODE: Final = 0x0F
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_TWO_BYTES: Final = 126
_EIGHT_BYTES: Final = 127
_TWO_BYTES_MAX: Final = 0xFFFF
_KEY_BYTES: Final = 4
_CONTINUATION: Final = 0
_CONTROL: Final = 0x8
_OPCODES: Final[dict[Kind, int]] = {"text": 1, "binary": 2, "close": 8, "ping": 9, "pong": 10}
_KINDS: Final[dict[int, Kind]] = {code: kind for kind, code in _OPCODES.items()}
_CODE_BYTES: Final = 2
_SMALL_BYTES: Final = 1_024
# RFC 6455 s7.4 and its IANA registry: what may stand in a close frame.
_SENDABLE: Final = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})
_OWN_CODES: Final = range(3000, 5000)
_KEY: Final = re.compile(rb"[A-Za-z0-9+/]{21}[AQgw]==")  # s4.1: base64 of 16 bytes


class Heard(Struct, frozen=True, gc=False):
    """A message, or a control frame. `code` is that of a close frame, whose reason is `data`."""

    kind: Kind
    data: bytes
    code: int = 0


class FrameRefused(Exception):
    """What was sent is no WebSocket, or too much of one; `code` is the close code that says so, the text is ours."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class FrameReader:
    """Gathers the frames of one end. Mutable: bytes that are no whole frame yet, the message that is not whole.

    `small` counts, for whoever resets it, control frames and fragments of less than 1 KiB: what costs work and is no
    message, nor many bytes.
    """

    __slots__ = (
        "_buffer",
        "_key",
        "_kind",
        "_last",
        "_left",
        "_masked",
        "_message",
        "_message_max",
        "_opcode",
        "small",
    )

    def __init__(self, message_max: int, *, masked: bool) -> None:
        """`message_max` bounds a message, in bytes; `masked`: they are a client's."""
        self._message_max = message_max
        self._masked = masked
        self.small = 0
        self._buffer = b""
        self._message: bytearray | None = None
        self._kind: Kind = "text"
        # Of a data frame whose payload has come in part: what is left of it, and its mask from there on.
        self._left = 0
        self._key = b""
        self._last = False
        self._opcode = _CONTINUATION

    def widen(self, message_max: int) -> None:
        """Take messages of so many bytes from now on."""
        self._message_max = message_max

    def feed(self, data: bytes) -> list[Heard]:
        """What has become whole by these bytes. A close frame is the last that is read.

        Raises:
            FrameRefused: the connection is to be closed with its code; what was whole before is lost with it.
        """
        heard: list[Heard] = []
        buffer = self._buffer + data if self._buffer else data
        start, end = 0, len(buffer)
        while start < end:
            if self._left:
                piece = buffer[start : start + self._left]
                start += len(piece)
                self._take(piece, heard)
                continue
            begun = self._begin(buffer, start, heard)
            if begun < 0:
                break
            start = begun
            if heard and heard[-1].kind == "close":
                start = end
        self._buffer = buffer[start:]
        return heard

    def _begin(self, buffer: bytes, start: int, heard: list[Heard]) -> int:
        """Read the head of a frame, and the whole of one that is short; where it ends, or -1: it is not there yet."""
        if len(buffer) - start < 2:
            return -1
        first, second = buffer[start], buffer[start + 1]
        opcode, length, place = first & _OPCODE, second & _LENGTH, start + 2
        self._require(first, second, opcode)
        if length >= _TWO_BYTES:
            size = 2 if length == _TWO_BYTES else 8
            if len(buffer) - place < size:
                return -1
            length = int.from_bytes(buffer[place : place + size])
            place += size
            self._require_length(length, size)
        if self._masked:
            key = buffer[place : place + _KEY_BYTES]
            place += _KEY_BYTES
        else:
            key = b""
        if opcode >= _CONTROL:
            if len(buffer) < place + length:
                return -1
            payload = buffer[place : place + length]
            self.small += 1
            heard.append(_control(opcode, mask(payload, key) if key else payload))
            return place + length
        self._open(opcode, length)
        if len(buffer) < place:
            return -1
        self._last, self._key, self._left = bool(first & _FIN), key, length
        if length < _SMALL_BYTES and (opcode == _CONTINUATION or not self._last):
            self.small += 1
        if not length:
            self._take(b"", heard)
        return place

    def _require(self, first: int, second: int, opcode: int) -> None:
        """Refuse a head that no frame has here."""
        if first & _RESERVED:
            raise FrameRefused(PROTOCOL_ERROR, "a reserved bit is set, and no extension was agreed on")
        if bool(second & _MASKED) is not self._masked:
            raise FrameRefused(PROTOCOL_ERROR, "a client's frame is not masked, or a server's is")
        if opcode >= _CONTROL:
            if opcode not in _KINDS:
                raise FrameRefused(PROTOCOL_ERROR, "an opcode that is not known")
            if not first & _FIN or second & _LENGTH > CONTROL_BYTES_MAX:
                raise FrameRefused(PROTOCOL_ERROR, "a control frame is fragmented, or longer than 125 bytes")
        elif opcode != _CONTINUATION:
            if opcode not in _KINDS:
                raise FrameRefused(PROTOCOL_ERROR, "an opcode that is not known")
            if self._message is not None:
                raise FrameRefused(PROTOCOL_ERROR, "a message begins before the last one has ended")
        elif self._message is None:
            raise FrameRefused(PROTOCOL_ERROR, "a message goes on that has not begun")

    def _require_length(self, length: int, size: int) -> None:
        """RFC 6455 s5.2: the least number of bytes that can, and the highest bit is zero."""
        if length < _TWO_BYTES or (size > 2 and (length <= _TWO_BYTES_MAX or length >> 63)):
            raise FrameRefused(PROTOCOL_ERROR, "a length is not written in the shortest form")

    def _open(self, opcode: int, length: int) -> None:
        """A data frame begins."""
        held = 0 if self._message is None else len(self._message)
        if held + length > self._message_max:
            raise FrameRefused(TOO_BIG, f"a message is longer than {self._message_max} bytes")
        if opcode != _CONTINUATION:
            self._kind = _KINDS[opcode]

    def _take(self, piece: bytes, heard: list[Heard]) -> None:
        """More of the payload of a data frame has come."""
        self._left -= len(piece)
        if self._key:
            turn = len(piece) % _KEY_BYTES
            piece = mask(piece, self._key)
            self._key = self._key[turn:] + self._key[:turn]
        ends = self._last and not self._left
        if self._message is None and ends:
            heard.append(self._whole(piece))
            return
        if self._message is None:
            self._message = bytearray()
        self._message += piece
        if ends:
            message, self._message = bytes(self._message), None
            heard.append(self._whole(message))

    def _whole(self, message: bytes) -> Heard:
        if self._kind == "text" and not message.isascii():
            _require_text(message)
        return Heard(self._kind, message)


def write_frame(kind: Kind, payload: bytes, key: bytes = b"") -> bytes:
    """One whole frame; `key`, of 4 bytes that nobody can foresee, masks it: a client's are, a server's are not."""
    length, first = len(payload), _FIN | _OPCODES[kind]
    masked = _MASKED if key else 0
    if length < _TWO_BYTES:
        head = bytes((first, masked | length))
    elif length <= _TWO_BYTES_MAX:
        head = bytes((first, masked | _TWO_BYTES)) + length.to_bytes(2)
    else:
        head = bytes((first, masked | _EIGHT_BYTES)) + length.to_bytes(8)
    return head + key + mask(payload, key) if key else head + payload


def write_close(code: int, reason: str = "", key: bytes = b"") -> bytes:
    """A close frame; a reason that is too long is cut between two characters. `NO_STATUS`: without a code."""
    if code == NO_STATUS:
        return write_frame("close", b"", key)
    text = reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore").encode()
    return write_frame("close", code.to_bytes(_CODE_BYTES) + text, key)


def mask(payload: bytes, key: bytes) -> bytes:
    """RFC 6455 s5.3; what masks also unmasks."""
    length = len(payload)
    repeated = (key * (length // _KEY_BYTES + 1))[:length]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")).to_bytes(length, "little")


def may_be_sent(code: int) -> bool:
    """Whether a close frame may have this code (RFC 6455 s7.4)."""
    return code in _SENDABLE or code in _OWN_CODES


def is_key(field: bytes) -> bool:
    """Whether this is a `Sec-WebSocket-Key`: 16 bytes in base64, in its one canonical form."""
    return _KEY.fullmatch(field) is not None


def _control(opcode: int, payload: bytes) -> Heard:
    kind = _KINDS[opcode]
    if kind != "close":
        return Heard(kind, payload)
    if not payload:
        return Heard("close", b"", NO_STATUS)
    code = int.from_bytes(payload[:_CODE_BYTES])
    if len(payload) < _CODE_BYTES or not may_be_sent(code):
        raise FrameRefused(PROTOCOL_ERROR, "a close frame has a code that may not be sent")
    reason = payload[_CODE_BYTES:]
    _require_text(reason)
    return Heard("close", reason, code)


def _require_text(payload: bytes) -> None:
    try:
        str(payload, "utf-8")
    except UnicodeDecodeError:
        raise FrameRefused(INVALID_DATA, "a text is not UTF-8") from None

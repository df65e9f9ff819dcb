"""Counts what is said on a WebSocket, for responses whose upstream does not tell what they have used.

A token is at least one byte of text. An image or a piece of sound counts for what its route says, in place of its data.
"""

from typing import Final

import msgspec

from jotgate.core.realtime import ClientEvent, ServerEvent, objects_in
from jotgate.core.routes import MeteringRules
from jotgate.core.stream_counts import TOKEN_BYTES

_APPEND: Final = "input_audio_buffer.append"
_COMMIT: Final = "input_audio_buffer.commit"
_CLEAR: Final = "input_audio_buffer.clear"
_DELTA: Final = ".delta"
_SOUND: Final = "audio.delta"
_PARTS: Final = (b'"input_audio"', b'"input_image"')
_QUOTES: Final = 2


class SocketCount:
    """The figures since the last response that was done. Mutable: all of them."""

    __slots__ = ("_asked", "_heard", "_rules", "_sound", "_text")

    def __init__(self, rules: MeteringRules) -> None:
        self._rules = rules
        self._asked = 0
        self._heard = False  # sound that nobody has committed
        self._text = 0
        self._sound = 0

    def ask(self, event: ClientEvent) -> None:
        """The upstream is sent an event of the client."""
        if event.type == _APPEND:
            self._heard = True
        elif event.type == _COMMIT:
            self._end_sound()
        elif event.type == _CLEAR:
            self._heard = False
        else:
            self._asked += max(0, len(event.message) + self._beyond(event.message))

    def say(self, event: ServerEvent) -> None:
        """The upstream has sent an event."""
        if event.type.endswith(_DELTA):
            size = max(0, len(bytes(event.delta)) - _QUOTES)
            if event.type.endswith(_SOUND):
                self._sound += size
            else:
                self._text += size

    def end(self, event: ServerEvent, most: int) -> tuple[int, int]:
        """Begin anew; so many tokens of input and output at most were said until this event, which ends a response.

        `most` is the ceiling of its output: so far each byte is a token, and beyond it four of them; sound is no more.
        """
        self._end_sound()
        text = self._text or event.output_bytes
        found = self._asked, max(min(text + self._sound, most), text // TOKEN_BYTES)
        self._asked = self._text = self._sound = 0
        return found

    def _end_sound(self) -> None:
        if self._heard:
            self._heard = False
            self._asked += self._rules.audio_tokens

    def _beyond(self, message: bytes) -> int:
        """What images and sound in a message count for beyond their bytes; less than nothing mostly."""
        if not any(part in message for part in _PARTS):
            return 0
        beyond = 0
        for one in objects_in(msgspec.json.decode(message)):
            if one.get("type") == "input_image":
                data, tokens = one.get("image_url"), self._rules.image_tokens
            elif one.get("type") == "input_audio":
                inner = one.get("input_audio")
                data = inner.get("data") if isinstance(inner, dict) else one.get("audio")
                tokens = self._rules.audio_tokens
            else:
                continue
            beyond += tokens - len(data) if isinstance(data, str) else tokens
        return beyond

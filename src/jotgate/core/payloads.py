"""What was said in a call of a tool, as far as a policy has it written down: its beginning, without secrets.

Tokens by their looks are left out, and whatever stands under a name that secrets have. What is no JSON any more, as
it was cut, is looked through as text, and more of it is left out than has to be.
"""

import re
from typing import Final

import msgspec

from jotgate.core.misplaced import TOKEN_TEXT

PAYLOAD_CHARS_MAX: Final = 2_048
"""So much is written down of the arguments, and of the answer."""
_HELD_BYTES: Final = 8_192
_HIDDEN: Final = "(secret)"
_NAMES: Final = r"passw|passphrase|secret|token|api[_-]?key|private[_-]?key|authorization|credential|cookie|signature"
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_is_secret: Final = re.compile(_NAMES, re.IGNORECASE).search
_SCHEME: Final = re.compile(r"\b(bearer|basic|dpop)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_MEMBER: Final = re.compile(
    rf"""("[^"\\]{{0,64}}(?:{_NAMES})[^"\\]{{0,64}}\\*"\s*:\s*)(?:\\*"(?:[^"\\]|\\.)*"?|[\[{{].*|[^,\s}}\]]+)""",
    re.IGNORECASE | re.DOTALL,
)


class Payload:
    """What is written down of one call. Mutable: what has come of the answer."""

    __slots__ = ("_came", "arguments")

    def __init__(self, arguments: bytes) -> None:
        self.arguments: Final = harmless(arguments)
        self._came = b""

    def feed(self, piece: bytes) -> None:
        """Take more of the answer."""
        if len(self._came) < _HELD_BYTES:
            self._came += piece[: _HELD_BYTES - len(self._came)]

    @property
    def result(self) -> str:
        """The answer as its caller got it."""
        return harmless(self._came)


def harmless(raw: bytes) -> str:
    """The beginning of a text, or of JSON, without what looks like a secret."""
    text = raw[:_HELD_BYTES].decode("utf-8", "replace")
    try:
        text = msgspec.json.encode(_without(msgspec.json.decode(text))).decode()
    except _UNREADABLE:
        text = _plain(text)  # It is a text, or JSON that was cut.
    return text if len(text) <= PAYLOAD_CHARS_MAX else text[: PAYLOAD_CHARS_MAX - 1] + "…"


def _without(value: object) -> object:
    if isinstance(value, dict):
        return {name: _HIDDEN if _is_secret(str(name)) else _without(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_without(one) for one in value]
    return _plain(value) if isinstance(value, str) else value


def _plain(text: str) -> str:
    text = TOKEN_TEXT.sub("(token)", text)
    return _MEMBER.sub(rf'\1"{_HIDDEN}"', _SCHEME.sub(rf"\1 {_HIDDEN}", text))

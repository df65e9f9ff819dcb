"""The messages of a conversation as Coze lists them, in the words of OpenAI."""

from typing import Final

import msgspec
from msgspec import Raw, Struct

MESSAGES_MAX: Final = 50
"""So many messages Coze lists at once: the newest."""


class _Listed(Struct, frozen=True):
    """One message of Coze; what it has beside this says nothing to a caller."""

    role: str = ""
    content: str = ""
    content_type: str = "text"


class _Part(Struct, frozen=True):
    type: str = ""
    text: str = ""
    file_url: str = ""


class Message(Struct, frozen=True):
    """One message: a text, or parts."""

    role: str
    content: str | list[dict[str, object]]


_decode_list: Final = msgspec.json.Decoder(list[_Listed]).decode
_decode_parts: Final = msgspec.json.Decoder(list[_Part]).decode
_encode: Final = msgspec.json.Encoder().encode


def ask_for_history() -> bytes:
    """The body that asks for the newest messages."""
    return _encode({"order": "desc", "limit": MESSAGES_MAX})


def read_history(data: Raw) -> list[Message] | None:
    """The messages in the order in which they were said; None for what is no list of messages."""
    try:
        listed = _decode_list(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return [
        Message(one.role if one.role == "user" else "assistant", _content(one)) for one in reversed(listed) if one.role
    ]


def _content(message: _Listed) -> str | list[dict[str, object]]:
    if message.content_type != "object_string":
        return message.content
    try:
        parts = _decode_parts(message.content.encode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError):
        return message.content
    return [_part(one) for one in parts]


def _part(part: _Part) -> dict[str, object]:
    if part.type == "text":
        return {"type": "text", "text": part.text}
    if part.type == "image":
        return {"type": "image_url", "image_url": {"url": part.file_url}}
    return {"type": "file", "file": {"file_url": part.file_url}}

"""What an authorization server answers to a login, read with care: all of it is the words of somebody else."""

import re
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.redaction import redact
from jotgate.core.values import Secret

_CHARS_MAX: Final = 200
_WORD: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}", re.ASCII)
_OK: Final = range(200, 300)
_TOKEN_CHARS_MAX: Final = 8_192
_NOTHING: Final[Mapping[str, object]] = {}
# Coze's error codes are longer ones of the same kind (`access_deny`), and stand in `error_code`.
_ERRORS: Final = ("error_code", "error")
_MESSAGES: Final = ("error_message", "error_description", "msg")


class Refused(Struct, frozen=True):
    """A no: its word (RFC 6749 s5.2, RFC 8628 s3.5, or Coze's), and what else was said, without anything secret."""

    error: str
    said: str = ""

    @property
    def cause(self) -> str:
        """Both in one line."""
        return f"{self.error}: {self.said}" if self.said else self.error


class Granted(Struct, frozen=True):
    """A yes: a refresh token. The access token that comes with it is not kept: control gets one when it is needed."""

    refresh_token: Secret


def read_object(body: bytes) -> Mapping[str, object]:
    """The members of a JSON object; none of what is no such object."""
    try:
        found: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _NOTHING
    return {str(name): value for name, value in found.items()} if isinstance(found, dict) else _NOTHING


def text_of(found: Mapping[str, object], name: str) -> str:
    """A member that is a text; empty where there is none."""
    value = found.get(name)
    return value if isinstance(value, str) else ""


def refusal_of(status: int, found: Mapping[str, object]) -> Refused | None:
    """Whether an answer is a no: by its status, or by its words, which come with status 200 too."""
    error = next((word for name in _ERRORS if (word := text_of(found, name))), "")
    if not error and status in _OK:
        return None
    return Refused(error if _WORD.fullmatch(error) else f"http_{status}", plain_cause(_said(found)))


def read_granted(status: int, body: bytes) -> Granted | Refused:
    """What a token endpoint answers to the code of a device or of a browser (RFC 6749 s5.1)."""
    found = read_object(body)
    refused = refusal_of(status, found)
    if refused is not None:
        return refused
    token = text_of(found, "refresh_token")
    if not token:
        return Refused("invalid_answer", "the answer has no refresh_token, so nothing could be kept")
    if len(token) > _TOKEN_CHARS_MAX or not token.isascii() or not token.isprintable() or " " in token:
        return Refused("invalid_answer", "the refresh_token of the answer is none")
    return Granted(Secret(token))


def plain_cause(text: str) -> str:
    """A text of somebody else for people: one line of printable characters, short, without what looks like a secret."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    line = redact(line)
    return line if len(line) <= _CHARS_MAX else f"{line[: _CHARS_MAX - 1]}…"


def _said(found: Mapping[str, object]) -> str:
    return next((text for name in _MESSAGES if (text := text_of(found, name))), "")

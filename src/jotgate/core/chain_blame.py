"""Whose fault it is that an upstream refuses a step: the caller's, whose members it was sent, or nobody's who calls.

An upstream's words are looked at and never passed on: its message may hold what the operator's prompts say.
"""

import re
from collections.abc import Collection
from typing import Final

import msgspec
from msgspec import Struct

_BODY_BYTES_MAX: Final = 65_536
_PLACE: Final = re.compile(r"[^.\[\]]{1,64}")
_NAME: Final = re.compile(r"\w{1,64}")


class _Error(Struct, frozen=True):
    message: str | None = None
    param: str | None = None


class _Refusal(Struct, frozen=True):
    error: _Error


_decode_refusal: Final = msgspec.json.Decoder(_Refusal).decode


def blamed(refusal: bytes, passed_on: Collection[str], conversation: int) -> str:
    """Which of the members that a caller sent is at fault, by what an upstream answered; empty: none that is known of.

    `passed_on` are those that the upstream got as they came. `conversation` is how many of its messages are the
    caller's, behind the one of the step itself. Where the answer names no member, it is looked for in its message.
    """
    try:
        error = _decode_refusal(refusal[:_BODY_BYTES_MAX]).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    if not error.param:
        words = frozenset(_NAME.findall(error.message or ""))
        return next((name for name in passed_on if name in words), "")
    name, *rest = [*_PLACE.findall(error.param), ""]
    if name == "messages":
        index = rest[0]
        return "" if index.isdecimal() and not 1 <= int(index) <= conversation else name
    return name if name in passed_on else ""

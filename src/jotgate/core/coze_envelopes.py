"""The JSON around Coze's answers: `code`, `msg` and `data`; what it says counts, whatever the status is."""

from typing import Final

import msgspec
from msgspec import Raw, Struct

ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
"""An answer that is no stream has no more bytes than this."""


class Envelope(Struct, frozen=True):
    """One answer. `code` 0: it was done, and `data` is what came of it."""

    code: int = 0
    msg: str | None = None
    data: Raw = Raw(b"null")


_decode: Final = msgspec.json.Decoder(Envelope).decode


def read_envelope(body: bytes) -> Envelope | None:
    """What an answer says; None for what is none of Coze."""
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None

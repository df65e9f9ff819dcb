"""Opaque tokens and secrets that jotgate makes: a mark that says what one is, and 32 random bytes in base64url.

The store has their digests alone. Form is checked before anything is looked up: nothing shorter, longer or differently
spelt stands for a token.
"""

import re
from enum import StrEnum
from hashlib import sha256
from typing import Final

from jotgate.core.values import Secret
from jotgate.jose.encoding import b64url_encode

OPAQUE_BYTES: Final = 32
_RANDOM: Final = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]", re.ASCII)
"""32 bytes in their one canonical form (RFC 4648 s3.5): the last character has two bits that are zero."""


class Mark(StrEnum):
    """How the text of each kind begins."""

    REFRESH = "jot_r_"
    PERSONAL = "jot_p_"
    CLIENT_SECRET = "jot_s_"
    TICKET = "jot_t_"


def make_opaque(mark: Mark, octets: bytes) -> Secret:
    """The text of a new one, of `OPAQUE_BYTES` octets that nobody can foresee."""
    assert len(octets) == OPAQUE_BYTES, "an opaque token has 32 random bytes"
    return Secret(mark + b64url_encode(octets).decode("ascii"))


def is_opaque(mark: Mark, text: str) -> bool:
    """Whether a text has the form of this kind."""
    return text.startswith(mark) and _RANDOM.fullmatch(text, len(mark)) is not None


def opaque_pattern(mark: Mark) -> re.Pattern[bytes]:
    """What the whole of a text of this kind fits, in bytes: for who reads one on each call."""
    return re.compile((mark + _RANDOM.pattern).encode("ascii"), re.ASCII)


def opaque_digest(text: str) -> bytes:
    """The SHA-256 digest under which the store has it."""
    return sha256(text.encode()).digest()

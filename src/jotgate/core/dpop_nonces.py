"""Nonces for DPoP proofs (RFC 9449 s8, s9): a time and a code over it, so that who made one need not remember it."""

import struct
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Final

from msgspec import Struct

from jotgate.errors import TokenMalformed
from jotgate.jose.encoding import b64url_decode, b64url_encode

NONCE_LIFE_S: Final = 300
"""For so long a nonce may be used, as often as its holder likes."""

KEY_LIFE_S: Final = 86_400
"""For so long one key makes nonces: the day of its time, counted from the epoch."""

KEY_BYTES: Final = 32

_STAMP: Final = struct.Struct(">Q")  # milliseconds since the epoch
_CODE_BYTES: Final = 16
_PURPOSE: Final = b"jotgate dpop nonce\0"


class Nonce(Struct, frozen=True):
    """A nonce as it came; nothing vouches for its time `at_s` before `is_made_with` has."""

    at_s: float
    stamp: bytes
    code: bytes

    @property
    def period(self) -> int:
        """The number of the key that would have made it."""
        return period_of(self.at_s)

    def is_made_with(self, key: bytes) -> bool:
        """Whether this key made it; compared in constant time."""
        return compare_digest(self.code, _code(self.stamp, key))


def make_nonce(key: bytes, now_s: float) -> str:
    """The nonce of this moment; `key` is that of `period_of` it."""
    stamp = _STAMP.pack(int(now_s * 1_000))
    return b64url_encode(stamp + _code(stamp, key)).decode("ascii")


def read_nonce(text: str) -> Nonce | None:
    """What a text says as a nonce; None for what no nonce looks like."""
    try:
        octets = b64url_decode(text.encode("ascii"))
    except (TokenMalformed, UnicodeEncodeError):
        return None
    if len(octets) != _STAMP.size + _CODE_BYTES:
        return None
    stamp = octets[: _STAMP.size]
    (milliseconds,) = _STAMP.unpack(stamp)
    return Nonce(milliseconds / 1_000, stamp, octets[_STAMP.size :])


def period_of(at_s: float) -> int:
    """The number of the key that makes the nonces of this time."""
    return int(at_s // KEY_LIFE_S)


def _code(stamp: bytes, key: bytes) -> bytes:
    return digest(key, _PURPOSE + stamp, sha256)[:_CODE_BYTES]

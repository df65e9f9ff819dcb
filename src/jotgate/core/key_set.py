"""The key set that is published (RFC 7517 s5): exactly the keys that this installation's tokens are verified with."""

from hashlib import sha256

import msgspec
from msgspec import Struct

from jotgate.core.issuers import Issuer


class KeySetDocument(Struct, frozen=True):
    """A JWK Set as bytes, its strong validator (RFC 9110 s8.8.3), and for how many seconds others may keep it."""

    body: bytes
    etag: str
    max_age_s: int


class _Kid(Struct, frozen=True):
    kid: str


class _Set(Struct, frozen=True):
    keys: tuple[msgspec.Raw, ...]


def publish(own: Issuer, now_s: float, max_age_s: int) -> KeySetDocument:
    """The document of an issuer's keys at a time: those whose end has come are left out, as verifiers leave them out.

    `own` is this installation, whose set has only keys with a `kid`.
    """
    body = own.jwks or b'{"keys":[]}'
    if any(now_s >= end_s for end_s in own.key_ends.values()):
        gone = {kid for kid, end_s in own.key_ends.items() if now_s >= end_s}
        keys = msgspec.json.decode(body, type=_Set).keys
        left = [key for key in keys if msgspec.json.decode(key, type=_Kid).kid not in gone]
        body = msgspec.json.encode({"keys": left})
    return KeySetDocument(body, f'"{sha256(body).hexdigest()[:32]}"', max_age_s)


def is_fresh(if_none_match: str, etag: str) -> bool:
    """Whether a caller has what it asks for (RFC 9110 s13.1.2): the comparison is weak."""
    if if_none_match.strip() == "*":
        return True
    return etag in {one.strip().removeprefix("W/") for one in if_none_match.split(",")}

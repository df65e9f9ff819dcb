"""The Token Status List (draft-ietf-oauth-status-list-21): which of many tokens count no longer, as some bits for each.

A token names a list by its address and its place in it; the list is a JWT of its own, which whoever verifies tokens
without asking anybody fetches now and then. Written here, and read as a verifier must.
"""

import re
import zlib
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.claims import AccessGrant
from jotgate.core.durable import RevocationKind
from jotgate.core.revocations import Dated, granted_names, handle_name, key_name, token_handle
from jotgate.core.status_references import LIST_CLAIM, STATUS_CLAIM, refused
from jotgate.errors import ClaimRefused, TokenMalformed
from jotgate.jose.encoding import b64url_decode, b64url_encode
from jotgate.jose.jwt import Claims

LIST_TYPE: Final = "statuslist+jwt"
LIST_MEDIA_TYPE: Final = "application/statuslist+jwt"
LISTS_PATH: Final = "/oauth/statuslists/"
ENTRIES: Final = 1 << 16
"""So many places a list of ours has, whether a token stands there or none does: 8 KiB, which fit into one JWT."""
LIST_BYTES_MAX: Final = 1 << 21
"""A list of others that is larger, once it is decompressed, is not read: 2^21 tokens of eight bits each."""

VALID: Final = 0
INVALID: Final = 1
SUSPENDED: Final = 2

_BITS: Final = frozenset({1, 2, 4, 8})
_DAY_S: Final = 86_400
_NUMBER: Final = re.compile(r"[0-9]{1,6}\.[0-9]{1,4}")
_OCTET: Final = 8
_decode_names: Final = msgspec.json.Decoder(tuple[Dated, ...]).decode


class StatusRules(Struct, frozen=True):
    """Whether new tokens stand in lists, and for how many seconds a list may be kept, and is good at all.

    `leeway_s` is that of our own tokens: a watermark reaches so far.
    """

    on: bool
    ttl_s: int
    life_s: int
    leeway_s: int = 5


class StatusList(Struct, frozen=True):
    """A list that was read: `bits` for each place, the first in the lowest bits of the first octet.

    `ttl_s` is for how long it may be kept, `expires_at_s` from when on it says nothing (NumericDate); None: not said.
    """

    bits: int
    octets: bytes
    issued_at_s: float
    ttl_s: float | None
    expires_at_s: float | None

    def status(self, index: int) -> int:
        """What stands at a place. Raises ClaimRefused: the list has no such place."""
        per_octet = _OCTET // self.bits
        octet, place = divmod(index, per_octet)
        if not 0 <= octet < len(self.octets):
            raise refused("invalid", "the token names a place that its status list does not have")
        return self.octets[octet] >> (place * self.bits) & ((1 << self.bits) - 1)

    def good_until_s(self, fetched_at_s: float, keep_s: float) -> float:
        """Until when it may be kept that was fetched then: as it says itself, and for `keep_s` where it does not.

        What HTTP says of it counts for nothing beside that.
        """
        kept_s = fetched_at_s + (keep_s if self.ttl_s is None else self.ttl_s)
        return kept_s if self.expires_at_s is None else min(kept_s, self.expires_at_s)


def list_of_day(now_s: float, further: int) -> str:
    """The name of the list for tokens that are issued now; `further`: so many of the day's are full already."""
    return f"{int(now_s) // _DAY_S}.{further}"


def is_list_name(text: str) -> bool:
    """Whether a list of ours could have this name."""
    return _NUMBER.fullmatch(text) is not None


def mark_kind(list_name: str) -> str:
    """The kind of the marks that are the entries of a list; their handle is `mark_handle`."""
    return f"status {list_name}"


def mark_handle(index: int) -> str:
    """A place, so that the order of texts is that of places."""
    return f"{index:06}"


def pack_names(names: Iterable[Dated]) -> bytes:
    """What is kept of a token in a list: all that it can be revoked by."""
    return msgspec.json.encode(tuple(names))


def unpack_names(content: bytes) -> tuple[Dated, ...]:
    """What `pack_names` made. Raises msgspec.DecodeError for anything else."""
    return _decode_names(content)


def status_names(issuer: str, grant: AccessGrant, token_id: str, kid: str, now_s: float) -> tuple[Dated, ...]:
    """All that a token of ours can be revoked by that is issued so."""
    own = handle_name(RevocationKind.TOKEN, token_handle(issuer, token_id))
    return (*granted_names(issuer, grant, now_s), Dated((own, key_name(issuer, kid)), int(now_s)))


def status_claim(uri: str, index: int) -> dict[str, object]:
    """The claim of a token that stands in a list (s6.2)."""
    return {STATUS_CLAIM: {LIST_CLAIM: {"idx": index, "uri": uri}}}


def pack_statuses(invalid: Iterable[int], entries: int = ENTRIES) -> str:
    """A list of one bit each, as a claim has it (s4.1, s4.2)."""
    octets = bytearray(entries // _OCTET)
    for index in invalid:
        octets[index // _OCTET] |= 1 << index % _OCTET
    return b64url_encode(zlib.compress(bytes(octets), 9)).decode("ascii")


def list_claims(uri: str, packed: str, now_s: float, rules: StatusRules) -> dict[str, object]:
    """The claims of a list of ours (s5.1)."""
    return {
        "sub": uri,
        "iat": int(now_s),
        "exp": int(now_s) + rules.life_s,
        "ttl": rules.ttl_s,
        LIST_CLAIM: {"bits": 1, "lst": packed},
    }


def read_list(claims: Claims, uri: str) -> StatusList:
    """The list of a verified JWT that was fetched from `uri` (s8.3). Raises ClaimRefused."""
    raw = claims.raw
    if claims.sub != uri:
        raise ClaimRefused("sub", "mismatch", "the status list is another than the one that the token names")
    if claims.iat is None:
        raise ClaimRefused("iat", "missing", "the status list does not say when it was issued")
    ttl = raw.get("ttl")
    if "ttl" in raw and (isinstance(ttl, bool) or not isinstance(ttl, int | float) or ttl <= 0):
        raise ClaimRefused("ttl", "invalid", "the status list may be kept for no time that is one")
    found = raw.get(LIST_CLAIM)
    if not isinstance(found, dict):
        raise refused("missing", "the status list has no statuses", LIST_CLAIM)
    bits, packed = found.get("bits"), found.get("lst")
    if type(bits) is not int or bits not in _BITS:
        raise refused("invalid", "the status list has not 1, 2, 4 or 8 bits for each token", LIST_CLAIM)
    if not isinstance(packed, str):
        raise refused("invalid", "the status list has no text of statuses", LIST_CLAIM)
    ttl_s = ttl if isinstance(ttl, int | float) else None
    return StatusList(bits, _unpack(packed), claims.iat, ttl_s, claims.exp)


def _unpack(packed: str) -> bytes:
    """Decompress, but nothing that is larger than it may be, and nothing behind which something stands."""
    reader = zlib.decompressobj()
    try:
        octets = reader.decompress(b64url_decode(packed.encode()), LIST_BYTES_MAX + 1)
    except (zlib.error, TokenMalformed):
        raise refused("invalid", "the status list cannot be decompressed", LIST_CLAIM) from None
    if len(octets) > LIST_BYTES_MAX:
        raise refused("invalid", f"the status list is larger than {LIST_BYTES_MAX} bytes", LIST_CLAIM)
    if not reader.eof or reader.unused_data:
        raise refused("invalid", "the status list ends too early, or goes on behind its end", LIST_CLAIM)
    return octets

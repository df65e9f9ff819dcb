"""The handles under which tokens are revoked: what a row of the store speaks of, and what a token can be met by."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from msgspec import Struct

from jotgate.core.durable import Revocation, RevocationKind
from jotgate.core.principals import Principal
from jotgate.jose.jwt import LEEWAY_S_MAX

_CHARS_MAX: Final = 512  # of four bytes at most in UTF-8: what a database can hold in an index
_TOKEN: Final = f"{RevocationKind.TOKEN} "  # Formatting a member of an enumeration takes microseconds.
_FAMILY: Final = f"{RevocationKind.FAMILY} "
_FOREIGN: Final = " "  # stands in every handle and in no token id of ours


class Entry(Struct, frozen=True, array_like=True, gc=False):
    """One thing that no longer counts, by its `name`. From `ends_at_s` on (NumericDate) nothing can meet it.

    None: never.
    """

    name: str
    ends_at_s: int | None


def token_handle(issuer: str, token_id: str) -> str:
    """What a revocation of a token names: whose it is, and its `jti` or the identity of one without (kind TOKEN).

    `issuer` is the `iss`, or jotgate's name for an issuer whose tokens carry none; see `Principal`.
    """
    handle = f"{issuer}{_FOREIGN}{token_id}"
    return handle if len(handle) <= _CHARS_MAX else f"sha256{_FOREIGN}{sha256(handle.encode()).hexdigest()}"


def ancestor_name(own_issuer: str, principal: Principal) -> str:
    """How the children of a token name it in their `ancestors`: our tokens by their `jti`, others by their handle."""
    if principal.issuer == own_issuer:
        return principal.token_id
    return token_handle(principal.issuer, principal.token_id)


def ancestor_handle(own_issuer: str, ancestor: str) -> str:
    """The handle of a token that one of ours names among its `ancestors`."""
    return ancestor if _FOREIGN in ancestor else token_handle(own_issuer, ancestor)


def entry_of(row: Revocation) -> Entry:
    """What a set keeps of a row. A token counts until its `exp` and the leeway of its issuer; so long it is kept."""
    ends_at_s = None if row.expires_at_s is None else row.expires_at_s + LEEWAY_S_MAX
    return Entry(f"{row.kind} {row.handle}", ends_at_s)


def names_of(principal: Principal) -> tuple[str, ...]:
    """All that a token can be met by: itself, its family, the tokens that it was narrowed from; in this order."""
    return names_for(principal.issuer, principal.token_id, principal.family, principal.ancestors)


def names_for(issuer: str, token_id: str, family: str, ancestors: Iterable[str]) -> tuple[str, ...]:
    """The same for a token of which this is known; `family` empty: of none."""
    names = [_TOKEN + token_handle(issuer, token_id)]
    if family:
        names.append(_FAMILY + family)
    if ancestors:
        names += [_TOKEN + ancestor_handle(issuer, one) for one in ancestors]
    return tuple(names)


def claim_of(principal: Principal, name: str) -> tuple[str, str]:
    """The claim by which a token is met, and what it says there; `name` is one of its `names_of`."""
    place = names_of(principal).index(name)
    if place == 0:
        return "jti", principal.token_id
    if principal.family:
        if place == 1:
            return "family", principal.family
        place -= 1
    return "ancestors", principal.ancestors[place - 1]

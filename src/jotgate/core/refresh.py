"""What becomes of a refresh token that is presented: it is rotated, answered again, taken for stolen, or refused.

RFC 6749 s6 and RFC 9700 s4.14.2. Everything is an argument: the family as it was found, the token's text, who presents
it, and the time (seconds since the epoch). A token is used once. Whoever presents it again within the grace of its
first use is given the token that counts by then, so that a lost answer, or two requests at once, cost nobody their
session; later, it is reuse.
"""

from enum import StrEnum
from itertools import pairwise
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.families import Family, FoundFamily, RefreshRecord
from jotgate.core.lineage import Confirmation
from jotgate.core.opaque import opaque_digest
from jotgate.core.successor_seal import open_successor, seal_successor
from jotgate.core.values import Secret

GRACE_MAX_S: Final = 60
"""The longest grace that may be set: what is sealed longer ago can be given to nobody."""


class RefreshRules(Struct, frozen=True):
    """How refresh tokens live, in seconds: the grace of a used one, the idle life of each, the life of a family."""

    grace_s: int = 10
    idle_s: int = 30 * 86_400
    life_s: int = 90 * 86_400


class Refusal(StrEnum):
    """Why a refresh token gets nothing, and nothing else happens."""

    UNKNOWN = "unknown"
    STRANGER = "stranger"
    UNPROVEN = "unproven"
    ENDED = "ended"
    EXPIRED = "expired"


class Presentation(Struct, frozen=True):
    """That an authenticated client has presented the text of a refresh token, and when its request came.

    `proven` is what the request proves beside who the client is. `face` is whose surface it was presented at; empty:
    the token service's.
    """

    text: Secret
    client_id: str
    at_s: float
    proven: tuple[Confirmation, ...] = ()
    face: str = ""


class Rotate(Struct, frozen=True):
    """It is the one that counts: put a successor in its place."""

    family: Family
    token: RefreshRecord


class Repeat(Struct, frozen=True):
    """It was used, within its grace: give the token that counts now, whose text this is."""

    family: Family
    token: RefreshRecord
    text: Secret


class Reuse(Struct, frozen=True):
    """It was used, and its grace is over: somebody else may have it, so end the family."""

    family: Family
    token: RefreshRecord


class Refuse(Struct, frozen=True):
    """It gets nothing, and changes nothing."""

    reason: Refusal


Decision = Rotate | Repeat | Reuse | Refuse


def decide(found: FoundFamily | None, presented: Presentation, grace_s: int) -> Decision:
    """What becomes of a token that is presented; `found` is what is kept under its digest, read after that.

    Whose it is comes before all else: what a stranger presents says nothing of its owner, and ends nothing. Reuse
    comes before the limits of time, as access tokens may outlast them. All is judged by when the request came, so that
    one that had to wait is not late.
    """
    if found is None:
        return Refuse(Refusal.UNKNOWN)
    family, token, now_s = found.family, found.token, presented.at_s
    if family.client_id != presented.client_id or family.face != presented.face:
        return Refuse(Refusal.STRANGER)
    if family.confirmation is not None and family.confirmation not in presented.proven:
        return Refuse(Refusal.UNPROVEN)
    if family.ended_at_s is not None:
        return Refuse(Refusal.ENDED)
    if token.used_at_s is None:
        return Rotate(family, token) if counts(found, now_s) else Refuse(Refusal.EXPIRED)
    within = grace_s > 0 and now_s < token.used_at_s + grace_s
    current = _follow(found, presented.text) if within else None
    if current is None:
        return Reuse(family, token)
    if not counts(FoundFamily(family, current.token), now_s):
        return Refuse(Refusal.EXPIRED)
    return current


def counts(found: FoundFamily, now_s: float) -> bool:
    """Whether a token is the one of its family that may be used."""
    family, token = found.family, found.token
    alive = family.ended_at_s is None and now_s < family.ends_at_s
    return alive and token.used_at_s is None and now_s < token.expires_at_s


def first(family: Family, text: Secret) -> RefreshRecord:
    """The first token of a family."""
    return _record(family, text, 0, family.created_at_s)


def advance(
    rotate: Rotate, text: Secret, successor: Secret, nonce: bytes, now_s: float
) -> tuple[RefreshRecord, RefreshRecord]:
    """The token as one that is used now, and its successor; `nonce` is 12 random bytes.

    The time of use is cut to whole seconds, so that the grace is at most what is set, and less than a second shorter.
    """
    sealed = seal_successor(rotate.token, text, successor, nonce)
    used = replace(rotate.token, used_at_s=int(now_s), successor=sealed)
    return used, _record(rotate.family, successor, rotate.token.generation + 1, int(now_s))


def _follow(found: FoundFamily, text: Secret) -> Repeat | None:
    """The token that counts, by the texts that each token before it has sealed; None where one has none any more."""
    chain = (found.token, *found.later)
    for token, following in pairwise(chain):
        opened = open_successor(token, text)
        if opened is None or opaque_digest(opened.reveal()) != following.digest:
            return None
        text = opened
    newest = chain[-1]
    return Repeat(found.family, newest, text) if newest.used_at_s is None else None


def _record(family: Family, text: Secret, generation: int, now_s: int) -> RefreshRecord:
    return RefreshRecord(
        digest=opaque_digest(text.reveal()),
        family_id=family.family_id,
        generation=generation,
        issued_at_s=now_s,
        expires_at_s=min(now_s + family.idle_s, family.ends_at_s),
    )

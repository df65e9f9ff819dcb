"""A token that is narrowed from another: what it comes of, and when it ends. It counts while all of that does."""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec.structs import replace

from jotgate.core.claims import AccessGrant
from jotgate.core.presented import Presented
from jotgate.core.principals import Principal
from jotgate.core.quotas import TokenLimit
from jotgate.core.revocations import origins_for, token_handle, with_family
from jotgate.core.token_limits import limits_claim
from jotgate.errors import SubjectTokenRefused

NARROWINGS_MAX: Final = 8
"""So many tokens may stand one behind the other: all are looked up at each call, and their names make tokens long."""

ORIGINS_MAX: Final = 64
DESCENT_BYTES_MAX: Final = 4_096
"""So long may be what a token says of where it comes from, of who acts and of limits, all together."""

_NAME_BYTES_MAX: Final = 1_000  # as a store takes it, with room for what stands before it


def descend(
    grant: AccessGrant, presented: Presented, acting: Presented | None, own_issuer: str, now_s: float
) -> AccessGrant:
    """The same as a child of a presented token, and of the actor token that came with it, if one did.

    It names all that can revoke either, ends with whichever ends first, and is bound if either is.

    Raises:
        SubjectTokenRefused: one of them has ended, or too many tokens stand behind the child already.
    """
    if len(presented.lineage) > NARROWINGS_MAX:
        raise SubjectTokenRefused(f"the subject token was narrowed {NARROWINGS_MAX} times before")
    ends = [one.ends_at_s for one in (presented, acting) if one is not None and one.ends_at_s is not None]
    if ends and min(ends) <= now_s:  # Their issuers' leeway is not passed on.
        raise SubjectTokenRefused("the subject token, or the actor token, is refused: it has expired")
    actor = None if acting is None else acting.principal
    grant = replace(
        grant,
        ancestors=presented.lineage,
        origins=origins_for(presented.principal, own_issuer, actor, now_s=now_s),
        family=presented.principal.family,
        not_after_s=min(ends, default=None),
        confirmation=grant.confirmation or (None if actor is None else actor.confirmation),
    )
    check_size(grant)
    return grant


def check_size(grant: AccessGrant) -> None:
    """Refuse what would make tokens longer than servers take, or could not be kept. Raises SubjectTokenRefused."""
    parties = grant.actors if grant.may_act is None else (*grant.actors, grant.may_act)
    texts = [text for one in parties for text in (one.subject, one.issuer, one.client_id)]
    sizes = [len(text.encode()) for text in (*texts, *grant.ancestors, *grant.origins)]
    if max(sizes, default=0) > _NAME_BYTES_MAX:
        raise SubjectTokenRefused("a name in the tokens that are presented is too long to be kept")
    if grant.limits:
        sizes.append(len(msgspec.json.encode(limits_claim(grant.limits, ""))))
    if len(grant.origins) > ORIGINS_MAX or sum(sizes) > DESCENT_BYTES_MAX:
        raise SubjectTokenRefused(
            "the tokens that are presented come of too much to be named in one", hint="Narrow one that was made earlier"
        )


def with_inherited(asked: Iterable[TokenLimit], parent: Principal) -> tuple[TokenLimit, ...]:
    """The limits of a token that is granted for another: those asked for, and all that the other one brings.

    What is of the other token itself counts on its account, whatever is made of it.
    """
    handle = token_handle(parent.issuer, parent.token_id)
    return tuple(dict.fromkeys((*asked, *(TokenLimit(one.limit, one.of or handle) for one in parent.limits))))


def of_family(limits: Iterable[TokenLimit], own_issuer: str, family_id: str) -> tuple[TokenLimit, ...]:
    """The limits of each token of a refresh-token family: what is the family's own counts once for all of them."""
    handle = token_handle(own_issuer, family_id)
    return tuple(TokenLimit(one.limit, one.of or handle) for one in limits)


def in_family(grant: AccessGrant, family_id: str) -> AccessGrant:
    """The same in a refresh-token family of its own; that of its parent is where it comes from."""
    origins = with_family(grant.origins, grant.family) if grant.family else grant.origins
    return replace(grant, family=family_id, origins=origins)

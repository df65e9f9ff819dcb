"""What policies that deny see of the tokens that one was narrowed from, as far as its `origins` tell that.

Client, subject and tenant of those stand there for the sake of revocations, and are read from the same names. What
nothing is revoked by stands there in the plural, for policies alone.
"""

from collections.abc import Mapping, Sequence, Set
from typing import Final

from msgspec import Struct

from jotgate.core.accounts import DEFAULT_TENANT
from jotgate.core.durable import RevocationKind
from jotgate.core.lineage import Actor, Confirmation
from jotgate.core.personal_tokens import PERSONAL_TOKENS_OF
from jotgate.core.policy_values import Binding
from jotgate.core.principals import Principal

HEREDITARY: Final = ("subjects", "clients", "tenants", "issuers", "roles", "actors", "bindings")
"""By what of a token a policy that denies refuses what was narrowed from that, too. Scopes are not among them, and it
may not name them; its other members are about the call or the token's age."""

HASHED: Final = frozenset({"subjects", "issuers", "clients", "tenants"})
"""Which of them may have been too long to be kept: a digest stands there, which fits all patterns."""

_PLURALS: Final = frozenset({"clients", "tenants", "roles", "actors", "bindings"})
_DIGEST: Final = "sha256"  # stands in a name whose words are too long to be kept


class Inherited(Struct, frozen=True):
    """What there was, by the member of a policy that speaks of it; `unreadable`: something of it is not known."""

    values: Mapping[str, Set[str]]
    unreadable: bool = False


def read_inherited(origins: Sequence[str]) -> Inherited:
    """What a token's `origins` say."""
    found: dict[str, set[str]] = {field: set() for field in HEREDITARY}
    unreadable = False
    for origin in origins:
        kind, _, handle = origin.partition(" ")
        if kind in _PLURALS:
            found[kind].add(handle)
            continue
        if handle.startswith(PERSONAL_TOKENS_OF):
            continue
        head, _, tail = handle.partition(" ")
        unreadable = unreadable or (head == _DIGEST and bool(tail))
        if kind == RevocationKind.CLIENT:
            found["clients"].add(handle)
        elif kind == RevocationKind.TENANT:
            found["tenants"].add(handle)
        elif kind == RevocationKind.SUBJECT:
            found["issuers"].add(head)
            found["subjects"].add(tail)
    if found["bindings"] - {"none"}:
        found["bindings"].add("any")
    return Inherited(found, unreadable)


def policy_names(parent: Principal, own_issuer: str) -> tuple[str, ...]:
    """What a child keeps of a token for policies alone: its roles, how it was bound, and what is called otherwise here.

    All of it, whatever the child says of itself: what a refresh token yields later may have other roles than the child,
    and another proof.
    """
    names = [f"roles {role}" for role in sorted(parent.roles)]
    if parent.issuer != own_issuer:
        names += [f"actors {name}" for name in actor_names(parent.actors, parent.issuer)]
        if parent.client_id:
            names.append(f"clients {parent.client_id}")
        if not parent.tenant:
            names.append(f"tenants {DEFAULT_TENANT}")
    return (*names, f"bindings {bindings_of(parent.confirmation)[-1]}")


def actor_names(actors: Sequence[Actor], issuer: str) -> list[str]:
    """All by whose names a policy may deny who acts by a token of this issuer: themselves, and through which client."""
    names = [name for one in actors for name in (actor_name(one, issuer), one.client_id) if name]
    return list(dict.fromkeys(names))


def actor_name(actor: Actor, issuer: str) -> str:
    """What a policy calls an actor that a token of this issuer names: whom a third party knows, behind its `iss`."""
    return actor.subject if actor.issuer in ("", issuer) else f"{actor.issuer} {actor.subject}"


def bindings_of(confirmation: Confirmation | None) -> tuple[Binding, ...]:
    """What policies call what the bearer of a token must prove, the plainest last."""
    if confirmation is None:
        return ("none",)
    return ("any", "dpop" if confirmation.method == "jkt" else "mtls")

"""Who acts by a token that is issued for another (RFC 8693 s1.1, s4.1, s4.4).

A token of ours names actors as principals are named here: those of another issuer `ISSUER/SUB`, without an issuer.
One that neither we nor the issuer of the presented token vouch for keeps the `iss` that it came with.
"""

from msgspec import Struct

from jotgate.core.lineage import ACTORS_MAX, Actor
from jotgate.core.presented import Presented
from jotgate.errors import SubjectTokenRefused


class Party(Struct, frozen=True):
    """Who wants to act: by its name here, and as its own issuer calls it. Whoever makes one has seen proof of it.

    `through` is the client that asks for it and has proved who it is; empty: none has.
    """

    name: str
    issuer: str
    subject: str
    client_id: str
    through: str = ""

    @property
    def actor(self) -> Actor:
        """The same as a token of ours names it: through whom it acts, else for which client of ours its token is."""
        own = self.client_id if self.name == self.subject else ""
        return Actor(self.name, client_id=self.through or own)


def party_of(acting: Presented, presented: Presented, through: str) -> Party:
    """Whom an actor token speaks for that comes with the presented one, `through` a client that is proven, if any.

    Raises:
        SubjectTokenRefused: somebody else acts by that token, so that it would be unclear who acts; or it speaks for
            whom the subject token speaks for, behind whom whoever acts would hide.
    """
    principal = acting.principal
    if principal.actors:
        raise SubjectTokenRefused(
            "the actor token is refused: somebody else acts by it", hint="Present the actor's own token"
        )
    if acting.subject == presented.subject:
        raise SubjectTokenRefused(
            "the actor token is refused: it speaks for whom the subject token speaks for",
            hint="Present the token of who acts, or none",
        )
    return Party(acting.subject, principal.issuer, principal.subject, principal.client_id, through)


def client_party(client_id: str, own_issuer: str) -> Party:
    """A client that has proved who it is."""
    return Party(client_id, own_issuer, client_id, client_id)


def check_permitted(presented: Presented, party: Party | None, own_issuer: str) -> None:
    """Refuse whoever is not the one that the presented token permits to act (RFC 8693 s4.4), if it names one.

    `party` None: nobody has proved who he is.

    Raises:
        SubjectTokenRefused: it names another.
    """
    permitted = permitted_by(presented, own_issuer)
    if permitted is None or (party is not None and _is_named(party, permitted)):
        return
    what = "another than who presents it" if party is not None else "who has to prove who it is"
    raise SubjectTokenRefused(
        f"the subject token's claim 'may_act' names {what}", hint="Present the token of the actor as actor_token"
    )


def permitted_by(presented: Presented, own_issuer: str) -> Actor | None:
    """Who may act by a presented token, as a token of ours says it; None: it names nobody."""
    named = presented.principal.may_act
    return None if named is None else _as_named_here(named, presented, own_issuer)


def history_of(presented: Presented, own_issuer: str) -> tuple[Actor, ...]:
    """Who acts by a presented token, and did before, the current one first, as a token of ours says it."""
    return tuple(_as_named_here(one, presented, own_issuer) for one in presented.principal.actors)


def chain_with(actor: Actor | None, history: tuple[Actor, ...]) -> tuple[Actor, ...]:
    """The actors of a token that is issued for one with this history, when `actor` acts now; None: nobody new.

    Raises:
        SubjectTokenRefused: there would be more than `ACTORS_MAX`.
    """
    if actor is None or history[:1] == (actor,):
        return history
    if len(history) >= ACTORS_MAX:
        raise SubjectTokenRefused(
            f"the subject token has {ACTORS_MAX} actors behind one another, and no more are possible",
            hint="Have one of those before make the token",
        )
    return (actor, *history)


def _as_named_here(actor: Actor, presented: Presented, own_issuer: str) -> Actor:
    issuer = actor.issuer or presented.principal.issuer
    if issuer == own_issuer:
        return Actor(actor.subject, client_id=actor.client_id)
    if issuer == presented.principal.issuer:
        return Actor(f"{presented.issuer_name}/{actor.subject}", client_id=actor.client_id)
    return Actor(actor.subject, issuer, actor.client_id)


def _is_named(party: Party, permitted: Actor) -> bool:
    """By the name that it has here, or by that of its own issuer; and by its client, if one is named."""
    if permitted.issuer:
        same = (permitted.issuer, permitted.subject) == (party.issuer, party.subject)
    else:
        same = permitted.subject == party.name
    return same and permitted.client_id in ("", party.client_id)

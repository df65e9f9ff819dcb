"""Refresh-token families as the store keeps them: begun, rotated, and ended by reuse; what is handed out is durable.

`core.refresh` decides. What it decides is done only while the family is as it was when that was decided; whoever is
too late reads again. Of requests that come at once, to one machine or to several, one therefore rotates a token, and
the others are given its successor.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import Struct

from jotgate.core import refresh
from jotgate.core.accounts import DEFAULT_TENANT
from jotgate.core.families import Family, FoundFamily
from jotgate.core.lineage import Actor, Confirmation
from jotgate.core.logins import Login
from jotgate.core.opaque import OPAQUE_BYTES, Mark, is_opaque, make_opaque, opaque_digest
from jotgate.core.quotas import TokenLimit
from jotgate.core.refresh import Presentation, RefreshRules, Refusal, Refuse, Repeat, Reuse, Rotate
from jotgate.core.successor_seal import NONCE_BYTES
from jotgate.core.values import Secret
from jotgate.errors import GrantRefused, RefreshExpired
from jotgate.ports import Clock, Entropy, StoreAccess
from jotgate.services.recorder import Recorder
from jotgate.services.revocation import end_family

_ID_BYTES: Final = 16
_UNKNOWN: Final = "the refresh token is unknown, or another client's"
_MEANINGS: Final = {
    Refusal.UNKNOWN: _UNKNOWN,
    Refusal.UNPROVEN: "the refresh token is bound to a key or certificate that the request does not prove",
    Refusal.STRANGER: _UNKNOWN,  # Nobody learns by this that somebody else has it.
    Refusal.ENDED: "the refresh token was revoked",
    Refusal.EXPIRED: "the refresh token was not used for too long, or what it was given for has reached its end",
}
_PROVE: Final = "Send the request as its holder: docs/proof-of-possession.md says what must come with it"
_AGAIN: Final = "Get a new one as the first was got; this one will never be taken again"


class FamilyTerms(Struct, frozen=True, kw_only=True):
    """What a family is granted: the bounds of all its tokens, whom they speak for, and what it comes of; see `Family`.

    `ends_at_s` is when it ends at the latest (NumericDate); None: when the rules say.
    """

    client_id: str
    subject: str
    scopes: tuple[str, ...]
    audiences: tuple[str, ...]
    models: tuple[str, ...] | None = None
    roles: tuple[str, ...] = ()
    tenant: str = DEFAULT_TENANT
    ancestors: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    actors: tuple[Actor, ...] = ()
    may_act: Actor | None = None
    ends_at_s: int | None = None
    voucher: str = ""
    confirmation: Confirmation | None = None
    limits: tuple[TokenLimit, ...] = ()
    login: Login | None = None


class Begun(Struct, frozen=True):
    """A new family, and its first refresh token, which goes to its owner and is kept nowhere."""

    family: Family
    token: Secret


class Revocations(Struct, frozen=True):
    """What families ask of revocations: `roots` says what has become of that which a family comes of (`FamilyRoots`).

    `look` puts what the store has into effect on this machine, at once.
    """

    roots: Callable[[Family], str]
    look: Callable[[], Awaitable[None]]


class Families:
    """Begins and rotates families. `rules` says how they live, as it is set at that moment.

    What a reuse has ended counts nowhere on this machine when it is refused.
    """

    def __init__(
        self,
        access: StoreAccess,
        *,
        clock: Clock,
        entropy: Entropy,
        recorder: Recorder,
        rules: Callable[[], RefreshRules],
        revocations: Revocations,
    ) -> None:
        self._access = access
        self._clock = clock
        self._entropy = entropy
        self._recorder = recorder
        self._rules = rules
        self._roots = revocations.roots
        self._look = revocations.look

    async def begin(self, terms: FamilyTerms) -> Begun:
        """A new family, on file when this returns.

        Raises:
            AuditUnavailable, StoreUnavailable: it cannot be recorded.
        """
        now_s, rules = int(self._clock.now_s()), self._rules()
        ends_at_s = now_s + rules.life_s
        family = Family(
            family_id=self._entropy.random_bytes(_ID_BYTES).hex(),  # No base64url: that may begin like an option.
            client_id=terms.client_id,
            subject=terms.subject,
            tenant=terms.tenant,
            scopes=terms.scopes,
            models=terms.models,
            roles=terms.roles,
            audiences=terms.audiences,
            idle_s=rules.idle_s,
            created_at_s=now_s,
            ends_at_s=ends_at_s if terms.ends_at_s is None else min(ends_at_s, terms.ends_at_s),
            ancestors=terms.ancestors,
            origins=terms.origins,
            actors=terms.actors,
            may_act=terms.may_act,
            voucher=terms.voucher,
            confirmation=terms.confirmation,
            limits=terms.limits,
            login=terms.login,
        )
        token = self._make()
        await self._access.run(lambda store: store.add_family(family, refresh.first(family, token)))
        self._tell("family.begun", family, 0)
        return Begun(family, token)

    async def find(self, text: str) -> FoundFamily | None:
        """The family of a refresh token; its form is checked before it is looked up. Raises StoreUnavailable."""
        if not is_opaque(Mark.REFRESH, text):
            return None
        return await self._access.run(lambda store: store.find_family(opaque_digest(text)))

    async def find_live(self, text: str, client_id: str) -> FoundFamily | None:
        """The same if the token is this client's, is the one that counts, and so does what it comes of.

        Raises:
            StoreUnavailable: it cannot be known.
        """
        found = await self.find(text)
        if found is None or found.family.client_id != client_id or not refresh.counts(found, self._clock.now_s()):
            return None
        return None if self._roots(found.family) else found

    async def present(self, presented: Presentation) -> Rotate | Repeat:
        """What becomes of a token that is presented; one that is reused ends its family.

        Raises:
            GrantRefused: it gets nothing. When it was reused, that the family ended is durable by then.
            AuditUnavailable, StoreUnavailable: that cannot be known, or not be recorded.
        """
        found = await self.find(presented.text.reveal())
        decision = refresh.decide(found, presented, self._rules().grace_s)
        if isinstance(decision, Refuse):
            hint = _PROVE if decision.reason is Refusal.UNPROVEN else _AGAIN
            refusal = RefreshExpired if decision.reason is Refusal.EXPIRED else GrantRefused
            raise refusal(_MEANINGS[decision.reason], hint=hint, debug=f"refresh token: {decision.reason}")
        if isinstance(decision, Reuse):
            await self._end_reused(decision)
            raise GrantRefused("the refresh token was used before, and all that came of it is revoked", hint=_AGAIN)
        fault = self._roots(decision.family)
        if fault:
            raise GrantRefused(f"the refresh token is refused: {fault}", hint=_AGAIN)
        return decision

    async def carry_out(self, presented: Presentation, decision: Rotate | Repeat) -> Secret:
        """The refresh token that takes the place of the one that was presented; durable when this returns.

        Raises:
            GrantRefused: the token got nothing by now; see `present`.
            AuditUnavailable, StoreUnavailable: it cannot be recorded. Presented again, it is given the same token.
        """
        while isinstance(decision, Rotate):
            successor = await self._rotate(presented.text, decision)
            if successor is not None:
                return successor
            decision = await self.present(presented)
        self._tell("family.repeated", decision.family, decision.token.generation)
        return decision.text

    async def _rotate(self, text: Secret, decision: Rotate) -> Secret | None:
        """The new token; None when somebody else was first."""
        family, successor = decision.family, self._make()
        nonce = self._entropy.random_bytes(NONCE_BYTES)
        used, following = refresh.advance(decision, text, successor, nonce, self._clock.now_s())
        if not await self._access.run(lambda store: store.rotate_family(family, used, following)):
            return None
        self._tell("family.rotated", family, following.generation)
        return successor

    async def _end_reused(self, reuse: Reuse) -> None:
        family, client_id, now_s = reuse.family, reuse.family.client_id, self._clock.now_s()
        if await self._access.run(lambda store: end_family(store, family, now_s, reason="reused", actor=client_id)):
            self._tell("family.reused", family, reuse.token.generation)
            await self._look()

    def _make(self) -> Secret:
        return make_opaque(Mark.REFRESH, self._entropy.random_bytes(OPAQUE_BYTES))

    def _tell(self, event: str, family: Family, generation: int) -> None:
        self._recorder.record(
            event,
            actor=family.client_id,
            subject=family.subject,
            details={"family": family.family_id, "client_id": family.client_id, "generation": generation},
        )

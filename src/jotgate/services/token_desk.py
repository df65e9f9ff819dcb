"""Lists the tokens that were issued, and revokes some of them, for operators: who sees first what it would do."""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.durable import Issuance, IssuanceQuery
from jotgate.core.endless_tokens import EndlessListing, EndlessPage
from jotgate.core.families import Family
from jotgate.core.issuers import OURS
from jotgate.core.revocations import family_name, handle_name, token_handle
from jotgate.core.status import IssuerState
from jotgate.core.token_orders import TokenAnswer, TokenListing, TokenOrder, TokenPage
from jotgate.errors import CommandError
from jotgate.ports import Clock, StoreAccess
from jotgate.services.endless_sights import find_endless
from jotgate.services.revocation import Revocable, RevokedSet, Revoker
from jotgate.services.token_impact import Before, LiveCount, Source, issued, narrowed_from, these
from jotgate.services.token_ledger import TokenLedger
from jotgate.store_ports import Store

_LIST: Final = "'jotgate token list' shows the tokens that were issued here; name the issuer of others with --issuer"


class OwnName(Struct, frozen=True):
    """The `iss` of this installation, and whether other machines share its store."""

    issuer: str
    shared: bool


class Installation(Struct, frozen=True):
    """What is known of this installation: its name, what was revoked, whom it trusts beside itself."""

    own: OwnName
    revoked: RevokedSet
    others: Callable[[], Sequence[IssuerState]]

    def find_issuer(self, named: str) -> str:
        """How the tokens of an issuer are called: by its `iss`, or by its name here if they have none.

        Raises:
            CommandError: nobody trusts it.
        """
        if named in {OURS, self.own.issuer}:
            return self.own.issuer
        for one in self.others():
            if named in {one.name, one.issuer}:
                return one.issuer or one.name
        known = ", ".join(one.name for one in self.others())
        raise CommandError(
            f"no issuer '{named}' is trusted here",
            hint=f"The others are: {known}"
            if known
            else "jotgate takes no tokens of others; see 'jotgate issuer list'",
        )


class _Plan(Struct, frozen=True):
    """What an order means: the tokens that it names, as far as they are known here, and their families that live."""

    issuer: str
    tokens: list[Revocable]
    rows: list[Issuance]
    families: list[Family]


class TokenDesk:
    """Carries out what operators order of tokens."""

    def __init__(self, access: StoreAccess, revoker: Revoker, clock: Clock, here: Installation) -> None:
        self._access = access
        self._revoker = revoker
        self._clock = clock
        self._here = here

    async def list(self, wanted: TokenListing) -> TokenPage:
        """A page of the tokens that are wanted. Raises CommandError for texts that no token has, StoreUnavailable."""
        views, after = await self._access.run(lambda store: self._ledger(store).page(wanted))
        return TokenPage(views, after, [one.name for one in self._here.others()])

    async def list_endless(self, wanted: EndlessListing) -> EndlessPage:
        """A page of the tokens that never expire and were taken here. Raises StoreUnavailable."""
        revoked = self._here.revoked
        return await self._access.run(lambda store: find_endless(store, revoked, wanted))

    async def revoke(self, order: TokenOrder) -> TokenAnswer:
        """Revoke what is ordered if it is confirmed, and say what that did; else say what it would do.

        What it invalidates is counted behind it, step by step and to a bound: nothing waits for that.

        Raises:
            CommandError: a token is not known, or nobody trusts the issuer that is named.
            StoreUnavailable, AuditUnavailable: as `Revoker.revoke_token`.
        """
        plan: _Plan = await self._access.run(lambda store: self._plan(store, order))
        ending = plan.families if order.families else []
        before = Before(self._here.revoked, _names(plan, ending))
        if order.confirmed:
            await self._revoker.revoke_tokens(plan.tokens, reason=order.reason, actor=CLI_CLIENT_ID)
            for family in ending:
                await self._revoker.end_family(family, reason=order.reason, actor=CLI_CLIENT_ID)
        now_s = int(self._clock.now_s())
        count = LiveCount(before.counts, self._here.own.issuer, now_s)
        await count.take(self._access, _sources(plan, ending, now_s))
        named = {row.token_id for row in plan.rows}
        families = [family.family_id for family in plan.families]
        views = await self._access.run(lambda store: [self._ledger(store).view(row) for row in plan.rows])
        return TokenAnswer(
            tokens=views,
            live=None if order.issuer else len(count.live),
            derived=len(count.live - named),
            more=count.more,
            families=[] if order.families else families,
            ended_families=families if order.families else [],
            done=order.confirmed,
            shared=self._here.own.shared,
        )

    def _ledger(self, store: Store) -> TokenLedger:
        return TokenLedger(store, self._here.revoked.counts, self._here.own.issuer, self._clock.now_s())

    def _plan(self, store: Store, order: TokenOrder) -> _Plan:
        ids = list(dict.fromkeys(order.token_ids))
        if order.issuer:
            issuer = self._here.find_issuer(order.issuer)
            return _Plan(issuer, [Revocable(issuer, one, None) for one in ids], [], [])
        ledger, rows, issuer = self._ledger(store), [], self._here.own.issuer
        for token_id in ids:
            found = ledger.find(token_id)
            if found is None:
                raise CommandError(
                    f"this installation has issued no token '{token_id}', or it has ended long ago", hint=_LIST
                )
            rows.append(found)
        families = dict.fromkeys(row.family for row in rows if row.family is not None)
        return _Plan(
            issuer,
            [Revocable(issuer, row.token_id, row.expires_at_s, row.subject) for row in rows],
            rows,
            [family for family in map(ledger.family, families) if family is not None],
        )


def _names(plan: _Plan, ending: Sequence[Family]) -> list[str]:
    """By what the tokens are met from now on that an order names, and the families that it ends."""
    tokens = [handle_name("token", token_handle(plan.issuer, one.token_id)) for one in plan.tokens]
    return tokens + [family_name(family.family_id) for family in ending]


def _sources(plan: _Plan, ending: Sequence[Family], now_s: int) -> list[Source]:
    """Where those are found that an order invalidates."""
    sources = [issued(IssuanceQuery(live_at_s=now_s, family=family.family_id)) for family in ending]
    if plan.rows:
        return [*sources, these(plan.rows)]
    return [narrowed_from(token_handle(plan.issuer, one.token_id), now_s) for one in plan.tokens]

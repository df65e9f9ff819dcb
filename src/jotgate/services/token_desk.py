"""Lists the tokens that were issued, and revokes some of them, for operators: who sees first what it would do."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Literal

from msgspec import Struct

from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.durable import Issuance, IssuanceQuery
from jotgate.core.families import Family
from jotgate.core.issuers import OURS
from jotgate.core.revocations import issued_names, token_handle
from jotgate.core.status import IssuerState
from jotgate.core.token_orders import TokenAnswer, TokenListing, TokenOrder, TokenPage, TokenView
from jotgate.errors import CommandError
from jotgate.ports import Clock, StoreAccess
from jotgate.services.revocation import PAGE, Revocable, RevokedSet, Revoker, load_revocations
from jotgate.store_ports import Store

_ANCESTORS_MAX: Final = 16
_LIST: Final = "'jotgate token list' shows the tokens that were issued here; name the issuer of others with --issuer"


class TokenLedger:
    """What was issued, read from the store; to be used inside `StoreAccess.run`, once. Mutable: what it has read.

    `issuer` is the `iss` of this installation.
    """

    def __init__(self, store: Store, revoked: RevokedSet, issuer: str, now_s: float) -> None:
        self._store = store
        self._revoked = revoked
        self._issuer = issuer
        self._now_s = int(now_s)
        self._known: dict[str, Issuance | None] = {}

    def page(self, wanted: TokenListing) -> tuple[list[TokenView], str]:
        """A page of tokens, and behind which identifier the next one begins; empty: there is none."""
        query = IssuanceQuery(
            live_at_s=self._now_s if wanted.live else 0, subject=wanted.subject, client_id=wanted.client_id
        )
        rows = self._store.find_issuances(query, wanted.after, PAGE)
        views = [self.view(row) for row in rows]
        return [one for one in views if one.state == "live" or not wanted.live], (
            rows[-1].token_id if len(rows) == PAGE else ""
        )

    def find(self, token_id: str) -> Issuance | None:
        """The token with this `jti`."""
        if token_id not in self._known:
            self._known[token_id] = self._store.issuance(token_id)
        return self._known[token_id]

    def view(self, row: Issuance) -> TokenView:
        """A token as it stands."""
        return TokenView(
            token_id=row.token_id,
            subject=row.subject,
            client_id=row.client_id,
            kid=row.kid,
            issued_at_s=row.issued_at_s,
            expires_at_s=row.expires_at_s,
            state=self._state(row),
            parent=row.parent,
            family=row.family,
        )

    def family(self, family_id: str) -> Family | None:
        """The family, if it lives."""
        found = self._store.family(family_id)
        return None if found is None or found.ended_at_s is not None else found

    def live(self, roots: Iterable[Issuance]) -> set[str]:
        """Which of these, and of all that was narrowed from them, count now."""
        found: set[str] = set()
        waiting = list(roots)
        seen = {row.token_id for row in waiting}
        while waiting:
            row = waiting.pop()
            if self._state(row) == "live":
                found.add(row.token_id)
            for child in self.narrowed_from(row.token_id):
                if child.token_id not in seen:
                    seen.add(child.token_id)
                    waiting.append(child)
        return found

    def narrowed_from(self, parent: str) -> Iterator[Issuance]:
        """The tokens that were narrowed from one, which is called as their `ancestors` call it, and have not ended."""
        return self._issuances(IssuanceQuery(live_at_s=self._now_s, parent=parent))

    def come_of(self, family_id: str) -> Iterator[Issuance]:
        """The tokens that came of a family, and have not ended."""
        return self._issuances(IssuanceQuery(live_at_s=self._now_s, family=family_id))

    def _state(self, row: Issuance) -> Literal["live", "revoked", "ended"]:
        if row.expires_at_s <= self._now_s:
            return "ended"
        names = issued_names(self._issuer, row, self._line(row))
        met = None if self._revoked.spares(names) else self._revoked.find(names, row.issued_at_s, 0)
        return "live" if met is None else "revoked"

    def _line(self, row: Issuance) -> Iterator[Issuance | str]:
        """The tokens that it was narrowed from, as far as they are known."""
        parent = row.parent
        for _ in range(_ANCESTORS_MAX):
            if parent is None:
                return
            found = self.find(parent)
            yield parent if found is None else found
            parent = None if found is None else found.parent

    def _issuances(self, query: IssuanceQuery) -> Iterator[Issuance]:
        after = ""
        while rows := self._store.find_issuances(query, after, PAGE):
            yield from rows
            after = rows[-1].token_id


def read_ledger(store: Store, issuer: str, now_s: float) -> TokenLedger:
    """What was issued, for who has no current `RevokedSet` at hand: what was revoked is read from the store, whole."""
    return TokenLedger(store, load_revocations(store), issuer, now_s)


class _Plan(Struct, frozen=True):
    """What an order means."""

    answer: TokenAnswer
    tokens: list[Revocable]
    families: list[Family]


class OwnName(Struct, frozen=True):
    """The `iss` of this installation, and whether other machines share its store."""

    issuer: str
    shared: bool


class TokenDesk:
    """Carries out what operators order. `others` are the issuers that are trusted beside this installation."""

    def __init__(
        self,
        access: StoreAccess,
        revoker: Revoker,
        clock: Clock,
        *,
        revoked: RevokedSet,
        own: OwnName,
        others: Callable[[], Sequence[IssuerState]],
    ) -> None:
        self._access = access
        self._revoker = revoker
        self._clock = clock
        self._revoked = revoked
        self._own = own
        self._others = others

    async def list(self, wanted: TokenListing) -> TokenPage:
        """A page of the tokens that are wanted. Raises CommandError for texts that no token has, StoreUnavailable."""
        views, after = await self._access.run(lambda store: self._ledger(store).page(wanted))
        return TokenPage(views, after, [one.name for one in self._others()])

    async def revoke(self, order: TokenOrder) -> TokenAnswer:
        """Revoke what is ordered if it is confirmed; else say what that would do.

        Raises:
            CommandError: a token is not known, or nobody trusts the issuer that is named.
            StoreUnavailable, AuditUnavailable: as `Revoker.revoke_token`.
        """
        work = self._plan_elsewhere if order.issuer else self._plan
        plan: _Plan = await self._access.run(lambda store: work(self._ledger(store), order))
        if order.confirmed:
            await self._revoker.revoke_tokens(plan.tokens, reason=order.reason, actor=CLI_CLIENT_ID)
            for family in plan.families:
                await self._revoker.end_family(family, reason=order.reason, actor=CLI_CLIENT_ID)
        return plan.answer

    def _ledger(self, store: Store) -> TokenLedger:
        return TokenLedger(store, self._revoked, self._own.issuer, self._clock.now_s())

    def _plan(self, ledger: TokenLedger, order: TokenOrder) -> _Plan:
        roots = []
        for token_id in dict.fromkeys(order.token_ids):
            found = ledger.find(token_id)
            if found is None:
                raise CommandError(
                    f"this installation has issued no token '{token_id}', or it has ended long ago", hint=_LIST
                )
            roots.append(found)
        ids = dict.fromkeys(row.family for row in roots if row.family is not None)
        families = [family for family in map(ledger.family, ids) if family is not None]
        names = [family.family_id for family in families]
        more = [row for one in names for row in ledger.come_of(one)] if order.families else []
        live = ledger.live([*roots, *more])
        answer = TokenAnswer(
            tokens=[ledger.view(row) for row in roots],
            live=len(live),
            derived=len(live - {row.token_id for row in roots}),
            families=[] if order.families else names,
            ended_families=names if order.families else [],
            done=order.confirmed,
            shared=self._own.shared,
        )
        tokens = [Revocable(self._own.issuer, row.token_id, row.expires_at_s, row.subject) for row in roots]
        return _Plan(answer, tokens, families if order.families else [])

    def _plan_elsewhere(self, ledger: TokenLedger, order: TokenOrder) -> _Plan:
        issuer = self._find_issuer(order.issuer)
        ids = list(dict.fromkeys(order.token_ids))
        answer = TokenAnswer(
            tokens=[],
            live=None,
            derived=len(ledger.live(row for one in ids for row in ledger.narrowed_from(token_handle(issuer, one)))),
            families=[],
            ended_families=[],
            done=order.confirmed,
            shared=self._own.shared,
        )
        return _Plan(answer, [Revocable(issuer, one, None) for one in ids], [])

    def _find_issuer(self, named: str) -> str:
        """How the tokens of an issuer are called: by its `iss`, or by its name here if they have none."""
        if named in {OURS, self._own.issuer}:
            return self._own.issuer
        for one in self._others():
            if named in {one.name, one.issuer}:
                return one.issuer or one.name
        known = ", ".join(one.name for one in self._others())
        raise CommandError(
            f"no issuer '{named}' is trusted here",
            hint=f"The others are: {known}"
            if known
            else "jotgate takes no tokens of others; see 'jotgate issuer list'",
        )

"""Counts what an order would invalidate, or has: in short steps, and no further than to a bound."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from jotgate.core.accounts import DEFAULT_TENANT, Account, ClientRecord, PrincipalRecord
from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.durable import Issuance, IssuanceQuery
from jotgate.core.revocations import Dated
from jotgate.ports import StoreAccess
from jotgate.services.revocation import RevokedSet
from jotgate.services.token_ledger import TokenLedger
from jotgate.store_ports import Store

COUNT_MAX: Final = 1_000
"""So many tokens are looked at; of more it is said that there are more."""

_READS_MAX: Final = 2_000
_READS_AT_ONCE: Final = 50  # for those who ask the store meanwhile
_PAGE: Final = 200

Source = Callable[[Store], "tuple[Sequence[Issuance], Sequence[Source]]"]
"""One reading of the store: some tokens, and where there are more."""


class Before:
    """What counted before an order, whatever that has put into the set since; make it before the order is done.

    `names` are those that the order is about.
    """

    def __init__(self, revoked: RevokedSet, names: Iterable[str]) -> None:
        self._revoked = revoked
        self._names = frozenset(names)
        self._known = RevokedSet()
        self._known.take(entry for entry in map(revoked.entry, self._names) if entry is not None)

    def counts(self, dated: Sequence[Dated]) -> bool:
        """Whether a token with these names counted."""
        if all(self._revoked.spares(one.names) for one in dated):
            return True
        others = [Dated(tuple(name for name in one.names if name not in self._names), one.issued_at_s) for one in dated]
        return self._revoked.counts(others) and self._known.counts(dated)


class LiveCount:
    """How many of some tokens, and of all that was narrowed from them, count. Mutable: that, and how far it has come.

    `before_s`: only those issued then or earlier are meant, and whatever was narrowed from those.
    """

    def __init__(
        self,
        counts: Callable[[Sequence[Dated]], bool],
        issuer: str,
        now_s: float,
        *,
        before_s: int | None = None,
    ) -> None:
        self._counts = counts
        self._issuer = issuer
        self._now_s = int(now_s)
        self._before_s = before_s
        self._known: dict[str, Issuance | None] = {}
        self._seen: set[str] = set()
        self._passed: set[str] = set()
        self._sources: list[tuple[Source, int | None]] = []
        self._reads = 0
        self.live: Final[set[str]] = set()
        self.more = False

    async def take(self, access: StoreAccess, sources: Iterable[Source]) -> None:
        """Count what these have, step by step. Raises StoreUnavailable."""
        self._sources += [(one, self._before_s) for one in sources]
        while self._sources and not self.more:
            await access.run(self._step)

    def _step(self, store: Store) -> None:
        ledger = TokenLedger(store, self._counts, self._issuer, self._now_s, self._known)
        for _ in range(_READS_AT_ONCE):
            if not self._sources or self.more:
                return
            source, before_s = self._sources.pop()
            rows, further = source(store)
            self._sources += [(one, before_s) for one in further]
            self._reads += 1
            for row in rows:
                self._look_at(row, before_s, ledger)
            if self._reads >= _READS_MAX and self._sources:
                self.more = True

    def _look_at(self, row: Issuance, before_s: int | None, ledger: TokenLedger) -> None:
        if row.token_id in self._seen or self.more:
            return
        if len(self._seen) + len(self._passed) >= COUNT_MAX:
            self.more = True
            return
        self._known[row.token_id] = row
        if before_s is not None and ledger.begun_s(row) > before_s:
            self._passed.add(row.token_id)  # It may be found again as the child of one that is meant.
            return
        self._seen.add(row.token_id)
        if ledger.view(row).state == "live":
            self.live.add(row.token_id)
        self._sources.append((narrowed_from(row.token_id, self._now_s), None))


def these(rows: Sequence[Issuance]) -> Source:
    """Tokens that are known."""
    return lambda store: (rows, ())  # noqa: ARG005 - a source is asked of a store


def narrowed_from(parent: str, now_s: int) -> Source:
    """The tokens that were narrowed from one, which is called as their `ancestors` call it."""
    return issued(IssuanceQuery(live_at_s=now_s, parent=parent))


def issued(query: IssuanceQuery, after: str = "", *, but_for: str = "") -> Source:
    """The tokens that fit, but for those of one client."""

    def read(store: Store) -> tuple[Sequence[Issuance], Sequence[Source]]:
        rows = store.find_issuances(query, after, _PAGE)
        further = [issued(query, rows[-1].token_id, but_for=but_for)] if len(rows) == _PAGE else []
        return [row for row in rows if row.client_id != but_for], further

    return read


def of_tenant(tenant: str, now_s: int) -> list[Source]:
    """The tokens of a tenant: of its principals and its clients.

    What the operator's commands have made is of the default tenant, whomever it speaks for.
    """
    sources = [_of_accounts(PrincipalRecord, tenant, now_s), _of_accounts(ClientRecord, tenant, now_s)]
    if tenant == DEFAULT_TENANT:
        sources.append(issued(IssuanceQuery(live_at_s=now_s, client_id=CLI_CLIENT_ID)))
    return sources


def _of_accounts(kind: type[Account], tenant: str, now_s: int, after: str = "") -> Source:
    def read(store: Store) -> tuple[Sequence[Issuance], Sequence[Source]]:
        names = [one.name for one in store.accounts(kind, after, _PAGE, tenant=tenant)]
        further = [_of_accounts(kind, tenant, now_s, names[-1])] if len(names) == _PAGE else []  # It comes last.
        further += [issued(IssuanceQuery(live_at_s=now_s, subject=one), but_for=CLI_CLIENT_ID) for one in names]
        return (), further

    return read

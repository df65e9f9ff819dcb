"""What was issued, as the store has it: one token, a page of them, those that came of one; their state."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Literal

from jotgate.core.durable import Issuance, IssuanceQuery
from jotgate.core.families import Family
from jotgate.core.revocations import Dated, ancestor_names, begun_names, inherited_names, issued_names
from jotgate.core.token_orders import TokenListing, TokenView
from jotgate.services.revocation import PAGE, load_revocations
from jotgate.store_ports import Store

_ANCESTORS_MAX: Final = 16


class TokenLedger:
    """What was issued, read from the store; to be used inside `StoreAccess.run`, once. Mutable: what it has read.

    `counts` says whether what has these names was not revoked, each held against its time. `issuer` is the `iss` of
    this installation. `known` are tokens that were read before.
    """

    def __init__(
        self,
        store: Store,
        counts: Callable[[Sequence[Dated]], bool],
        issuer: str,
        now_s: float,
        known: dict[str, Issuance | None] | None = None,
    ) -> None:
        self._store = store
        self._counts = counts
        self._issuer = issuer
        self._now_s = int(now_s)
        self._known = {} if known is None else known
        self._families: dict[str, Family | None] = {}

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
            actor=row.actor,
        )

    def counts(self, token_id: str) -> bool:
        """Whether a token was not revoked by its own name, as its children call it; of one that need not be known."""
        return self._counts([Dated(ancestor_names(self._issuer, (token_id,)), None)])

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
        line = list(self._line(row))
        names = [*issued_names(self._issuer, row, line), *inherited_names(row.origins)]
        for family_id in dict.fromkeys(one.family for one in (row, *line) if isinstance(one, Issuance)):
            family = self._family(family_id)
            names += () if family is None else begun_names(self._issuer, family)
        return "live" if self._counts(names) else "revoked"

    def begun_s(self, row: Issuance) -> int:
        """When a token was issued, or the refresh-token family was begun that it came of (NumericDate)."""
        family = self._family(row.family)
        return row.issued_at_s if family is None else min(row.issued_at_s, family.created_at_s)

    def _family(self, family_id: str | None) -> Family | None:
        """The family, if it is on file, whether it lives or not."""
        if family_id is None:
            return None
        if family_id not in self._families:
            self._families[family_id] = self._store.family(family_id)
        return self._families[family_id]

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
    return TokenLedger(store, load_revocations(store).counts, issuer, now_s)

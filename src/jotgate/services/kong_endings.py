"""Ends the credentials at Kong of what is revoked: of a subject, or of one token by the id of its credential.

Kong asks nobody about revocations, so each is turned into a credential that is not wanted any more. What was revoked
while no control ran is found when one begins.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from msgspec import Struct

from jotgate.core.durable import RevocationKind
from jotgate.core.kong_credentials import LIVING, KongCredential
from jotgate.core.revocations import Entry, handle_name, reach_s, token_handle
from jotgate.outward_store_ports import KongLedger
from jotgate.ports import Clock, StoreAccess
from jotgate.services.revocation import RevokedSet

PAGE: Final = 1_000
WAITING_MAX: Final = 10_000
"""Of more revocations at once, all credentials are looked through in place of those that each one names."""

_KINDS: Final = frozenset({RevocationKind.SUBJECT, RevocationKind.TOKEN})
_DIGESTED: Final = "sha256"  # stands in place of the issuer in a handle that was too long


class _Named(Struct, frozen=True):
    """Whom or what a revocation names."""

    kind: str
    issuer: str
    who: str


class KongEndings:
    """Mutable: the revocations that were not looked at yet. `issuers` are those whose users have tokens for Kong."""

    def __init__(
        self, access: StoreAccess, clock: Clock, revoked: RevokedSet, issuers: Callable[[], frozenset[str]]
    ) -> None:
        self._access = access
        self._clock = clock
        self._revoked = revoked
        self._issuers = issuers
        self._waiting: dict[str, _Named] = {}
        self._all = True

    def told(self, entries: Sequence[Entry]) -> None:
        """Take what was revoked just now."""
        for entry in entries:
            named = _read(entry.name)
            if named is None:
                continue
            self._waiting[entry.name] = named
            self._all = self._all or named.issuer == _DIGESTED
        if len(self._waiting) > WAITING_MAX:
            self._waiting, self._all = {}, True

    async def end(self) -> int:
        """Make what is met unwanted; returns how many. What the store does not take waits on.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        waiting, every = self._waiting, self._all
        self._waiting, self._all = {}, False
        done = False
        try:
            found = await self._all_met() if every else await self._met_by(waiting)
            ids = [one.credential_id for one in found]
            ended = 0
            if ids:
                now_s = int(self._clock.now_s())
                ended = await self._access.run(lambda store: store.unwant_credentials(ids, now_s))
            done = True
            return ended
        finally:
            if not done:
                self._waiting, self._all = {**waiting, **self._waiting}, every or self._all

    async def _met_by(self, waiting: dict[str, _Named]) -> list[KongCredential]:
        issuers = self._issuers()
        found: list[KongCredential] = []
        for named in waiting.values():
            if named.issuer in issuers:
                found += await self._access.run(partial(_find, named))
        return [one for one in found if self._is_met(one, issuers)]

    async def _all_met(self) -> list[KongCredential]:
        issuers = self._issuers()
        found: list[KongCredential] = []
        after = ""
        while True:
            page = await self._access.run(partial(_read_page, after))
            found += [one for one in page if one.state in LIVING and self._is_met(one, issuers)]
            if len(page) < PAGE:
                return found
            after = page[-1].credential_id

    def _is_met(self, row: KongCredential, issuers: frozenset[str]) -> bool:
        names = [
            name
            for issuer in issuers
            for name in (
                handle_name(RevocationKind.SUBJECT, token_handle(issuer, row.subject)),
                handle_name(RevocationKind.TOKEN, token_handle(issuer, row.credential_id)),
            )
        ]
        if self._revoked.spares(names):
            return False
        return self._revoked.find(names, row.created_at_s, reach_s(0)) is not None


def _read(name: str) -> _Named | None:
    """Whom the name of a revocation speaks of; None: of nobody who has such tokens."""
    kind, _, handle = name.partition(" ")
    issuer, _, who = handle.partition(" ")
    return _Named(kind, issuer, who) if kind in _KINDS and who else None


def _find(named: _Named, store: KongLedger) -> Sequence[KongCredential]:
    """The living credentials that a revocation may mean."""
    if named.kind == RevocationKind.TOKEN:
        row = store.kong_credential(named.who)
        return [row] if row is not None and row.state in LIVING else []
    found: list[KongCredential] = []
    while True:
        after = found[-1].credential_id if found else ""
        page = store.credentials_for(named.who, after, PAGE)
        found += page
        if len(page) < PAGE:
            return found


def _read_page(after: str, store: KongLedger) -> Sequence[KongCredential]:
    return store.credential_page(after, PAGE)

"""What control knows of revocations: read whole when the store opens, and followed from then on.

Apart from the rest of the store, so that nothing that a snapshot waits for holds up a revocation.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from jotgate.assembly.looking import Looking
from jotgate.core.durable import Revocation, Versions
from jotgate.core.revocations import Entry
from jotgate.ports import Clock, StoreAccess
from jotgate.processes.console import say
from jotgate.services.revocation import PAGE, RevokedSet
from jotgate.services.upkeep import CLOCKS_S
from jotgate.store_ports import Store

_STEP_S: Final = 1.0
"""A clock that goes back by more was set; by less it was only kept right."""


class RevocationFeed:
    """Keeps the set of revocations current. Mutable: how old it is, and who is told of what is new."""

    def __init__(self, access: StoreAccess, clock: Clock, revoked: RevokedSet) -> None:
        self._access = access
        self._clock = clock
        self._turn = asyncio.Lock()
        self._tell: Callable[[list[Entry]], None] | None = None
        self._good_s = clock.monotonic_s()
        self._last_s = clock.now_s()
        self._looking = Looking(self.look, lost="what was revoked cannot be followed now", event="revocations_lost")
        self.revoked: Final = revoked

    @property
    def age_s(self) -> float:
        """The time since the set was known to be whole, in seconds."""
        return self._clock.monotonic_s() - self._good_s

    def begin(self, tell: Callable[[list[Entry]], None]) -> None:
        """Tell of what is new from now on."""
        self._tell = tell

    async def look(self) -> None:
        """Ask the store for what is new, and tell of it. Raises StoreUnavailable."""
        async with self._turn:
            begun_s = self._clock.monotonic_s()
            now_s = self._clock.now_s()
            if now_s < self._last_s - _STEP_S:
                self.revoked.cursor = 0  # The clock was ahead: what was forgotten meanwhile may count still.
            self._last_s = now_s
            self.revoked.forget(now_s)
            self._say(self.revoked.take_due(now_s))
            versions, same = await self._access.run(self._ask)
            if versions.revocations < self.revoked.cursor or not same:
                self._begin_anew()
            while self.revoked.cursor < versions.revocations:
                rows = await self._access.run(self._read)
                self._say(self.revoked.take_rows(rows, now_s))
                if len(rows) < PAGE:  # The last ones may have ended and been dropped.
                    self.revoked.cursor = max(self.revoked.cursor, versions.revocations)
            self._good_s = begun_s

    def _say(self, entries: list[Entry]) -> None:
        if entries and self._tell is not None:
            self._tell(entries)

    async def keep(self) -> None:
        """Look four times a second until cancelled."""
        await self._looking.keep()

    def _ask(self, store: Store) -> tuple[Versions, bool]:
        """How far the store's rows go, and whether they are those that were read: the last one is there still.

        A database that was restored, or whose fail-over cost it its last rows, gives their numbers again.
        """
        versions, last = store.versions(), self.revoked.last
        if last is None:
            return versions, True
        rows = store.revocations_after(last.number - 1, 1)
        if rows and rows[0].number == last.number:
            return versions, rows[0] == last
        return versions, last.expires_at_s is not None and last.expires_at_s + CLOCKS_S <= self._last_s

    def _begin_anew(self) -> None:
        """Read all from the first row on; what is in the set stays there."""
        say("the store has other revocations than before, and all are read again", event="revocations_reread")
        self.revoked.cursor = 0
        self.revoked.last = None

    def _read(self, store: Store) -> Sequence[Revocation]:
        return store.revocations_after(self.revoked.cursor, PAGE)

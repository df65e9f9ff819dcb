"""What control knows of changes of accounts: followed in the store, and told to all who hold something of them.

Apart from the rest of the store, so that nothing that a snapshot waits for holds up that somebody is disabled.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from jotgate.assembly.looking import Looking
from jotgate.core.accounts import AccountChange
from jotgate.core.personal_tokens import AccountNews
from jotgate.errors import StoreUnavailable
from jotgate.ports import Clock, StoreAccess
from jotgate.store_ports import Store

PAGE: Final = 1_000
"""So many changes are read, and told, at one go."""


class AccountFeed:
    """Follows the accounts. Mutable: the version up to which every change was told, how old that is, who is told."""

    def __init__(self, access: StoreAccess, clock: Clock, version: int) -> None:
        self._access = access
        self._clock = clock
        self._turn = asyncio.Lock()
        self._tell: Callable[[AccountNews], None] | None = None
        self._before: Callable[[], Awaitable[object]] | None = None
        self._good_s = clock.monotonic_s()
        self._looking = Looking(self.look, lost="changes of accounts cannot be followed now", event="accounts_lost")
        self.version = version

    @property
    def age_s(self) -> float:
        """The time since every change was told, in seconds."""
        return self._clock.monotonic_s() - self._good_s

    def begin(self, tell: Callable[[AccountNews], None], before: Callable[[], Awaitable[object]] | None = None) -> None:
        """Tell of what is new from now on; `before` is done first, so that what was revoked is known as revoked."""
        self._tell, self._before = tell, before

    async def look(self) -> None:
        """Ask the store for what is new, and tell of it. Raises StoreUnavailable."""
        async with self._turn:
            begun_s = self._clock.monotonic_s()
            versions = await self._access.run(lambda store: store.versions())
            if versions.accounts != self.version and self._before is not None:
                await self._before()
            if versions.accounts < self.version:  # The database was restored to what it was earlier.
                self._take(AccountNews(versions.accounts, everything=True))
            while self.version < versions.accounts:
                changes = await self._access.run(self._read)
                last = changes[-1].version if changes else 0
                # Short of a page, these are all; others may have been changed again, behind what was asked for.
                reached = last if len(changes) == PAGE else max(last, versions.accounts)
                self._take(AccountNews(reached, tuple(changes)))
            self._good_s = begun_s

    async def since(self, version: int) -> AccountNews:
        """What has changed after this version, for who was told all before it; -1: for who holds nothing."""
        if version < 0:
            return AccountNews(self.version)
        told = self.version
        try:
            now = (await self._access.run(lambda store: store.versions())).accounts
            changes = await self._access.run(lambda store: store.accounts_after(version, PAGE))
        except StoreUnavailable:
            return AccountNews(told, everything=True)
        if version > now or len(changes) == PAGE:
            return AccountNews(told, everything=True)
        return AccountNews(max(told, now), tuple(changes))

    async def keep(self) -> None:
        """Look four times a second until cancelled."""
        await self._looking.keep()

    def _take(self, news: AccountNews) -> None:
        self.version = news.version
        if self._tell is not None:
            self._tell(news)

    def _read(self, store: Store) -> Sequence[AccountChange]:
        return store.accounts_after(self.version, PAGE)

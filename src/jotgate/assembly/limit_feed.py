"""What control knows of changes of limits: followed in the store, and told to all who hold something of them."""

import asyncio
from collections.abc import Awaitable, Callable

from msgspec import Struct

from jotgate.assembly.looking import Looking
from jotgate.ports import Clock, StoreAccess
from jotgate.store_ports import Store


class KeptLimits(Struct, frozen=True):
    """The version of the limits of the store, and whether there are any."""

    version: int
    any: bool


def read_limits(store: Store) -> KeptLimits:
    """How the limits stand. Raises StoreUnavailable."""
    version = store.versions().limits  # First: what changes in between is looked at once more.
    return KeptLimits(version, bool(store.limits(("", ""), 1)))


class LimitFeed:
    """Follows the limits. Mutable: what was told last, whether that is in effect, how old it is, who is told.

    Who is told of a change puts it into effect. Where that fails, it is told again.
    """

    def __init__(self, access: StoreAccess, clock: Clock, first: KeptLimits) -> None:
        self._access = access
        self._clock = clock
        self._turn = asyncio.Lock()
        self._tell: Callable[[], Awaitable[bool]] | None = None
        self._applied = True
        self._good_s = clock.monotonic_s()
        self._looking = Looking(self.look, lost="changes of limits cannot be followed now", event="limits_lost")
        self.kept = first

    @property
    def age_s(self) -> float:
        """The time since every change was in effect, in seconds."""
        return self._clock.monotonic_s() - self._good_s

    def begin(self, tell: Callable[[], Awaitable[bool]]) -> None:
        """Tell of what is new from now on; it says whether that is in effect now."""
        self._tell = tell

    async def look(self) -> None:
        """Ask the store for what is new, and put it into effect. Raises StoreUnavailable."""
        async with self._turn:
            begun_s = self._clock.monotonic_s()
            version = await self._access.run(lambda store: store.versions().limits)
            if version != self.kept.version or not self._applied:
                self.kept = await self._access.run(read_limits)
                self._applied = self._tell is None or await self._tell()
            if self._applied:
                self._good_s = begun_s

    async def keep(self) -> None:
        """Look four times a second until cancelled."""
        await self._looking.keep()

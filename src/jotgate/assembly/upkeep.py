"""Has the store tidied while control runs, every minute until nothing is left, on each machine that shares it."""

import asyncio
from typing import Final

from jotgate.errors import StoreUnavailable
from jotgate.ports import Clock, StoreAccess
from jotgate.services.upkeep import tidy

_INTERVAL_S: Final = 60.0
_PAUSE_S: Final = 0.01  # at least, for those who ask the store meanwhile


async def keep_tidy(access: StoreAccess, clock: Clock) -> None:
    """Forget what has ended, until cancelled."""
    while True:
        try:
            await _tidy_all(access, clock)
        except StoreUnavailable:
            pass  # `StoreFeed` says so; it is done the next time.
        await asyncio.sleep(_INTERVAL_S)


async def _tidy_all(access: StoreAccess, clock: Clock) -> None:
    """Batch by batch until nothing is left. As long as one takes, others have the store to themselves."""
    more = True
    while more:
        begun_s = clock.monotonic_s()
        more = await access.run(lambda store: tidy(store, clock.now_s()))
        await asyncio.sleep(max(_PAUSE_S, clock.monotonic_s() - begun_s))

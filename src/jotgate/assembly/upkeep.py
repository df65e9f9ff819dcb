"""Has the store tidied while control runs, again and again until nothing is left, on each machine that shares it."""

import asyncio
from collections.abc import Callable
from typing import Final

from jotgate.errors import StoreUnavailable
from jotgate.ports import Clock, StoreAccess
from jotgate.services.upkeep import erase_sealed, post_lost, tidy
from jotgate.store_ports import Store

_INTERVAL_S: Final = 60.0
_ERASING_S: Final = 5.0
_POSTING_S: Final = 5.0
_PAUSE_S: Final = 0.01  # at least, for those who ask the store meanwhile


async def keep_tidy(access: StoreAccess, clock: Clock, grace_s: Callable[[], int]) -> None:
    """Forget what has ended, post leases that ran out, and erase successors when the grace that is set by then is over.

    It goes on until it is cancelled.
    """
    async with asyncio.TaskGroup() as group:
        group.create_task(_keep(access, clock, _INTERVAL_S, lambda store: tidy(store, clock.now_s())))
        group.create_task(_keep(access, clock, _POSTING_S, post_lost))
        group.create_task(_keep(access, clock, _ERASING_S, lambda store: erase_sealed(store, clock.now_s(), grace_s())))


async def _keep(access: StoreAccess, clock: Clock, interval_s: float, chore: Callable[[Store], bool]) -> None:
    while True:
        try:
            await _do_all(access, clock, chore)
        except StoreUnavailable:
            pass  # `StoreFeed` says so; it is done the next time.
        await asyncio.sleep(interval_s)


async def _do_all(access: StoreAccess, clock: Clock, chore: Callable[[Store], bool]) -> None:
    """Batch by batch until nothing is left. As long as one takes, others have the store to themselves."""
    more = True
    while more:
        begun_s = clock.monotonic_s()
        more = await access.run(chore)
        await asyncio.sleep(max(_PAUSE_S, clock.monotonic_s() - begun_s))

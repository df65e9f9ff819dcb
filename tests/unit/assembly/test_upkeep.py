"""The store is tidied from the start on, and one that is away does not end that."""

import asyncio

from jotgate.assembly.upkeep import keep_tidy
from jotgate.core.durable import Issuance, IssuanceQuery
from jotgate.errors import StoreUnavailable
from jotgate.services.upkeep import BATCH
from jotgate.stores.access import DirectAccess
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock


class Away(MemoryStore):
    """A store that is out of reach."""

    asked = 0

    def drop_issuances(self, ended_at_s: int, limit: int) -> int:
        self.asked += 1
        raise StoreUnavailable("it is away")


def test_all_that_has_ended_is_forgotten_at_once_batch_after_batch() -> None:
    store = MemoryStore()
    store.add_issuances([Issuance(f"{number}", "s", "c", "k", 1, 2) for number in range(BATCH + 1)])

    async def play() -> None:
        keeping = asyncio.create_task(keep_tidy(DirectAccess(store), ManualClock()))
        async with asyncio.timeout(20):
            while store.count_issuances(IssuanceQuery(live_at_s=0)):
                await asyncio.sleep(0.01)
        keeping.cancel()

    asyncio.run(play())


def test_a_store_that_is_away_is_left_alone_until_the_next_time() -> None:
    store = Away()

    async def play() -> None:
        keeping = asyncio.create_task(keep_tidy(DirectAccess(store), ManualClock()))
        async with asyncio.timeout(20):
            while not store.asked:
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not keeping.done()
        keeping.cancel()

    asyncio.run(play())
    assert store.asked == 1

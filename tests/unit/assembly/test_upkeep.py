"""The store is tidied from the start on, and one that is away does not end that."""

import asyncio

from jotgate.assembly.upkeep import keep_tidy
from jotgate.core.durable import Issuance, IssuanceQuery
from jotgate.errors import StoreUnavailable
from jotgate.services.upkeep import BATCH
from jotgate.stores.access import DirectAccess
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock


class Watched(MemoryStore):
    """A store that may be out of reach, and says when nothing is left in it, or when it was asked in vain."""

    def __init__(self, *, away: bool = False) -> None:
        super().__init__()
        self.away = away
        self.asked = 0
        self.done = asyncio.Event()

    def drop_issuances(self, ended_at_s: int, limit: int) -> int:
        self.asked += 1
        if self.away:
            self.done.set()
            raise StoreUnavailable("it is away")
        dropped = super().drop_issuances(ended_at_s, limit)
        if not self.count_issuances(IssuanceQuery(live_at_s=0)):
            self.done.set()
        return dropped


async def tidied(store: Watched) -> bool:
    """Tidy until the store says so; whether that would go on."""
    keeping = asyncio.create_task(keep_tidy(DirectAccess(store), ManualClock(), lambda: 10))
    await asyncio.wait_for(store.done.wait(), 20)
    await asyncio.sleep(0)
    goes_on = not keeping.done()
    keeping.cancel()
    return goes_on


def test_all_that_has_ended_is_forgotten_at_once_batch_after_batch() -> None:
    store = Watched()
    store.add_issuances([Issuance(f"{number}", "s", "c", "k", 1, 2) for number in range(BATCH + 1)])
    assert asyncio.run(tidied(store))
    assert store.asked == 2


def test_however_much_has_ended_the_next_minute_is_not_waited_for() -> None:
    """As after a minute in which more was issued than a fixed number of batches holds."""
    store = Watched()
    store.add_issuances([Issuance(f"{number}", "s", "c", "k", 1, 2) for number in range(70 * BATCH + 1)])
    assert asyncio.run(tidied(store))
    assert store.asked == 71


def test_a_store_that_is_away_is_left_alone_until_the_next_time() -> None:
    store = Watched(away=True)
    assert asyncio.run(tidied(store))
    assert store.asked == 1


def test_leases_that_ran_out_are_posted_from_the_start_on() -> None:
    class Asked(Watched):
        """Says whether it was asked for them."""

        posting = 0

        def expire_leases(self, limit: int) -> int:
            self.posting += 1
            return super().expire_leases(limit)

    store = Asked()
    store.add_issuances([Issuance("1", "s", "c", "k", 1, 2)])
    assert asyncio.run(tidied(store))
    assert store.posting == 1


def test_what_is_sealed_is_looked_for_too_by_the_grace_that_is_set() -> None:
    class Asked(Watched):
        """Says by when something must have been used to be erased."""

        used_before_s = 0

        def erase_successors(self, used_before_s: int, limit: int) -> int:
            self.used_before_s = used_before_s
            return super().erase_successors(used_before_s, limit)

    store = Asked()
    store.add_issuances([Issuance("1", "s", "c", "k", 1, 2)])
    assert asyncio.run(tidied(store))
    assert store.used_before_s == int(ManualClock().now_s()) - 10 - 5

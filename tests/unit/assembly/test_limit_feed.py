"""A change of limits is told as soon as it is seen, and again until it is in effect."""

import asyncio

import pytest

from jotgate.assembly.limit_feed import LimitFeed, read_limits
from jotgate.core.durable import Versions
from jotgate.core.limit_records import LimitRecord
from jotgate.core.quotas import Limit
from jotgate.errors import StoreUnavailable
from jotgate.stores.access import DirectAccess
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock


class Flaky(MemoryStore):
    """A store that can be out of reach."""

    away = False

    def versions(self) -> Versions:
        if self.away:
            raise StoreUnavailable("it is away")
        return super().versions()


class Bench:
    """A feed, and what it has told: whether there are limits."""

    def __init__(self) -> None:
        self.store = Flaky()
        self.clock = ManualClock()
        self.works = True
        self.told: list[bool] = []
        self.feed = LimitFeed(DirectAccess(self.store), self.clock, read_limits(self.store))
        self.feed.begin(self.tell)

    async def tell(self) -> bool:
        self.told.append(self.feed.kept.any)
        return self.works

    def put(self, *limits: Limit) -> None:
        found = self.store.limits_of((("principal", "alice"),))
        version = found[0].version if found else 0
        record = LimitRecord(level="principal", holder="alice", limits=limits, version=version)
        assert self.store.put_limits(record) is not None

    def look(self) -> None:
        asyncio.run(self.feed.look())


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_each_change_is_told_once_with_whether_there_are_limits(bench: Bench) -> None:
    bench.look()
    assert bench.told == []
    bench.put(Limit("requests", 5))
    bench.look()
    bench.look()
    assert bench.told == [True]
    bench.put(Limit("requests", 6))
    bench.look()
    assert bench.told == [True, True]
    bench.put()
    bench.look()
    assert bench.told == [True, True, False]


def test_what_could_not_be_put_into_effect_is_told_again_and_is_old_until_it_is(bench: Bench) -> None:
    bench.works = False
    bench.put(Limit("requests", 5))
    bench.look()
    bench.clock.advance(7.0)
    bench.look()
    assert bench.told == [True, True]
    assert bench.feed.age_s == 7.0
    bench.works = True
    bench.look()
    bench.look()
    assert bench.told == [True, True, True]
    assert bench.feed.age_s == 0.0


def test_what_was_changed_while_the_store_was_away_is_told_when_it_is_back(bench: Bench) -> None:
    bench.put(Limit("requests", 5))
    bench.store.away = True
    bench.clock.advance(3.0)
    with pytest.raises(StoreUnavailable):
        bench.look()
    assert bench.feed.age_s == 3.0
    bench.store.away = False
    bench.look()
    assert bench.told == [True]
    assert bench.feed.age_s == 0.0


def test_limits_that_were_there_before_are_known_from_the_start(bench: Bench) -> None:
    bench.put(Limit("requests", 5))
    assert read_limits(bench.store).any
    bench.put()
    assert not read_limits(bench.store).any

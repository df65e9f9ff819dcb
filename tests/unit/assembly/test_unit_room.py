"""A change of limits, in the settings or in the store, gets to all workers before it is said to be in effect."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from jotgate.assembly.limit_feed import LimitFeed, read_limits
from jotgate.assembly.unit_room import UnitRoom, open_unit_room
from jotgate.core.durable import Versions
from jotgate.core.ledger import LeaseAnswer, LeaseAsk
from jotgate.core.limit_records import LimitRecord
from jotgate.core.limit_texts import read_limit
from jotgate.core.plans import needs_plans
from jotgate.core.quota_rules import QuotaRule
from jotgate.core.quotas import Quota, Spender
from jotgate.core.snapshot import Snapshot
from jotgate.errors import StoreRefused, StoreUnavailable
from jotgate.processes.messages import PlanWanted
from jotgate.stores.access import DirectAccess
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock
from tests.callers import own_issuer

_OWN = own_issuer(b"{}")
_WANTED = PlanWanted(1, Spender(_OWN.issuer, "alice", "app", "", "t"), "gpt", "chat.completions")


class Flaky(MemoryStore):
    """A store that can be out of reach, and refuse turns."""

    away = False

    def versions(self) -> Versions:
        if self.away:
            raise StoreUnavailable("it is away")
        return super().versions()

    def turn(self, asks: Sequence[LeaseAsk]) -> Sequence[LeaseAnswer]:
        if self.away:
            raise StoreUnavailable("it is away")
        raise StoreRefused("what the store has of this account cannot be read")


class Effect:
    """What is in effect, as far as the room looks."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot


class Bench:
    """A room between a store, a reloader and a bus, both of which only note what they are told."""

    def __init__(self) -> None:
        self.store = Flaky()
        self.snapshot = Snapshot(1, (_OWN,), (), ())
        self.told: list[object] = []
        self.renews = True
        access = DirectAccess(self.store)
        clock = ManualClock()
        feed = LimitFeed(access, clock, read_limits(self.store))
        keys: Any = type("Keys", (), {"access": access, "limits": feed, "hints": None})
        self.feed = feed
        self.desks: list[UnitRoom] = []
        this: Any = self
        self.room = open_unit_room(keys, this, this, clock)

    # What the room asks of a reloader

    def metered(self) -> bool:
        """Whether workers ask for plans."""
        return self.snapshot.metered

    @property
    def effect(self) -> Effect:
        return Effect(self.snapshot)

    async def renew(self) -> int | None:
        if not self.renews:
            return None
        metered = needs_plans(self.snapshot, kept=self.feed.kept.any)
        self.swap(replace(self.snapshot, version=self.snapshot.version + 1, metered=metered))
        return self.snapshot.version

    # What the room asks of a bus

    @property
    def answers(self) -> Any:
        return self

    def serve_units(self, room: UnitRoom) -> None:
        self.desks.append(room)

    def tell_limits(self, mark: str) -> None:
        self.told.append(mark)

    def tell_wanted(self, accounts: list[str]) -> None:
        self.told.append(accounts)

    async def acknowledged(self, version: int, patience_s: float) -> bool:
        assert patience_s > 0
        self.told.append(version)
        return True

    # What happens

    def swap(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.room.swap(snapshot)

    def put(self, *texts: str) -> None:
        place = ("principal", f"{_OWN.issuer} alice")
        found = self.store.limits_of((("principal", place[1]),))
        version = found[0].version if found else 0
        limits = tuple(map(read_limit, texts))
        assert self.store.put_limits(LimitRecord(level="principal", holder=place[1], limits=limits, version=version))

    def look(self) -> None:
        asyncio.run(self.room.look())

    def plan(self) -> list[int] | None:
        meters = asyncio.run(self.room.plan(_WANTED))
        return None if meters is None else [meter.quota.limit.amount for meter in meters]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def rule(text: str) -> QuotaRule:
    return QuotaRule(quota=Quota("rule", read_limit(text)))


def test_workers_may_ask_the_room(bench: Bench) -> None:
    assert bench.desks == [bench.room]


def test_the_first_limit_and_the_last_one_swap_the_snapshot_and_others_do_not(bench: Bench) -> None:
    bench.put("5 requests")
    bench.look()
    assert bench.told == [bench.room.mark, 2], "workers are told, and have the snapshot, before it is in effect"
    assert bench.metered()
    assert bench.plan() == [5]
    bench.put("6 requests")
    bench.look()
    assert bench.told[2:] == [bench.room.mark], "no other snapshot"
    assert bench.plan() == [6]
    bench.put()
    bench.look()
    assert not bench.metered()
    assert bench.told[3:] == [bench.room.mark, 3]
    assert bench.plan() == []


def test_a_snapshot_that_cannot_be_made_leaves_the_limits_out_of_effect_and_is_tried_again(bench: Bench) -> None:
    bench.renews = False
    bench.put("5 requests")
    bench.look()
    assert not bench.metered()
    bench.renews = True
    bench.look()
    assert bench.metered()


def test_other_rules_are_told_and_the_same_ones_are_not(bench: Bench) -> None:
    first = bench.room.mark
    bench.swap(replace(bench.snapshot, version=2))
    assert bench.told == []
    bench.swap(replace(bench.snapshot, version=3, quotas=(rule("9 requests/day"),), metered=True))
    assert bench.told == [bench.room.mark]
    assert bench.room.mark != first
    assert bench.plan() == [9]
    bench.swap(replace(bench.snapshot, version=4, quotas=(), metered=False))
    assert bench.room.mark == first, "who has not heard of what was between need not let go of anything"


def test_where_there_are_rules_the_first_limit_of_the_store_swaps_nothing(bench: Bench) -> None:
    bench.swap(replace(bench.snapshot, quotas=(rule("9 requests/day"),), metered=True))
    bench.told.clear()
    bench.put("5 requests")
    bench.look()
    assert bench.told == [bench.room.mark]
    assert bench.plan() == [5, 9]


def test_a_fault_of_the_store_is_told_once_and_that_it_is_away_is_not(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    def lease() -> None:
        assert asyncio.run(bench.room.lease([])) is None

    bench.store.away = True
    lease()
    assert "quotas" not in capsys.readouterr().err
    bench.store.away = False
    lease()
    lease()
    assert capsys.readouterr().err.count("quotas cannot be counted now") == 1

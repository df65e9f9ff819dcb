"""Plans are as new as all that was told of limits; asks of all workers at one time are one turn of the ledger."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from jotgate.core.ledger import LeaseAnswer, LeaseAsk
from jotgate.core.limit_records import LimitRecord
from jotgate.core.limit_texts import read_limit
from jotgate.core.quota_rules import QuotaRule
from jotgate.core.quotas import Level, Meter, Quota, Spender, TokenLimit
from jotgate.core.spenders import Surroundings
from jotgate.errors import JotgateError, StoreRefused, StoreUnavailable
from jotgate.ports import StoreAccess
from jotgate.services import lease_desk
from jotgate.services.lease_desk import LeaseDesk, QuotaSources
from jotgate.stores.access import DirectAccess
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock

_HANDLE = "https://own alice"


class Watched(MemoryStore):
    """A store that can be out of reach, and counts what it is asked; `meanwhile` happens behind each reading."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: JotgateError | None = None
        self.turns: list[list[LeaseAsk]] = []
        self.reads: list[list[tuple[Level, str]]] = []
        self.meanwhile: Callable[[], object] | None = None

    def turn(self, asks: Sequence[LeaseAsk]) -> Sequence[LeaseAnswer]:
        self._check()
        self.turns.append([*asks])
        return super().turn(asks)

    def limits_of(self, holders: Sequence[tuple[Level, str]]) -> Sequence[LimitRecord]:
        self._check()
        self.reads.append([*holders])
        found = super().limits_of(holders)
        if self.meanwhile is not None:
            self.meanwhile()
        return found

    def _check(self) -> None:
        if self.fault is not None:
            raise self.fault


class Bench:
    """A desk over a store in memory."""

    def __init__(self) -> None:
        self.store = Watched()
        self.access: StoreAccess = DirectAccess(self.store)
        self.sources = QuotaSources((), Surroundings("https://own", {}, frozenset({"gpt"})))
        self.kept = True
        self.failed: list[str] = []
        self.desk = LeaseDesk(
            self.access,
            ManualClock(),
            sources=lambda: self.sources,
            kept=lambda: self.kept,
            failed=lambda error: self.failed.append(error.message),
        )

    def put(self, *texts: str, level: Level = "principal", holder: str = _HANDLE) -> None:
        found = self.store.limits_of(((level, holder),))
        version = found[0].version if found else 0
        limits = tuple(map(read_limit, texts))
        assert self.store.put_limits(LimitRecord(level=level, holder=holder, limits=limits, version=version))
        self.store.reads.clear()

    def rule(self, text: str) -> None:
        self.sources = QuotaSources(
            (*self.sources.rules, QuotaRule(quota=Quota("rule", read_limit(text)))), self.sources.around
        )

    def plan(self, token: str = "t1", limits: tuple[TokenLimit, ...] = ()) -> list[int] | None:
        spender = Spender("https://own", "alice", "app", "", f"https://own {token}", limits=limits)
        meters = asyncio.run(self.desk.plan(spender, "gpt", "chat.completions"))
        return None if meters is None else [meter.quota.limit.amount for meter in meters]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def ask(lease: str, amount: int = 10, want: int = 1) -> LeaseAsk:
    quota = Quota("q", read_limit(f"{amount} requests"))
    return LeaseAsk(lease, Meter("account", quota, (_HANDLE,)), want, 1)


# Plans


def test_a_plan_has_the_limits_of_rules_of_the_store_and_of_the_token(bench: Bench) -> None:
    bench.rule("9 requests/day")
    bench.put("8 requests", "7 tokens")
    assert bench.plan(limits=(TokenLimit(read_limit("6 requests")),)) == [6, 8, 7, 9]


def test_limits_of_holders_are_read_once_until_somebody_says_that_they_changed(bench: Bench) -> None:
    bench.put("8 requests")
    assert bench.plan() == bench.plan() == [8]
    assert len(bench.store.reads) == 1
    assert bench.plan("t2") == [8]
    assert bench.store.reads[1:] == [[("token", "https://own t2")]], "the other levels are known"
    bench.put("3 requests")
    assert bench.plan() == [8]
    bench.desk.forget()
    assert bench.plan() == [3]


def test_the_store_is_not_asked_where_it_has_no_limits(bench: Bench) -> None:
    bench.kept = False
    bench.rule("9 requests/day")
    bench.store.fault = StoreUnavailable("away")
    assert bench.plan() == [9]


def test_what_is_read_while_it_changes_is_read_again_and_not_remembered(bench: Bench) -> None:
    bench.put("8 requests")

    def change() -> None:
        bench.store.meanwhile = None
        bench.put("2 requests")
        bench.desk.forget()

    bench.store.meanwhile = change
    assert bench.plan() == [2]
    assert bench.plan() == [2]


def test_a_plan_is_of_the_rules_that_are_in_effect_when_it_is_told(bench: Bench) -> None:
    def change() -> None:
        bench.store.meanwhile = None
        bench.rule("5 requests/day")

    bench.store.meanwhile = change
    assert bench.plan() == [5]


def test_limits_that_never_stand_still_are_not_known(bench: Bench) -> None:
    bench.store.meanwhile = bench.desk.forget
    assert bench.plan() is None


def test_a_plan_is_not_known_while_the_store_is_away_and_is_when_it_is_back(bench: Bench) -> None:
    bench.put("8 requests")
    bench.store.fault = StoreUnavailable("away")
    assert bench.plan() is None
    assert bench.failed == ["away"]
    bench.store.fault = None
    assert bench.plan() == [8]


def test_what_is_remembered_of_holders_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_desk, "HOLDERS_MAX", 40)
    for number in range(200):
        assert bench.plan(f"t{number}") == []
        assert bench.plan("always") == []
    read = [holder for reads in bench.store.reads for _, holder in reads]
    assert read.count("https://own always") == 1, "what is asked for again and again stays"
    assert bench.plan("t0") == []
    assert ("token", "https://own t0") in bench.store.reads[-1], "and what is not goes"


# Leases


def test_what_workers_ask_at_one_time_is_one_turn(bench: Bench) -> None:
    async def play() -> list[list[LeaseAnswer] | None]:
        return await asyncio.gather(*(bench.desk.lease([ask(f"l{number}")]) for number in range(12)))

    answers = asyncio.run(play())
    assert [len(turn) for turn in bench.store.turns] == [12]
    assert [one[0].units for one in answers if one is not None] == [1] * 10 + [0, 0]


def test_an_ask_that_comes_again_is_granted_once(bench: Bench) -> None:
    first, again = (asyncio.run(bench.desk.lease([ask("l1", want=6)])) for _ in range(2))
    assert [one[0].units for one in (first, again) if one] == [6, 6]
    other = asyncio.run(bench.desk.lease([ask("l2", want=6)]))
    assert [one.units for one in other or ()] == [4]


def test_nothing_can_be_said_of_asks_while_the_store_is_away(bench: Bench) -> None:
    bench.store.fault = StoreUnavailable("away")
    assert asyncio.run(bench.desk.lease([ask("l1")])) is None
    bench.store.fault = None
    found = asyncio.run(bench.desk.lease([ask("l1")]))
    assert [one.units for one in found or ()] == [1]


def test_a_fault_of_one_workers_asks_is_told_and_is_no_other_workers(bench: Bench) -> None:
    class Picky(Watched):
        def turn(self, asks: Sequence[LeaseAsk]) -> Sequence[LeaseAnswer]:
            if any(one.lease_id == "bad" for one in asks):
                raise StoreRefused("the store does not take this")
            return super().turn(asks)

    async def play() -> list[list[LeaseAnswer] | None]:
        desk = LeaseDesk(
            DirectAccess(Picky()),
            ManualClock(),
            sources=lambda: bench.sources,
            kept=lambda: True,
            failed=lambda error: bench.failed.append(error.message),
        )
        return [*await asyncio.gather(*(desk.lease([ask(lease)]) for lease in ("l1", "bad", "l2")))]

    good, bad, last = asyncio.run(play())
    assert [one is None for one in (good, bad, last)] == [False, True, False]
    assert bench.failed == ["the store does not take this"]

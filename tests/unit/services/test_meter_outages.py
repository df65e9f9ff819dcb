"""Who waits for units when the ledger goes out of reach is told so, and not that the quota is spent."""

from collections.abc import Callable, Hashable
from math import inf

import pytest

from jotgate.core.ledger import LeaseAnswer, LeaseAsk
from jotgate.core.meters import meter_of
from jotgate.core.principals import Principal
from jotgate.core.quotas import Limit, Quota
from jotgate.errors import QuotaExceeded, QuotaUnavailable, UnitsUnresolved
from jotgate.services.meter import Metering
from jotgate.services.meter_post import OUTAGE_S, RETRY_S
from jotgate.services.meter_reservations import Need
from jotgate.testing.ports import ManualClock
from tests.metering import Chance

_METER = meter_of(Quota("day", Limit("requests", 100)), ("https://own alice",))
_ALICE = Principal("https://own", "alice", "app", "t", "k", frozenset(), None, inf, 0)


class Bench:
    """A worker's metering, and what it asks; it has been granted one request, and that is used."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.plans: list[int] = []
        self.asks: list[tuple[int, list[LeaseAsk]]] = []
        self.told: list[Hashable] = []
        soon: list[Callable[[], None]] = []
        self.soon = soon
        self.metering = Metering(
            self.clock,
            Chance(),
            ask_plan=lambda number, *_: self.plans.append(number),
            ask_leases=lambda number, asks: self.asks.append((number, asks)),
            told=self.told.append,
            soon=soon.append,
        )
        self.metering.enter(metered=True, capacity=100)
        self.wait()
        self.metering.plan_answered(self.plans.pop(), (_METER,))
        self.wait()
        number, (ask,) = self.asks.pop()
        self.metering.leases_answered(number, [LeaseAnswer(ask.lease_id, 1, 10.0, 15.0, posted=0, leased=1)])
        assert self.reserve() is not None
        self.told.clear()

    def reserve(self) -> object:
        return self.metering.reserve(_ALICE, "echo", "chat.completions", Need(), self.clock.monotonic_s())

    def wait(self) -> UnitsUnresolved:
        """A call that has to wait; what is asked for it is sent."""
        with pytest.raises(UnitsUnresolved) as refusal:
            self.reserve()
        while self.soon:
            self.soon.pop(0)()
        return refusal.value

    def tick(self, span_s: float) -> None:
        self.clock.advance(span_s)
        self.metering.tick()

    @property
    def refusal(self) -> type[Exception]:
        with pytest.raises((QuotaExceeded, QuotaUnavailable)) as refusal:
            self.reserve()
        return refusal.type


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_who_waits_is_told_as_soon_as_the_store_has_been_away_for_long_enough(bench: Bench) -> None:
    key = bench.wait().key
    number, asks = bench.asks.pop()
    bench.metering.leases_answered(number, None)
    bench.tick(OUTAGE_S / 2)
    assert bench.told == [], "it may be back in a moment"
    assert [again for _, again in bench.asks] == [asks], "and is asked again, under the same names"
    bench.tick(OUTAGE_S / 2)
    assert bench.told == [key]
    assert bench.refusal is QuotaUnavailable
    bench.tick(RETRY_S)
    assert bench.told == [key], "each is told once"


def test_a_store_that_hung_has_been_away_since_it_was_asked(bench: Bench) -> None:
    key = bench.wait().key
    number, _ = bench.asks.pop()
    bench.clock.advance(OUTAGE_S)
    bench.metering.leases_answered(number, None)
    bench.tick(0.0)
    assert bench.told == [key]
    assert bench.refusal is QuotaUnavailable


def test_who_waits_while_nobody_is_there_to_ask_is_told(bench: Bench) -> None:
    key = bench.wait().key
    bench.metering.lost_link()
    bench.tick(OUTAGE_S)
    assert bench.told == [key]
    assert bench.refusal is QuotaUnavailable
    bench.asks.clear()
    bench.metering.ask_again()
    assert len(bench.asks) == 1, "what was not answered is asked of whoever comes"


def test_a_store_that_does_not_answer_is_not_asked_again_at_once() -> None:
    """However many wait meanwhile: each ask of theirs would only add to what it cannot do."""
    bench = Bench()
    bench.wait()
    asked = 0
    for _ in range(40):
        while bench.asks:
            asked += 1
            bench.metering.leases_answered(bench.asks.pop()[0], None)
        bench.clock.advance(RETRY_S / 10)
        bench.metering.tick()
        while bench.soon:
            bench.soon.pop(0)()
    assert 3 <= asked <= 5

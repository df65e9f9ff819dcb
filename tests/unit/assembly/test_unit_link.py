"""What a worker asks of quotas gets to control as it was meant, whatever an upstream says that a call has used."""

from collections.abc import Callable, Hashable
from typing import Any

from jotgate.assembly.unit_link import UnitLink
from jotgate.core.ledger import LeaseAnswer
from jotgate.core.meters import meter_of
from jotgate.core.principals import Principal
from jotgate.core.quotas import Limit, Quota
from jotgate.errors import UnitsUnresolved
from jotgate.processes.messages import (
    LeasesAnswered,
    LeasesAsked,
    LimitsChanged,
    PlanAnswered,
    PlanWanted,
    frame,
    read_from_worker,
)
from jotgate.services.meter import Metering
from jotgate.services.meter_reservations import Need, Reservation, Used
from jotgate.testing.ports import ManualClock

_METER = meter_of(Quota("money", Limit("cost", 1_000)), ("https://own alice",))
_ALICE = Principal("https://own", "alice", "app", "t", "k", frozenset(), None, float("inf"), 0)


class Bench:
    """A link whose messages go through frames, and the metering behind it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.sent: list[object] = []
        self.turns: list[Callable[[], None]] = []
        self.told: list[Hashable] = []
        this: Any = self
        self.link = UnitLink(this, this, self.clock, self.turns.append)
        self.metering.enter(metered=True, capacity=10)

    # What the link asks of a gateway, and of the bus

    @property
    def metered(self) -> Any:
        return self

    def reserve_by(self, build: Callable[[Callable[[Hashable], object]], Metering]) -> Metering:
        self.metering = build(self.told.append)
        return self.metering

    def send(self, message: Any) -> bool:
        self.sent.append(read_from_worker(frame(message)[4:]))
        return True

    # What happens

    def reserve(self) -> Reservation | None:
        now_s = self.clock.monotonic_s()
        try:
            return self.metering.reserve(_ALICE, "echo", "chat.completions", Need(cost=10), now_s)
        except UnitsUnresolved:
            self.run()
            return None

    def run(self) -> None:
        while self.turns:
            self.turns.pop(0)()

    def tick(self, times: int) -> None:
        for _ in range(times):
            self.clock.advance(0.25)
            self.metering.tick()
            self.run()

    def granted(self) -> Reservation:
        """A call that has asked for its plan and its units, and was answered."""
        assert self.reserve() is None
        wanted = self.sent.pop()
        assert isinstance(wanted, PlanWanted)
        assert (wanted.spender.subject, wanted.model, wanted.operation) == ("alice", "echo", "chat.completions")
        self.link.hear(PlanAnswered(wanted.number, (_METER,)))
        assert self.reserve() is None
        asked = self.sent.pop()
        assert isinstance(asked, LeasesAsked)
        units = asked.asks[0].want
        answer = LeaseAnswer(asked.asks[0].lease_id, units, 10.0, 15.0, leased=units)
        self.link.hear(LeasesAnswered(asked.number, [answer]))
        found = self.reserve()
        assert found is not None
        return found


def test_plans_and_leases_are_asked_for_and_taken() -> None:
    bench = Bench()
    bench.granted().settle(Used(cost=10))
    bench.tick(5)
    asked = bench.sent.pop()
    assert isinstance(asked, LeasesAsked)
    assert [one.spent for one in asked.asks] == [10]


def test_a_cost_beyond_all_numbers_is_told_as_the_most_that_can_be() -> None:
    bench = Bench()
    bench.granted().settle(Used(cost=10**40))
    bench.tick(5)
    asks = [one for message in bench.sent if isinstance(message, LeasesAsked) for one in message.asks]
    assert max(max(one.want, one.spent) for one in asks) == 2**53


def test_plans_are_asked_for_anew_when_limits_have_changed() -> None:
    bench = Bench()
    bench.granted().settle(Used(cost=10))
    bench.link.hear(LimitsChanged("new"))
    assert bench.link.mark == "new"
    assert bench.reserve() is None
    assert isinstance(bench.sent.pop(), PlanWanted)


def test_another_control_is_asked_what_was_not_answered() -> None:
    bench = Bench()
    assert bench.reserve() is None
    first = bench.sent.pop()
    bench.link.lost()
    bench.link.ask_again()
    again = bench.sent.pop()
    assert isinstance(first, PlanWanted)
    assert isinstance(again, PlanWanted)
    assert again.spender == first.spender

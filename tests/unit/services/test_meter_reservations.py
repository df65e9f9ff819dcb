"""What is reserved may be spent a moment less long than the ledger says, and what is used beyond it is told."""

import pytest

from jotgate.core.lease_turns import SPEND_MS
from jotgate.core.spenders import spender_of
from jotgate.errors import QuotaStanding
from jotgate.services.meter_chains import MARGIN_S
from jotgate.services.meter_plans import Plan
from jotgate.services.meter_reservations import Amounts, Extended, Reservation, Used
from tests.property.metering_machine import ANN
from tests.unit.services.test_meter import ONE, begin, meter, world_of

SPEND_S = SPEND_MS / 1_000


def test_a_worker_ends_a_lease_before_the_ledger_does() -> None:
    """The clocks of two machines do not run alike, and what is checked now is sent a moment later."""
    world = world_of(meter(100, "total_tokens"))
    (worker,) = world.workers
    asked_s = worker.clock.monotonic_s()
    (call,) = begin(world, worker, ONE)
    assert MARGIN_S >= 0.2
    assert call.reservation.live(asked_s + SPEND_S - MARGIN_S - 0.01)
    assert not call.reservation.live(asked_s + SPEND_S - MARGIN_S)


class Told:
    """Whoever holds the leases (meter_reservations.Desk). Mutable: how often more was used than reserved."""

    def __init__(self) -> None:
        self.short = False
        self.overruns = 0

    def step(self, reservation: Reservation, output_tokens: int, cost: int, *, patient: bool) -> Extended:
        raise AssertionError((reservation, output_tokens, cost, patient))

    def standings(self, plan: Plan) -> tuple[QuotaStanding, ...]:
        raise AssertionError(plan)

    def room(self, plan: Plan) -> int:
        raise AssertionError(plan)

    def yet(self, plan: Plan, span_s: float) -> int:
        raise AssertionError((plan, span_s))

    def overrun(self, plan: Plan) -> None:
        assert not plan.parts
        self.overruns += 1

    def freed(self, plan: Plan) -> None:
        raise AssertionError(plan)


RESERVED: Amounts = (1, 50, 10, 60, 100, 2, 1)


@pytest.mark.parametrize(
    ("used", "overruns", "beyond"),
    [
        (Used(input_tokens=50, output_tokens=10, cost=100, tool_calls=2), 0, 0),
        (Used(input_tokens=1, output_tokens=11), 1, 0),
        (Used(input_tokens=51), 1, 0),
        (Used(input_tokens=50, output_tokens=30), 1, 20),
        (Used(cost=101), 1, 0),
        (Used(tool_calls=3), 1, 0),
    ],
)
def test_what_is_used_beyond_is_told_of_each_unit_by_itself(used: Used, overruns: int, beyond: int) -> None:
    """A quota of output alone is overspent by output, however little of the input was used."""
    desk = Told()
    reservation = Reservation(desk, Plan((spender_of(ANN), "", ""), (), ()), RESERVED, [])
    assert reservation.settle(used) == beyond
    assert desk.overruns == overruns

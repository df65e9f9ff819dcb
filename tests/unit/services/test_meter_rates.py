"""What a rate lets through is judged by how much a call wants, whatever was refused to others."""

from jotgate.core.ledger import LeaseAsk
from jotgate.core.meters import meter_of
from jotgate.core.quotas import Limit, Meter, Quota
from jotgate.services.meter_reservations import Need
from tests.property.metering_machine import World
from tests.unit.services.test_meter import begin, seconds, settle, world_of

BIG = Need(input_tokens=90_000)
SMALL = Need(input_tokens=110, output_tokens=10)


def rate(amount: int, *, period_s: int = 60, burst: int = 0) -> Meter:
    return meter_of(Quota("rate", Limit("total_tokens", amount, "rate", period_s=period_s, burst=burst)), ("ann",))


def spend_elsewhere(world: World, meter: Meter, amount: int) -> None:
    """Another machine has just spent so much."""
    world.store.turn([LeaseAsk("elsewhere", meter, want=amount, least=amount)])
    world.store.turn([LeaseAsk("", meter, previous="elsewhere", spent=amount)])


def test_small_calls_pass_however_often_a_big_one_is_refused() -> None:
    quota = rate(100_000)
    world = world_of(quota)
    (worker,) = world.workers
    spend_elsewhere(world, quota, 40_000)
    for _ in range(8):
        assert begin(world, worker, BIG) == []
        passed = begin(world, worker, SMALL)
        assert len(passed) == 1
        settle(passed, 120)
        seconds(world, 0.25)
    assert len(worker.refused) == 8


def test_each_call_is_told_when_so_much_as_it_wants_may_come() -> None:
    quota = rate(60, burst=50)
    world = world_of(quota)
    (worker,) = world.workers
    spend_elsewhere(world, quota, 45)
    for amount, wait_s in ((50, 45), (10, 5), (30, 25)):
        assert begin(world, worker, Need(input_tokens=amount)) == []
        assert worker.refused[-1].retry_after_s == wait_s
    assert begin(world, worker, Need(input_tokens=51)) == []
    assert worker.refused[-1].retry_after_s == 0, "it is more than may ever come at once"
    assert len(begin(world, worker, Need(input_tokens=5))) == 1


def test_a_call_that_can_do_with_less_gets_what_a_rate_has_left() -> None:
    quota = rate(1_000)
    world = world_of(quota)
    (worker,) = world.workers
    spend_elsewhere(world, quota, 400)
    settle(begin(world, worker, SMALL))
    (call,) = begin(world, worker, Need(input_tokens=10, output_tokens=900, output_least=1))
    assert 400 <= call.reservation.output_tokens < 600


def test_a_rate_that_was_refused_lets_through_what_has_come_meanwhile() -> None:
    quota = rate(60, period_s=60, burst=10)
    world = world_of(quota)
    (worker,) = world.workers
    spend_elsewhere(world, quota, 10)
    need = Need(input_tokens=1)
    assert begin(world, worker, need) == []
    assert worker.refused[-1].retry_after_s == 1
    seconds(world, 1.25)
    assert len(begin(world, worker, need)) == 1

"""What becomes of leases that are lost, that end with their window, and of messages that come twice or too late."""

import pytest

from jotgate.core.ledger import LeaseAnswer
from jotgate.core.meters import meter_of
from jotgate.core.quotas import Limit, Quota
from jotgate.services.meter import AT_ONCE
from jotgate.services.meter_leases import IDLE_S, SYNC_S
from jotgate.services.meter_reservations import Need, Used
from tests.unit.services.test_meter import balance, begin, meter, seconds, settle, world_of


def test_calls_of_a_lost_lease_are_charged_for_what_they_use_beyond_it_alone() -> None:
    """The worker stood still for longer than its lease: what it had was posted, and the call ends long after."""
    quota = meter(100, "total_tokens")
    world = world_of(quota)
    (worker,) = world.workers
    over, under = begin(world, worker, Need(input_tokens=10), calls=2)
    worker.paused = True
    seconds(world, 20.0)
    worker.paused = False
    seconds(world, 5.0)
    found = balance(world, quota)
    assert found.lost >= 20
    assert (found.posted, found.leased) == (found.lost, 0)
    under.reservation.settle(Used(input_tokens=4))
    over.reservation.settle(Used(input_tokens=10, output_tokens=found.lost))
    over.ended = under.ended = True
    seconds(world, 2.0)
    assert balance(world, quota).posted == found.lost + 14
    assert balance(world, quota).debt == 14


def test_a_worker_that_stood_still_goes_on_with_new_leases() -> None:
    quota = meter(100, "total_tokens")
    world = world_of(quota)
    (worker,) = world.workers
    settle(begin(world, worker))
    worker.paused = True
    seconds(world, 20.0)
    worker.paused = False
    settle(begin(world, worker))
    assert len(worker.calls) == 2


def test_a_call_over_the_end_of_a_window_is_charged_where_it_began() -> None:
    quota = meter(100, "total_tokens", "minute")
    world = world_of(quota)
    (worker,) = world.workers
    seconds(world, 55.0)
    (call,) = begin(world, worker)
    seconds(world, 6.0)
    settle([call])
    settle(begin(world, worker), tokens=7)
    seconds(world, 2.0)
    assert balance(world, quota).posted == 7
    assert balance(world, quota).leased == 0


def test_a_stream_over_the_end_of_a_window_grows_in_the_new_one() -> None:
    quota = meter(20, "total_tokens", "minute")
    world = world_of(quota)
    (worker,) = world.workers
    seconds(world, 55.0)
    (call,) = begin(world, worker)
    told: list[str] = []
    call.reservation.on_news(lambda: told.append(call.reservation.extend(15, 0)))
    seconds(world, 6.0)
    assert call.reservation.extend(15, 0) == "waiting"
    worker.run()
    world.carry(worker)
    assert told == ["granted"]
    call.reservation.settle(Used(input_tokens=1, output_tokens=21))
    call.ended = True
    seconds(world, 2.0)
    assert balance(world, quota).posted == 22 - 10, "the first ten are of the minute before"


def test_an_answer_that_comes_twice_is_taken_once() -> None:
    quota = meter(100)
    world = world_of(quota)
    (worker,) = world.workers
    worker.begin(Need())
    worker.run()
    world.ask(worker, times=2)
    world.answer(worker, times=2)
    assert len(worker.calls) == 1
    assert balance(world, quota).leased == 1


def test_an_answer_of_a_control_that_is_gone_is_not_taken() -> None:
    world = world_of(meter(100))
    (worker,) = world.workers
    worker.begin(Need())
    worker.run()
    (number, (ask,)) = worker.sent[0]
    worker.cut()
    worker.metering.leases_answered(number, [LeaseAnswer(ask.lease_id, 50, 10.0, 15.0)])
    worker.run()
    assert worker.calls == []


@pytest.mark.parametrize("amount", [10, 100_000])
def test_what_was_spent_is_told_within_two_seconds(amount: int) -> None:
    quota = meter(amount)
    world = world_of(quota)
    settle(begin(world, world.workers[0]))
    seconds(world, max(IDLE_S, SYNC_S) + 0.5)
    assert balance(world, quota).posted == 1
    assert not world.workers[0].metering._active, "nothing is left to look at"


def test_the_end_of_a_window_makes_no_flood_of_asks() -> None:
    quota = meter(1, "requests", "minute")
    world = world_of(quota)
    (worker,) = world.workers
    settle(begin(world, worker))
    seconds(world, 59.75)
    asked: list[object] = []
    for _ in range(50):
        worker.begin(Need())
        worker.run()
        asked += worker.sent
        world.carry(worker)
    assert len(asked) <= 2


def test_many_accounts_are_looked_at_in_several_turns_of_the_loop() -> None:
    world = world_of()
    (worker,) = world.workers
    quotas = [meter_of(Quota("q", Limit("requests", 5)), (str(number),)) for number in range(AT_ONCE + 200)]
    worker.meters = quotas
    settle(begin(world, worker, Need()))
    assert world.store.balances(quotas[-1:])[0].leased == 1
    world.time.s += 1.5
    worker.metering.tick()
    assert 0 < len(worker.metering._turns) < AT_ONCE
    worker.run()
    assert not worker.metering._turns
    world.carry(worker)
    assert {(one.posted, one.leased) for one in world.store.balances(quotas)} == {(1, 0)}

"""What calls get of their quotas, how much a worker holds for how long, and what becomes of it when something fails."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from jotgate.core.ledger import Balance
from jotgate.core.meters import meter_of
from jotgate.core.quotas import Limit, Meter, Quota, Unit, WindowKind
from jotgate.errors import QuotaUnavailable, UnitsUnresolved
from jotgate.services.meter_reservations import Need, Reservation, Used
from tests.property.metering_machine import ANN, MODEL, Call, Worker, World

ONE = Need(input_tokens=1, output_tokens=9)


def meter(amount: int, unit: Unit = "requests", window: WindowKind = "lifetime") -> Meter:
    return meter_of(Quota(f"{unit}/{window}", Limit(unit, amount, window)), ("ann",))


def world_of(*meters: Meter, workers: int = 1) -> World:
    """Workers whose calls meet these quotas."""
    world = World(workers)
    for worker in world.workers:
        worker.meters = meters
    return world


def begin(world: World, worker: Worker, need: Need = ONE, calls: int = 1) -> list[Call]:
    """So many calls come at once; those that were let through in this turn."""
    before = len(worker.calls)
    for _ in range(calls):
        worker.begin(need)
    worker.run()
    world.carry(worker)
    return worker.calls[before:]


def balance(world: World, one: Meter) -> Balance:
    (found,) = world.store.balances([one])
    return found


def seconds(world: World, span_s: float, *, deliver: bool = True) -> None:
    world.let_time_pass(int(span_s * 4), deliver=deliver)


def settle(calls: Sequence[Call], tokens: int = 10) -> None:
    for call in calls:
        call.reservation.settle(Used(input_tokens=1, output_tokens=tokens - 1))
        call.ended = True


def test_calls_at_once_on_several_workers_never_exceed_a_quota() -> None:
    """F20: however many come at once, ten of ten are let through, and each of the others is told why it is not."""
    quota = meter(10)
    world = world_of(quota, workers=4)
    for worker in world.workers:
        begin(world, worker, calls=16)
    seconds(world, 3.0)
    granted = [call for worker in world.workers for call in worker.calls]
    assert len(granted) == 10
    settle(granted)
    seconds(world, 2.0)
    assert balance(world, quota) == Balance(quota.key, posted=10)
    assert begin(world, world.workers[0]) == []
    refusal = world.workers[0].refused[-1]
    assert (refusal.standing.name, refusal.standing.limit, refusal.standing.spent) == ("requests/lifetime", 10, 10)
    assert refusal.retry_after_s == 0


def test_idle_units_are_back_within_two_seconds() -> None:
    quota = meter(1_000, "total_tokens")
    world = world_of(quota)
    settle(begin(world, world.workers[0], calls=8), tokens=3)
    assert balance(world, quota).leased > 0
    seconds(world, 2.0)
    assert balance(world, quota) == Balance(quota.key, posted=24, left=976)


def test_who_is_used_all_the_time_asks_before_it_has_nothing() -> None:
    quota = meter(1_000_000)
    world = world_of(quota)
    (worker,) = world.workers
    for _ in range(40):
        settle(begin(world, worker, calls=5))
        seconds(world, 0.25)
    for _ in range(5):
        begin_now(worker).void()


def begin_now(worker: Worker, need: Need = ONE) -> Reservation:
    """Reserve without waiting."""
    found = worker.metering.reserve(ANN, MODEL, "chat.completions", need, worker.clock.monotonic_s())
    assert found is not None
    return found


def test_a_small_quota_is_leased_one_by_one() -> None:
    quota = meter(12)
    world = world_of(quota, workers=2)
    for _ in range(6):
        for worker in world.workers:
            settle(begin(world, worker))
            held = worker.metering.standings(next(iter(worker.metering._plans.near.values()))[1])
            assert held[0].spent <= 12
            assert balance(world, quota).leased <= 2, "each has the one of its call"
            seconds(world, 0.25)
    seconds(world, 2.0)
    assert balance(world, quota).posted == 12


def test_all_levels_are_taken_or_none() -> None:
    many, few = meter(100, "requests"), meter(2, "total_tokens")
    world = world_of(many, few)
    assert begin(world, world.workers[0]) == []
    assert len(world.workers[0].refused) == 1
    seconds(world, 2.25)
    assert balance(world, many) == Balance(many.key, left=100)


def test_a_call_that_runs_for_long_keeps_what_it_reserved_and_is_charged_what_it_used() -> None:
    quota = meter(100, "total_tokens")
    world = world_of(quota)
    calls = begin(world, world.workers[0], Need(input_tokens=10, output_tokens=50))
    seconds(world, 90.0)
    assert balance(world, quota) == Balance(quota.key, leased=60, left=40)
    settle(calls, tokens=15)
    seconds(world, 2.0)
    assert balance(world, quota) == Balance(quota.key, posted=15, left=85)


def test_a_call_is_settled_once() -> None:
    quota = meter(100, "total_tokens")
    world = world_of(quota)
    (call,) = begin(world, world.workers[0])
    assert call.reservation.settle(Used(input_tokens=3, output_tokens=9)) == 2
    assert call.reservation.settle(Used(input_tokens=3, output_tokens=9)) == 0
    call.reservation.void()
    call.ended = True
    seconds(world, 2.0)
    assert balance(world, quota).posted == 12


def test_what_is_used_beyond_the_quota_is_debt_and_the_next_call_is_refused() -> None:
    quota = meter(15, "total_tokens")
    world = world_of(quota)
    settle(begin(world, world.workers[0]), tokens=40)
    seconds(world, 2.0)
    assert balance(world, quota) == Balance(quota.key, posted=40, debt=25)
    assert begin(world, world.workers[0], Need(input_tokens=1)) == []
    assert world.workers[0].refused[-1].standing.spent == 40


def test_a_call_that_can_do_with_less_gets_what_is_left() -> None:
    quota = meter(25, "total_tokens")
    world = world_of(quota)
    need = Need(input_tokens=1, output_tokens=17, output_least=1)
    first = begin(world, world.workers[0], need)
    second = begin(world, world.workers[0], need)
    assert [one.reservation.output_tokens for one in (*first, *second)] == [17, 6]
    assert begin(world, world.workers[0], need) == []


def test_units_that_others_sleep_on_are_waited_for() -> None:
    quota = meter(20, "total_tokens")
    world = world_of(quota, workers=2)
    sleeper, other = world.workers
    (call,) = begin(world, sleeper, Need(input_tokens=20))
    call.reservation.void()
    call.ended = True
    assert begin(world, other, Need(input_tokens=20)) == []
    seconds(world, 2.0)
    assert len(other.calls) == 1
    assert other.refused == []


def test_the_leases_of_a_dead_worker_are_posted_after_fifteen_seconds() -> None:
    quota = meter(20, "total_tokens")
    world = world_of(quota, workers=2)
    begin(world, world.workers[0])
    world.kill(0)
    seconds(world, 16.0)
    begin(world, world.workers[1])
    found = balance(world, quota)
    assert (found.posted, found.lost, found.leased) == (10, 10, 10)


def test_a_reservation_is_dead_when_its_lease_was_not_renewed() -> None:
    world = world_of(meter(100))
    (worker,) = world.workers
    (call,) = begin(world, worker)
    seconds(world, 9.5, deliver=False)
    assert call.reservation.live(worker.clock.monotonic_s())
    seconds(world, 0.5, deliver=False)
    assert not call.reservation.live(worker.clock.monotonic_s())
    call.reservation.void()
    with pytest.raises(QuotaUnavailable):
        begin_now(worker)


def test_what_was_asked_of_a_control_that_died_is_granted_once() -> None:
    quota = meter(100)
    world = world_of(quota)
    (worker,) = world.workers
    worker.begin(ONE)
    worker.run()
    (_, asks) = worker.sent[0]
    world.store.turn(asks)
    worker.cut()
    worker.join()
    assert [one for _, again in worker.sent for one in again] == list(asks)
    world.carry(worker)
    assert len(worker.calls) == 1
    assert balance(world, quota).leased == 1


def test_without_a_store_a_worker_spends_what_it_holds_and_then_says_so() -> None:
    quota = meter(1_000, "total_tokens")
    world = world_of(quota)
    (worker,) = world.workers
    calls = begin(world, worker, Need(input_tokens=30))
    settle(calls, tokens=10)
    world.down = True
    begin_now(worker, Need(input_tokens=20))
    with pytest.raises(UnitsUnresolved) as waits:
        begin_now(worker, Need(input_tokens=1))
    assert isinstance(waits.value.verdict, QuotaUnavailable)
    worker.run()
    seconds(world, 1.5)
    with pytest.raises(QuotaUnavailable) as refusal:
        begin_now(worker, Need(input_tokens=1))
    assert refusal.value.retry_after_s > 0
    world.down = False
    seconds(world, 1.0)
    assert len(begin(world, worker)) == 1


def test_places_of_calls_at_once_are_lost_when_nobody_renews_them() -> None:
    world = world_of(meter(2, "concurrent", "now"), workers=2)
    worker, other = world.workers
    calls = begin(world, worker, calls=2)
    worker.cut()
    seconds(world, 14.0)
    assert not any(call.slotless for call in calls)
    assert begin(world, other) == []
    seconds(world, 1.0)
    assert all(call.slotless for call in calls)
    seconds(world, 0.5)
    begin(world, other)
    assert len(other.calls) == 2, "the one that waited, too"


def test_a_place_that_is_given_back_is_the_next_ones_at_once() -> None:
    world = world_of(meter(1, "concurrent", "now"))
    (worker,) = world.workers
    (first,) = begin(world, worker)
    assert begin(world, worker) == []
    settle([first])
    worker.run()
    assert len(worker.calls) == 2


def test_a_new_window_begins_with_all_of_the_limit() -> None:
    quota = meter(3, "requests", "minute")
    world = world_of(quota)
    (worker,) = world.workers
    settle(begin(world, worker, calls=3))
    seconds(world, 2.0)
    assert begin(world, worker) == []
    assert 50 < worker.refused[-1].retry_after_s <= 60
    seconds(world, 58.5)
    assert len(begin(world, worker, calls=3)) == 3


def test_a_rate_lets_its_burst_through_and_then_says_when() -> None:
    limit = Limit("requests", 60, "rate", period_s=60, burst=5)
    world = world_of(meter_of(Quota("rate", limit), ("ann",)))
    (worker,) = world.workers
    settle(begin(world, worker, calls=8))
    assert len(worker.calls) == 5
    assert [one.retry_after_s for one in worker.refused] == [1, 1, 1]
    for _ in range(10):
        seconds(world, 1.0)
        settle(begin(world, worker, calls=3))
    assert len(worker.calls) <= 5 + 10


def test_steps_of_a_stream_are_reserved_until_nothing_is_left() -> None:
    quota = meter(30, "total_tokens")
    world = world_of(quota)
    (call,) = begin(world, world.workers[0])
    told: list[str] = []
    call.reservation.on_news(lambda: told.append(call.reservation.extend(8, 0)))
    for expected in (["granted"], ["granted"] * 2):
        assert call.reservation.extend(8, 0) == "waiting"
        call.worker.run()
        world.carry(call.worker)
        assert told == expected
    became: str = call.reservation.extend(8, 0)
    if became == "waiting":
        call.worker.run()
        world.carry(call.worker)
        became = told[-1]
    assert became == "refused"
    assert not call.reservation.unavailable
    assert call.reservation.output_tokens == 9 + 16


def test_a_step_is_refused_as_unavailable_when_nobody_can_say_what_is_left() -> None:
    world = world_of(meter(1_000, "total_tokens"))
    (call,) = begin(world, world.workers[0])
    call.worker.cut()
    seconds(world, 2.0)
    assert call.reservation.extend(50, 0) == "refused"
    assert call.reservation.unavailable


def test_plans_are_asked_for_anew_when_limits_have_changed() -> None:
    old, new = meter(1), meter(5)
    world = world_of(old)
    (worker,) = world.workers
    settle(begin(world, worker))
    seconds(world, 2.0)
    assert begin(world, worker) == []
    worker.meters = (new,)
    worker.metering.limits_changed()
    assert len(begin(world, worker, calls=4)) == 4
    assert balance(world, new).leased == 4


def test_limits_that_count_alike_share_the_account_and_not_what_is_held() -> None:
    """A call under the smaller limit spends nothing of what was leased under the larger one."""
    large, small = meter(100), meter(2)
    assert large.key == small.key
    world = world_of(large)
    (worker,) = world.workers
    settle(begin(world, worker, calls=3))
    worker.meters = (small,)
    worker.metering.limits_changed()
    assert begin(world, worker) == []
    seconds(world, 3.0)
    assert len(worker.calls) == 3


def test_plans_are_bounded_and_a_known_one_is_not_asked_for_again() -> None:
    world = world_of(meter(1_000))
    (worker,) = world.workers
    worker.metering.enter(metered=True, capacity=4)
    settle(begin(world, worker))
    for number in range(20):
        stranger = replace(ANN, token_id=str(number))
        with pytest.raises(UnitsUnresolved):
            worker.metering.reserve(stranger, MODEL, "chat.completions", ONE, worker.clock.monotonic_s())
        worker.run()
    plans = worker.metering._plans
    assert len(plans.near) + len(plans._old_near) <= 4
    assert len(plans._by_key) + len(plans._old_keys) <= 4


def test_an_equal_principal_of_another_reading_has_the_same_plan() -> None:
    world = world_of(meter(1_000))
    (worker,) = world.workers
    settle(begin(world, worker))
    plans = worker.metering._plans
    assert plans.find(replace(ANN), MODEL, "chat.completions") is plans.find(ANN, MODEL, "chat.completions")
    assert isinstance(plans.find(replace(ANN, subject="bob"), MODEL, "chat.completions"), tuple)


def test_nothing_limits_a_call_without_limits() -> None:
    world = world_of()
    (worker,) = world.workers
    worker.metering.enter(metered=False, capacity=8)
    assert worker.metering.reserve(ANN, MODEL, "chat.completions", ONE, 0.0) is None
    worker.metering.enter(metered=True, capacity=8)
    with pytest.raises(UnitsUnresolved):
        worker.metering.reserve(ANN, MODEL, "chat.completions", ONE, 0.0)
    worker.run()
    assert worker.metering.reserve(ANN, MODEL, "chat.completions", ONE, 0.0) is None


def test_a_worker_that_stops_gives_back_what_it_holds() -> None:
    quota = meter(1_000, "total_tokens")
    world = world_of(quota)
    (worker,) = world.workers
    settle(begin(world, worker, calls=3), tokens=4)
    worker.metering.close()
    world.carry(worker)
    assert balance(world, quota) == Balance(quota.key, posted=12, left=988)

"""A bound on the calls of one tenant: its further calls wait, and keep nobody else waiting."""

import random

import pytest
from msgspec import structs

from jotgate.core.routes import Bounds, Upstream
from jotgate.errors import UpstreamUnavailable
from jotgate.gateway.standing import Standing
from jotgate.ports import Running
from jotgate.testing.ports import RecordingCaller
from tests.crowds import Crowd, code_of, plain, upstream


def shared(of_one_tenant: int, concurrent: int = 0, queued: int = 10) -> Upstream:
    """An upstream that each tenant is given so many calls at once of."""
    bounds = Bounds(concurrent=concurrent, of_one_tenant=of_one_tenant, queued=queued, queue_s=5.0)
    return upstream("one", bounds=bounds)


def crowd_of(of_one_tenant: int, concurrent: int = 0, queued: int = 10) -> Crowd:
    return Crowd(plain("one"), {"one": shared(of_one_tenant, concurrent, queued)})


def test_the_calls_of_one_tenant_wait_for_one_another_and_for_nobody_else() -> None:
    crowd = crowd_of(2)
    greedy = [crowd.call(tenant="a")[0] for _ in range(4)]
    modest, _ = crowd.call(tenant="b")
    assert (len(crowd.sent), crowd.standing("one").waiting) == (3, 2)
    crowd.last("one").answer(200, b"{}")
    assert (modest.status, len(crowd.sent)) == (200, 3), "another tenant's end makes no room for a"
    crowd.ports["one"].exchanges[0].answer(200, b"{}")
    assert (greedy[0].status, len(crowd.sent), crowd.standing("one").waiting) == (200, 4, 1)


def test_who_waits_behind_a_full_tenant_is_let_in_before_it() -> None:
    """With a bound on all of them too."""
    crowd = crowd_of(1, concurrent=2)
    for tenant in ("a", "b"):
        crowd.call(tenant=tenant)
    second_of_a, _ = crowd.call(tenant="a")
    first_of_c, _ = crowd.call(tenant="c")
    crowd.ports["one"].exchanges[1].answer(200, b"{}")  # b has ended: there is room, and none for a
    crowd.last("one").answer(200, b"{}")
    assert (first_of_c.status, second_of_a.state) == (200, "waiting")
    crowd.ports["one"].exchanges[0].answer(200, b"{}")
    crowd.last("one").answer(200, b"{}")
    assert second_of_a.status == 200
    assert crowd.standing("one").tenants == {}


def test_a_token_without_a_tenant_is_of_the_one_that_everybody_is_in() -> None:
    crowd = crowd_of(1)
    crowd.call()
    crowd.call(tenant="default")
    assert (len(crowd.sent), crowd.standing("one").tenants) == (1, {"default": 1})


def test_without_a_queue_the_next_call_of_a_full_tenant_is_refused() -> None:
    crowd = crowd_of(1, queued=0)
    crowd.call(tenant="a")
    caller, _ = crowd.call(tenant="a")
    assert (caller.status, code_of(caller)) == (503, "upstream_busy")
    assert crowd.call(tenant="b")[0].state == "waiting"


def test_workers_share_the_bound_of_a_tenant() -> None:
    rooms = [Standing(shared(3), slot, 2) for slot in range(2)]
    for room, share in zip(rooms, (2, 1), strict=True):
        room.tenants = {"a": share - 1}
        assert room.has_room("a")
        room.tenants = {"a": share}
        assert not room.has_room("a")


def test_a_bound_that_a_reload_brings_counts_the_calls_that_begin_from_then_on() -> None:
    """And those that it took into account are gone from the count when they end, whatever reloads bring meanwhile."""
    crowd = crowd_of(0)
    standing = crowd.standing("one")
    crowd.call(tenant="a")
    standing.obey(shared(1))
    crowd.call(tenant="a")
    crowd.call(tenant="a")
    assert (standing.tenants, standing.waiting) == ({"a": 1}, 1)
    crowd.ports["one"].exchanges[0].answer(200, b"{}")
    assert (standing.tenants, standing.waiting) == ({"a": 1}, 1), "that one was not counted"
    standing.obey(structs.replace(shared(1), bounds=Bounds()))
    assert (standing.running, standing.waiting) == (2, 0), "the bound is gone"
    for exchange in crowd.ports["one"].exchanges[1:]:
        exchange.answer(200, b"{}")
    assert (standing.running, standing.tenants) == (0, {})


@pytest.mark.parametrize("seed", range(5))
def test_whatever_happens_no_tenant_exceeds_its_bound_and_every_call_ends_once(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test's own chance
    crowd = crowd_of(2, concurrent=4, queued=6)
    standing = crowd.standing("one")
    calls: list[tuple[RecordingCaller, Running]] = []
    for _ in range(600):
        open_now = [one for one in crowd.ports["one"].exchanges if not (one._over or one.aborted)]
        match chance.choice(["call", "call", "answer", "refused", "leave", "wait"]):
            case "call":
                calls.append(crowd.call(tenant=chance.choice(["a", "b", "c"])))
            case "answer" if open_now:
                chance.choice(open_now).answer(200, b"{}")
            case "refused" if open_now:
                chance.choice(open_now).fail(UpstreamUnavailable("no connection"), written=False)
            case "leave" if calls:
                caller, running = chance.choice(calls)
                if caller.state == "waiting":
                    running.caller_gone()
            case _:
                crowd.wait(chance.random())
        assert standing.tenants is not None
        assert max(standing.tenants.values(), default=0) <= 2
        assert sum(standing.tenants.values()) == standing.running <= 4
    crowd.wait(1_000)
    assert not crowd.gateway.live
    assert len(crowd.trail.lines) == len(calls)
    assert (standing.running, standing.waiting, standing.tenants) == (0, 0, {})

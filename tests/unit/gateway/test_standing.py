"""An upstream's bound: never more calls at once, the others wait in order, for a time, or go elsewhere."""

import random

import pytest

from jotgate.core.calls import ResponseHead
from jotgate.core.routes import Bounds
from jotgate.errors import UpstreamTokenUnavailable, UpstreamUnavailable
from jotgate.gateway.standing import Standing
from jotgate.ports import Running
from jotgate.testing.ports import ManualClock, RecordingCaller
from tests.crowds import Crowd, bounded, busy, code_of, plain, upstream


def crowd_of(concurrent: int, queued: int = 10, queue_s: float = 5.0) -> Crowd:
    """A crowd before one upstream."""
    return Crowd(plain("one"), {"one": bounded("one", concurrent, queued, queue_s)})


def test_a_call_beyond_the_bound_waits_for_the_end_of_another() -> None:
    crowd = crowd_of(2)
    callers = [crowd.call()[0] for _ in range(3)]
    assert (len(crowd.sent), crowd.standing("one").waiting) == (2, 1)
    crowd.ports["one"].exchanges[0].answer(200, b"{}")
    assert (len(crowd.sent), crowd.standing("one").waiting) == (3, 0)
    assert [caller.state for caller in callers] == ["ended", "waiting", "waiting"]


def test_those_who_wait_are_let_in_in_their_order() -> None:
    crowd = crowd_of(1)
    callers = [crowd.call()[0] for _ in range(4)]
    for caller in callers:
        crowd.last("one").answer(200, b"{}")
        assert caller.status == 200
    assert crowd.standing("one").running == 0


def test_a_full_queue_refuses_at_once() -> None:
    crowd = crowd_of(1, queued=1)
    crowd.call()
    crowd.call()
    caller, _ = crowd.call()
    assert (caller.status, code_of(caller), caller.headers["retry-after"]) == (503, "upstream_busy", "1")
    record = crowd.trail.only
    assert (record.outcome, record.code, record.upstream) == ("refused", "upstream_busy", "")


def test_without_a_queue_nobody_waits() -> None:
    crowd = crowd_of(1, queued=0)
    crowd.call()
    assert code_of(crowd.call()[0]) == "upstream_busy"


def test_who_has_waited_too_long_is_refused_and_its_place_is_free() -> None:
    crowd = crowd_of(1, queued=1, queue_s=5.0)
    crowd.call()
    caller, _ = crowd.call()
    crowd.wait(5.0)
    assert caller.state == "waiting"
    crowd.wait(0.1)
    assert (caller.status, code_of(caller)) == (503, "upstream_busy")
    assert crowd.standing("one").waiting == 0
    assert crowd.call()[0].state == "waiting"


def test_a_caller_who_leaves_the_queue_is_not_sent() -> None:
    crowd = crowd_of(1)
    crowd.call()
    _, running = crowd.call()
    kept, _ = crowd.call()
    running.caller_gone()
    crowd.last("one").answer(200, b"{}")
    crowd.last("one").answer(200, b"{}")
    assert (len(crowd.sent), kept.status) == (2, 200)
    assert crowd.trail.records[0].outcome == "caller_gone"


def test_a_pause_while_waiting_holds_for_the_exchange_that_follows() -> None:
    crowd = crowd_of(1)
    crowd.call()
    _, running = crowd.call()
    running.caller_paused()
    crowd.last("one").answer(200, b"{}")
    assert crowd.last("one").paused
    running.caller_resumed()
    assert not crowd.last("one").paused


@pytest.mark.parametrize("end", ["answer", "failure", "caller", "timeout", "fail-over"])
def test_however_a_call_ends_its_room_is_free_again(end: str) -> None:
    crowd = Crowd(plain("one", "two"), {"one": bounded("one", 1)})
    _, running = crowd.call()
    exchange = crowd.last("one")
    match end:
        case "answer":
            exchange.answer(200, b"{}")
        case "failure":
            exchange.fail(UpstreamUnavailable("closed"), written=True)
        case "caller":
            running.caller_gone()
        case "timeout":
            crowd.wait(121)
        case _:
            busy(exchange)
    assert crowd.standing("one").running == 0
    crowd.call()
    assert crowd.sent[-1] == "one"


def test_a_full_upstream_is_passed_over_while_another_has_room() -> None:
    crowd = Crowd(plain("one", "two"), {"one": bounded("one", 1), "two": bounded("two", 1)})
    for _ in range(3):
        crowd.call()
    assert (crowd.sent, crowd.standing("one").waiting) == (["one", "two"], 1)


def test_those_who_wait_for_an_upstream_that_goes_down_are_sent_elsewhere() -> None:
    crowd = Crowd(plain("one", "two"), {"one": bounded("one", 5), "two": bounded("two", 5)})
    callers = [crowd.call()[0] for _ in range(12)]
    assert crowd.standing("one").waiting == 2
    for exchange in crowd.ports["one"].exchanges[:5]:
        exchange.fail(UpstreamUnavailable("no connection"), written=False)
    assert crowd.standing("one").state == "open"
    for exchange in crowd.ports["one"].exchanges[5:]:  # let in before the last of the five had failed
        exchange.fail(UpstreamUnavailable("no connection"), written=False)
    assert (crowd.standing("one").running, crowd.standing("one").waiting) == (0, 0)
    answered = 0
    while answered < len(crowd.ports["two"].exchanges):
        crowd.ports["two"].exchanges[answered].answer(200, b"{}")
        answered += 1
    assert [caller.status for caller in callers] == [200] * 12


def test_those_who_wait_for_the_only_upstream_are_told_when_it_goes_down() -> None:
    crowd = crowd_of(5, queued=15)
    callers = [crowd.call()[0] for _ in range(20)]
    for exchange in crowd.ports["one"].exchanges[:5]:
        exchange.fail(UpstreamUnavailable("no connection"), written=False)
    assert {code_of(caller) for caller in callers[:5]} == {"upstream_unavailable"}
    assert [caller.state for caller in callers[5:9]] == ["waiting"] * 4  # let in before the fifth had failed
    assert {code_of(caller) for caller in callers[9:]} == {"upstream_suspended"}


def test_calls_without_a_token_for_the_upstream_leave_it_in_use_and_the_next_upstream_is_tried() -> None:
    crowd = Crowd(plain("one", "two"))
    callers = [crowd.call()[0] for _ in range(20)]
    for exchange in crowd.ports["one"].exchanges:
        exchange.fail(UpstreamTokenUnavailable("there is none", retry_after_s=3), written=False)
    assert crowd.standing("one").state == "closed"
    assert len(crowd.ports["two"].exchanges) == 20
    for exchange in crowd.ports["two"].exchanges:
        exchange.fail(UpstreamTokenUnavailable("there is none", retry_after_s=3), written=False)
    assert {(caller.status, code_of(caller)) for caller in callers} == {(503, "upstream_token_unavailable")}
    assert {caller.headers["retry-after"] for caller in callers} == {"3"}
    assert crowd.standing("two").state == "closed"


def test_a_fail_over_may_wait_too() -> None:
    crowd = Crowd(plain("one", "two"), {"two": bounded("two", 1)})
    for _ in range(2):
        crowd.call()
        busy(crowd.last("one"))
    assert crowd.standing("two").waiting == 1
    crowd.last("two").answer(200, b"{}")
    crowd.last("two").answer(200, b"{}")
    assert [record.status for record in crowd.trail.records] == [200, 200]


def test_a_reload_keeps_what_runs_and_lets_in_those_for_whom_there_is_room_now() -> None:
    crowd = crowd_of(1)
    callers = [crowd.call()[0] for _ in range(3)]
    crowd.standing("one").obey(bounded("one", 3))
    assert (len(crowd.sent), crowd.standing("one").running) == (3, 3)
    for exchange in crowd.ports["one"].exchanges:
        exchange.answer(200, b"{}")
    assert [caller.status for caller in callers] == [200] * 3


def test_the_operator_is_told_what_becomes_of_a_breaker_and_of_nothing_else() -> None:
    told: list[tuple[str, str]] = []
    standing = Standing(upstream("one"), note=lambda name, state: told.append((name, state)))
    clock = ManualClock()
    for _ in range(6):
        standing.failed(clock.monotonic_s())
    clock.advance(10)
    for _ in range(2):
        standing.enter("default", clock)
        standing.answered(ResponseHead(200, [], 0), "m", clock)
    assert told == [("one", "open"), ("one", "trial"), ("one", "closed")]


def test_workers_share_a_bound() -> None:
    shares = [Standing(bounded("one", 5, queued=4), slot, 2) for slot in range(2)]
    assert [standing.bound for standing in shares] == [3, 2]


def test_the_bound_on_connections_is_one_on_calls() -> None:
    both = Bounds(concurrent=4, connections=2)
    assert Standing(upstream("one", bounds=both)).bound == 2


@pytest.mark.parametrize("seed", range(5))
def test_whatever_happens_the_bounds_hold_and_every_call_ends_once(seed: int) -> None:
    """Calls come, are answered well and badly, leave and wait too long, in an order that the seed decides."""
    chance = random.Random(seed)  # noqa: S311 - a test's own chance
    crowd = Crowd(plain("one", "two"), {"one": bounded("one", 4, 5, 2.0), "two": bounded("two", 2, 3, 2.0)})
    calls: list[tuple[RecordingCaller, Running]] = []
    for _ in range(600):
        open_now = [one for port in crowd.ports.values() for one in port.exchanges if not (one._over or one.aborted)]
        match chance.choice(["call", "call", "answer", "busy", "refused", "leave", "wait"]):
            case "call":
                calls.append(crowd.call())
            case "answer" if open_now:
                chance.choice(open_now).answer(200, b"{}")
            case "busy" if open_now:
                busy(chance.choice(open_now), chance.choice([429, 503]), retry_after=chance.choice([b"0", b"2"]))
            case "refused" if open_now:
                chance.choice(open_now).fail(UpstreamUnavailable("no connection"), written=False)
            case "leave" if calls:
                caller, running = chance.choice(calls)
                if caller.state == "waiting":
                    running.caller_gone()
            case _:
                crowd.wait(chance.random())
        assert crowd.standing("one").running <= 4
        assert crowd.standing("two").running <= 2
        assert crowd.standing("one").waiting <= 5
        assert crowd.standing("two").waiting <= 3
    crowd.wait(1_000)
    assert not crowd.gateway.live
    assert len(crowd.trail.lines) == len(calls)
    for name in crowd.ports:
        assert (crowd.standing(name).running, crowd.standing(name).waiting) == (0, 0)


def test_a_call_waits_at_every_full_upstream_of_its_route_and_takes_the_first_room() -> None:
    crowd = Crowd(plain("one", "two"), {name: bounded(name, 1) for name in ("one", "two")})
    for _ in range(2):
        crowd.call()
    caller, _ = crowd.call()
    assert [crowd.standing(name).waiting for name in ("one", "two")] == [1, 1]
    crowd.last("two").answer(200, b"{}")
    assert crowd.sent == ["one", "two", "two"]
    assert [crowd.standing(name).waiting for name in ("one", "two")] == [0, 0]
    crowd.last("two").answer(200, b"{}")
    assert caller.status == 200
    crowd.last("one").answer(200, b"{}")
    assert [crowd.standing(name).running for name in ("one", "two")] == [0, 0]


def test_who_waits_is_sent_when_an_upstream_may_be_asked_again_and_the_first_comer_first() -> None:
    crowd = Crowd(plain("two", "one"), {name: bounded(name, 1) for name in ("one", "two")})
    crowd.call()
    crowd.last("two").tell(ResponseHead(503, [(b"retry-after", b"2")], 0), b"", complete=True)
    early, _ = crowd.call()
    crowd.wait(0.5)
    late, _ = crowd.call()
    crowd.wait(1.0)
    assert crowd.sent == ["two", "one"]
    crowd.wait(1.0)
    assert crowd.sent == ["two", "one", "two"]
    crowd.last("two").answer(200, b"{}")
    assert (early.status, late.state) == (200, "waiting")
    crowd.wait(0.25)
    assert crowd.sent == ["two", "one", "two", "two"]

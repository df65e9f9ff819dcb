"""Which upstream of a route a call goes to: weights, fail-over, breakers and rests."""

from collections import Counter

import pytest

from jotgate.core.breakers import BreakerRules
from jotgate.core.routes import Attempt
from jotgate.errors import UpstreamTorn, UpstreamUnavailable
from tests.crowds import Crowd, bounded, busy, code_of, plain, upstream


def answered(crowd: Crowd, name: str) -> None:
    """A call to this upstream ends well."""
    caller, _ = crowd.call()
    crowd.last(name).answer(200, b"{}")
    assert caller.status == 200


def test_weights_share_the_calls_and_the_rest_stands_by() -> None:
    crowd = Crowd([Attempt("one", "m", 3), Attempt("two", "m", 1), Attempt("three", "m")])
    for _ in range(80):
        crowd.call()
    counts = Counter(crowd.sent)
    assert abs(counts["one"] - 60) <= 2
    assert counts["three"] == 0


def test_a_call_is_sent_to_at_most_so_many_upstreams() -> None:
    crowd = Crowd(plain("one", "two", "three", "four", "five"))
    caller, _ = crowd.call()
    for name in ("one", "two", "three"):
        crowd.last(name).answer(503, b"{}")
    assert (crowd.sent, caller.status) == (["one", "two", "three"], 503)
    crowd.swap(attempts_max=5)
    caller, _ = crowd.call()
    for name in ("one", "two", "three", "four"):
        crowd.last(name).answer(503, b"{}")
    crowd.last("five").answer(200, b"{}")
    assert caller.status == 200


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_call_that_may_have_been_done_is_sent_on_only_where_the_route_says_so(status: int) -> None:
    crowd = Crowd(plain("one", "two"))
    caller, _ = crowd.call()
    crowd.last("one").answer(status, b"{}")
    assert (caller.status, crowd.sent) == (status, ["one"])
    crowd.swap(retry_unsafe=True)
    caller, _ = crowd.call()
    crowd.last("one").answer(status, b"{}")
    crowd.last("two").answer(200, b"{}")
    assert caller.status == 200


def test_retry_unsafe_sends_on_what_broke_off_or_was_silent_before_the_first_byte_and_nothing_later() -> None:
    crowd = Crowd(plain("one", "two"))
    crowd.swap(retry_unsafe=True)
    caller, _ = crowd.call()
    crowd.last("one").fail(UpstreamTorn("broke off"), written=True)
    crowd.last("two").answer(200, b"{}")
    assert caller.status == 200
    caller, _ = crowd.call()
    crowd.wait(121)
    assert crowd.last("one").aborted
    crowd.last("two").answer(200, b"{}")
    assert caller.status == 200
    caller, _ = crowd.call()
    crowd.last("one").stream(b"data: {}\n\n")
    crowd.last("one").fail(UpstreamTorn("broke off"), written=True)
    assert (caller.state, crowd.sent[-1]) == ("aborted", "one")


def test_after_failures_in_a_row_an_upstream_is_left_alone_and_then_tried_once() -> None:
    crowd = Crowd(plain("one", "two"))
    crowd.refuse_connections("one", 5)
    assert crowd.standing("one").state == "open"
    crowd.sent.clear()
    crowd.call()
    assert crowd.sent == ["two"]
    crowd.wait(10)
    crowd.call()
    crowd.call()
    assert crowd.sent == ["two", "one", "two"]
    crowd.last("one").answer(200, b"{}")
    assert crowd.standing("one").state == "closed"
    crowd.call()
    assert crowd.sent[-1] == "one"


def test_a_trial_that_fails_is_answered_by_the_next_upstream_and_opens_the_breaker_again() -> None:
    crowd = Crowd(plain("one", "two"))
    crowd.refuse_connections("one", 5)
    crowd.wait(10)
    caller, _ = crowd.call()
    crowd.last("one").fail(UpstreamUnavailable("no connection"), written=False)
    crowd.last("two").answer(200, b"{}")
    assert (caller.status, crowd.standing("one").state) == (200, "open")


@pytest.mark.parametrize(
    ("status", "state"), [(503, "open"), (502, "open"), (504, "open"), (500, "closed"), (429, "closed")]
)
def test_what_an_upstream_says_of_itself_opens_the_breaker_and_what_it_says_of_a_request_does_not(
    status: int, state: str
) -> None:
    crowd = Crowd(plain("one"))
    for _ in range(5):
        crowd.call()
        crowd.last("one").answer(status, b"{}")
    assert crowd.standing("one").state == state


def test_successes_between_failures_keep_the_breaker_closed() -> None:
    crowd = Crowd(plain("one", "two"))
    for _ in range(6):
        crowd.refuse_connections("one", 4)
        answered(crowd, "one")
    assert crowd.standing("one").state == "closed"


def test_a_stream_that_breaks_off_and_one_that_falls_silent_are_failures() -> None:
    crowd = Crowd(plain("one"), {"one": upstream("one", breaker=BreakerRules(failures=2))})
    crowd.call()
    crowd.last("one").stream(b"data: {}\n\n")
    crowd.last("one").fail(UpstreamTorn("broke off"), written=True)
    assert crowd.standing("one").state == "closed"
    crowd.call()
    crowd.wait(121)
    assert crowd.standing("one").state == "open"


def test_when_every_upstream_is_left_alone_the_call_is_refused_at_once_and_told_when_to_come_back() -> None:
    crowd = Crowd(plain("one"))
    crowd.refuse_connections("one", 5)
    crowd.clock.advance(2.5)
    caller, _ = crowd.call()
    assert (caller.status, code_of(caller), caller.headers["retry-after"]) == (503, "upstream_suspended", "8")
    record = crowd.trail.records[-1]
    assert (record.outcome, record.code, record.upstream) == ("refused", "upstream_suspended", "")
    assert not crowd.gateway.live


def test_an_upstream_that_asks_for_rest_is_passed_over_until_then() -> None:
    crowd = Crowd(plain("one", "two"))
    crowd.call()
    busy(crowd.last("one"), 429, retry_after=b"7")
    crowd.sent.clear()
    crowd.call()
    assert crowd.sent == ["two"]
    crowd.wait(7.1)
    crowd.call()
    assert crowd.sent == ["two", "one"]


def test_a_rest_is_for_the_model_alone_that_it_was_asked_for() -> None:
    crowd = Crowd([Attempt("one", "large"), Attempt("one", "small"), Attempt("two", "large")])
    caller, _ = crowd.call()
    busy(crowd.last("one"), 429, retry_after=b"7")
    assert b"small" in crowd.last("one").outbound.body
    crowd.last("one").answer(200, b"{}")
    assert caller.status == 200


def test_an_upstream_that_rests_is_asked_when_nobody_else_is_left() -> None:
    crowd = Crowd(plain("one"))
    for _ in range(2):
        caller, _ = crowd.call()
        busy(crowd.last("one"), 429, retry_after=b"7")
        assert (caller.status, caller.headers["retry-after"]) == (429, "7")
    answered(crowd, "one")


def test_what_an_upstream_said_is_the_callers_when_no_other_can_take_the_call() -> None:
    crowd = Crowd(plain("one", "two"), {"two": bounded("two", 1, queued=0)})
    crowd.call()
    busy(crowd.last("one"), 503)  # goes to two, and stays there
    caller, _ = crowd.call()
    busy(crowd.last("one"), 503, retry_after=b"3")
    assert (caller.status, caller.headers["retry-after"]) == (503, "3")
    assert crowd.trail.only.upstream == "one"

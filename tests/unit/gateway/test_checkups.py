"""Health checks: what they ask, when, and what follows."""

from jotgate.core.calls import ResponseHead
from jotgate.core.routes import HEALTH, HealthCheck
from jotgate.errors import UpstreamUnavailable
from jotgate.gateway.checkups import Checkups
from tests.crowds import Crowd, bounded, plain, upstream


class Watched(Crowd):
    """A crowd whose upstream `one` is asked how it is each 10 s; `two` is not."""

    def __init__(self) -> None:
        super().__init__(plain("one", "two"), {"one": upstream("one", health=HealthCheck("/health", 10.0))})
        self.checkups = Checkups(self.clock)

    def sweep(self, span_s: float = 0.0) -> None:
        self.clock.advance(span_s)
        self.checkups.sweep(self.world.places.values())

    def check(self, status: int | None) -> None:
        """Let ten seconds pass, and the check that is due then end with this status, or without an answer."""
        self.sweep(10.0)
        if status is None:
            self.last("one").fail(UpstreamUnavailable("no connection"), written=False)
        else:
            self.last("one").answer(status, b"ok")


def test_each_is_asked_when_it_is_due_and_only_those_with_a_path() -> None:
    crowd = Watched()
    crowd.sweep()
    assert crowd.last("one").outbound.operation == HEALTH
    crowd.last("one").answer(200, b"ok")
    crowd.sweep(9.9)
    assert crowd.sent == ["one"]
    crowd.sweep(0.1)
    assert crowd.sent == ["one", "one"]


def test_an_upstream_that_is_not_well_is_left_alone_before_a_call_finds_out() -> None:
    crowd = Watched()
    for status in (500, 404, None, 301, 503):
        assert crowd.standing("one").state == "closed"
        crowd.check(status)
    assert crowd.standing("one").state == "open"
    crowd.sent.clear()
    crowd.call()
    assert crowd.sent == ["two"]


def test_one_that_is_well_again_is_used_again_without_a_call_that_tries() -> None:
    crowd = Watched()
    for _ in range(5):
        crowd.check(None)
    crowd.check(204)
    assert crowd.standing("one").state == "closed"
    crowd.sent.clear()
    crowd.call()
    assert crowd.sent == ["one"]


def test_no_callers_call_tries_an_upstream_whose_checks_fail() -> None:
    crowd = Watched()
    for _ in range(5):
        crowd.check(500)
    for _ in range(10):
        crowd.check(500)
        crowd.gateway.control_seen()
        crowd.call()
        assert crowd.sent[-1] == "two"
    crowd.check(200)
    crowd.call()
    assert crowd.sent[-1] == "one"


def test_a_reload_that_ends_the_checks_ends_what_they_hold() -> None:
    crowd = Watched()
    for _ in range(5):
        crowd.check(500)
    crowd.clock.advance(10.0)
    crowd.call()
    assert crowd.sent[-1] == "two"
    crowd.standing("one").obey(upstream("one"))
    crowd.call()
    assert crowd.sent[-1] == "one"


def test_silence_is_an_answer() -> None:
    crowd = Watched()
    for _ in range(5):
        crowd.sweep(10.0)
        crowd.sweep(5.1)
        assert crowd.last("one").aborted
    assert crowd.standing("one").state == "open"
    assert crowd.standing("one").running == 0


def test_a_long_answer_is_not_read() -> None:
    crowd = Watched()
    crowd.sweep()
    exchange = crowd.last("one")
    exchange.tell(ResponseHead(200, [], None), b"much", complete=False)
    assert exchange.aborted
    assert crowd.standing("one").running == 0


def test_a_check_takes_room_like_a_call_and_none_is_made_where_there_is_none() -> None:
    crowd = Watched()
    crowd.standing("one").obey(bounded("one", 1))
    crowd.sweep()
    crowd.call()
    assert crowd.sent == ["one", "two"]
    crowd.last("one").answer(200, b"ok")
    crowd.call()
    crowd.sweep(20.0)
    assert crowd.sent == ["one", "two", "one"]


def test_an_upstream_that_is_gone_is_asked_no_more() -> None:
    crowd = Watched()
    crowd.check(200)
    crowd.clock.advance(20)
    crowd.checkups.sweep([])
    assert crowd.sent == ["one"]

"""The ports for tests hold whoever uses them to the ports' contracts."""

import pytest

from jotgate.core.calls import Outbound, ResponseHead
from jotgate.errors import UpstreamTorn
from jotgate.testing.ports import ManualClock, RecordingCaller, ScriptedPort


def test_a_clock_moves_by_hand_alone() -> None:
    clock = ManualClock(5.0, 1.0)
    clock.advance(2.5)
    assert (clock.now_s(), clock.monotonic_s()) == (7.5, 3.5)


def test_a_caller_takes_one_response() -> None:
    caller = RecordingCaller()
    with pytest.raises(AssertionError):
        caller.write(b"")
    with pytest.raises(AssertionError):
        caller.end(b"")
    with pytest.raises(AssertionError):
        caller.abort()
    caller.respond(200, b"A: b\r\n", b"x")
    with pytest.raises(AssertionError):
        caller.respond(200, b"", b"")
    with pytest.raises(AssertionError):
        caller.start(200, b"", None, b"")
    with pytest.raises(AssertionError):
        caller.write(b"")
    with pytest.raises(AssertionError):
        caller.abort()
    assert (caller.body, caller.headers) == (b"x", {"a": "b"})


def test_a_caller_takes_whole_header_lines_that_stand_once() -> None:
    with pytest.raises(AssertionError):
        RecordingCaller().respond(200, b"A: b", b"")
    caller = RecordingCaller()
    caller.respond(200, b"A: b\r\na: c\r\n", b"")
    with pytest.raises(AssertionError):
        assert caller.headers


class Listener:
    def __init__(self) -> None:
        self.heard = 0

    def received(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
        self.heard += 1

    def failed(self, error: UpstreamTorn | Exception, written: bool) -> None:
        self.heard += 1


def test_an_aborted_exchange_says_nothing_and_an_ended_one_cannot_go_on() -> None:
    port, listener = ScriptedPort(), Listener()
    outbound = Outbound("", b"GET", b"/", b"", b"")
    exchange = port.begin(outbound, listener)
    exchange.abort()
    exchange.stream(b"a")
    exchange.fail(UpstreamTorn("x"), written=True)
    assert (listener.heard, port.last) == (0, exchange)
    ended = port.begin(outbound, listener)
    ended.answer(200)
    with pytest.raises(AssertionError):
        ended.fail(UpstreamTorn("x"), written=True)
    assert listener.heard == 1

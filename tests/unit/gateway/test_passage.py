"""Requests for control: written anew with an allow-list, answered once, given up at a deadline."""

import json

import pytest

from jotgate.core.calls import ResponseHead
from jotgate.errors import UpstreamTorn, UpstreamUnavailable
from jotgate.gateway.passage import ControlDoor, Passage
from jotgate.jose.encoding import b64url_encode
from jotgate.testing.ports import ManualClock, RecordingCaller, ScriptedPort
from tests.callers import request


class Door:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.port = ScriptedPort()
        self.door = ControlDoor(self.port, self.clock)
        self.caller = RecordingCaller()

    def ask(self, **headers: bytes) -> Passage:
        asked = request(b"body", method=b"POST", path=b"/oauth/token", **headers)
        asked.query = b"a=b"
        asked.request_id = "ask-1"
        return self.door.run(asked, self.caller)

    def wait(self, span_s: float) -> None:
        self.clock.advance(span_s)
        self.door.check_deadlines()


@pytest.fixture
def door() -> Door:
    return Door()


def test_the_request_goes_on_with_its_own_fields_and_the_peers_address(door: Door) -> None:
    door.ask(
        authorization=b"Bearer t", content_type=b"text/x", x_jotgate_peer=b"10.9.9.9", cookie=b"a", connection=b"close"
    )
    outbound = door.port.last.outbound
    assert (outbound.method, outbound.target, outbound.body) == (b"POST", b"/oauth/token?a=b", b"body")
    own = b"X-Jotgate-Peer: 127.0.0.1\r\nX-Request-Id: ask-1\r\n"
    assert outbound.lines == own + b"authorization: Bearer t\r\ncontent-type: text/x\r\n"


def test_a_certificate_is_the_connections_and_a_proof_is_passed_on(door: Door) -> None:
    asked = request(b"body", dpop=b"proof", x_jotgate_certificate=b"forged", client_cert=b":forged:")
    asked.request_id, asked.certificate = "ask-1", b"of the connection"
    door.door.run(asked, door.caller)
    lines = door.port.last.outbound.lines
    assert b"X-Jotgate-Certificate: " + b64url_encode(b"of the connection") + b"\r\n" in lines
    assert b"dpop: proof\r\n" in lines
    assert b"forged" not in lines
    door.ask(x_jotgate_certificate=b"forged")
    assert b"certificate" not in door.port.last.outbound.lines.lower()


def test_a_request_without_query_has_none(door: Door) -> None:
    door.door.run(request(method=b"GET", path=b"/admin/x"), door.caller)
    assert door.port.last.outbound.target == b"/admin/x"


def test_the_answer_comes_back_without_what_the_edge_writes_itself(door: Door) -> None:
    passage = door.ask()
    head = ResponseHead(
        401,
        [
            (b"www-authenticate", b"Basic"),
            (b"content-type", b"text/plain"),
            (b"date", b"x"),
            (b"server", b"uvicorn"),
            (b"connection", b"close"),
            (b"content-length", b"2"),
            (b"set-cookie", b"a=b"),
            (b"x-request-id", b"theirs"),
        ],
        2,
    )
    door.port.last.tell(head, b"no", complete=True)
    assert (door.caller.status, door.caller.body, door.caller.state) == (401, b"no", "ended")
    lines = b"X-Request-Id: ask-1\r\nwww-authenticate: Basic\r\ncontent-type: text/plain\r\nset-cookie: a=b\r\n"
    assert door.caller.lines == lines
    assert passage.settled


def test_an_answer_in_pieces_passes_in_pieces(door: Door) -> None:
    passage = door.ask()
    door.port.last.stream(b"a", b"b", length=3)
    assert (door.caller.length, passage.settled) == (3, False)
    assert door.caller.headers["x-request-id"] == "ask-1"
    door.port.last.tell(None, b"c", complete=True)
    assert (door.caller.body, door.caller.state, passage.settled) == (b"abc", "ended", True)


@pytest.mark.parametrize("written", [True, False])
def test_a_control_that_does_not_answer_is_a_503(door: Door, written: bool) -> None:
    passage = door.ask()
    door.port.last.fail(UpstreamUnavailable("x", debug="/data/edge.sock"), written=written)
    told = json.loads(door.caller.body)
    assert (door.caller.status, told["error"]) == (503, "temporarily_unavailable")
    assert told["code"] == "control_unreachable"
    assert door.caller.headers["retry-after"] == "1"
    assert door.caller.headers["x-request-id"] == "ask-1"
    assert b"edge.sock" not in door.caller.body
    assert passage.settled


def test_an_answer_that_breaks_off_closes_the_connection(door: Door) -> None:
    door.ask()
    door.port.last.stream(b"a", length=9)
    door.port.last.fail(UpstreamTorn("x"), written=True)
    assert (door.caller.state, door.caller.body) == ("aborted", b"a")


def test_a_caller_who_goes_away_stops_the_request_once(door: Door) -> None:
    passage = door.ask()
    passage.caller_gone()
    assert door.port.last.aborted
    passage.caller_gone()
    door.wait(1_000)
    assert door.caller.state == "waiting"


def test_a_caller_who_goes_away_after_the_answer_stops_nothing(door: Door) -> None:
    passage = door.ask()
    door.port.last.answer(200)
    passage.caller_gone()
    assert not door.port.last.aborted


def test_a_slow_caller_slows_control(door: Door) -> None:
    passage = door.ask()
    passage.caller_paused()
    paused = [door.port.last.paused]
    passage.caller_resumed()
    assert [*paused, door.port.last.paused] == [True, False]


def test_control_is_given_up_at_the_deadline(door: Door) -> None:
    passage = door.ask()
    door.wait(10)
    assert door.caller.state == "waiting"
    door.wait(0.1)
    assert passage.settled
    assert door.port.last.aborted
    assert door.caller.status == 503
    door.wait(0.1)
    assert door.door._open == set()


def test_a_passage_that_was_never_sent_has_nothing_to_stop() -> None:
    caller = RecordingCaller()
    passage = Passage(caller, request(path=b"/admin/"), 5.0, None)
    passage.caller_paused()
    passage.caller_resumed()
    passage.check_deadline(5.1)
    assert caller.status == 503

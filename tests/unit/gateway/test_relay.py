"""A call has one answer and one settlement, whichever way it ends."""

import json

import pytest

from jotgate.core.calls import ResponseHead
from jotgate.core.sse import StreamTap
from jotgate.errors import UpstreamTorn, UpstreamUnavailable
from jotgate.ports import Running
from jotgate.testing.ports import RecordingCaller
from tests.callers import NAME
from tests.stages import FIRST_BYTE_S, IDLE_S, TOTAL_S, Stage

USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5}}\n\n'
PIECE = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.fixture
def stage() -> Stage:
    return Stage()


def error_of(caller: RecordingCaller) -> str:
    code = json.loads(caller.body)["error"]["code"]
    assert isinstance(code, str)
    return code


def told_in_stream(caller: RecordingCaller) -> str:
    """The code of the error event that ends the stream."""
    assert caller.state == "aborted"
    *_, event = caller.body.decode().removesuffix("\n\n").split("\n\n")
    code = json.loads(event.lstrip("\n").removeprefix("data: "))["error"]["code"]
    assert isinstance(code, str)
    return code


def test_a_unary_answer_passes_and_is_settled(stage: Stage) -> None:
    caller, _ = stage.call(b'{"model":"a"}', sub="alice", jti="t-1", client_id="cli")
    assert stage.gateway.live
    stage.clock.advance(0.25)
    body = b'{"usage":{"prompt_tokens":3,"completion_tokens":5}}'
    stage.one.last.answer(200, body)
    assert (caller.state, caller.status, caller.body) == ("ended", 200, body)
    record = stage.trail.only
    assert (record.outcome, record.status, record.code) == ("complete", 200, "")
    assert (record.operation, record.model, record.upstream) == ("chat.completions", "a", "one")
    assert (record.subject, record.token, record.kid) == ("alice", "t-1", stage.issuer.key.kid)
    assert (record.issuer, record.client_id) == (NAME, "cli")
    assert (record.tokens_in, record.tokens_out, record.stream) == (3, 5, False)
    assert (record.bytes_in, record.bytes_out) == (13, len(body))
    assert (record.at, record.duration_us) == (1_800_000_000_000_000, 250_000)
    assert (record.worker, record.row, record.peer) == ("w0", 1, "127.0.0.1")
    assert record.request_id == caller.headers["x-request-id"]
    assert not stage.gateway.live


def test_a_stream_passes_byte_for_byte_and_is_settled_at_its_end(stage: Stage) -> None:
    caller, _ = stage.call()
    exchange = stage.one.last
    pieces = [PIECE[:7], PIECE[7:], b"", USAGE[:30], USAGE[30:]]
    exchange.stream(*pieces)
    assert (caller.state, caller.length, stage.trail.lines) == ("begun", None, [])
    exchange.tell(None, DONE, complete=True)
    assert (caller.state, caller.body) == ("ended", PIECE + USAGE + DONE)
    record = stage.trail.only
    assert (record.outcome, record.stream) == ("complete", True)
    assert (record.tokens_in, record.tokens_out, record.bytes_out) == (3, 5, len(caller.body))


def test_a_unary_answer_in_several_pieces_keeps_its_length(stage: Stage) -> None:
    caller, _ = stage.call()
    stage.one.last.stream(b'{"usage":', content_type=b"application/json", length=30)
    assert caller.length == 30
    stage.one.last.tell(None, b'{"prompt_tokens":3}}', complete=True)
    assert stage.trail.only.tokens_in == 3
    assert not stage.trail.only.stream


@pytest.mark.parametrize("status", [400, 404, 408, 413, 422, 500, 502, 504])
def test_an_upstreams_own_refusal_is_the_callers_to_see(stage: Stage, status: int) -> None:
    caller, _ = stage.call()
    stage.one.last.answer(status, b'{"error":{}}')
    assert (caller.status, caller.body) == (status, b'{"error":{}}')
    assert (stage.trail.only.status, stage.trail.only.outcome) == (status, "complete")
    assert not stage.two.exchanges


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "upstream_refused"),
        (403, "upstream_refused"),
        (407, "upstream_refused"),
        (300, "upstream_torn"),
        (302, "upstream_torn"),
        (304, "upstream_torn"),
        (308, "upstream_torn"),
    ],
)
@pytest.mark.parametrize("complete", [True, False])
def test_a_status_that_speaks_of_jotgates_own_request_is_never_passed_on(
    stage: Stage, status: int, code: str, complete: bool
) -> None:
    caller, _ = stage.call()
    exchange = stage.one.last
    head = ResponseHead(status, [(b"www-authenticate", b"Bearer"), (b"location", b"https://else")], 6)
    exchange.tell(head, b"secret", complete=complete)
    assert (caller.status, error_of(caller)) == (502, code)
    assert "www-authenticate" not in caller.headers
    assert b"secret" not in caller.body
    assert exchange.aborted
    record = stage.trail.only
    assert (record.status, record.outcome, record.code) == (502, "failed", code)
    assert not stage.two.exchanges


@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_that_did_nothing_is_tried_at_the_next_upstream(stage: Stage, status: int) -> None:
    caller, _ = stage.call(b'{"store":true,"model":"a"}')
    stage.one.last.answer(status)
    assert caller.state == "waiting"
    assert stage.one.last.aborted
    outbound = stage.two.last.outbound
    assert json.loads(outbound.body) == {"store": False, "model": "real-a"}
    stage.two.last.answer(200, b"{}")
    assert (caller.status, stage.trail.only.upstream, stage.trail.only.outcome) == (200, "two", "complete")


@pytest.mark.parametrize("status", [429, 503])
def test_the_last_upstreams_refusal_is_the_callers_to_see(stage: Stage, status: int) -> None:
    caller, _ = stage.call()
    stage.one.last.answer(503)
    head = ResponseHead(status, [(b"retry-after", b"7")], 0)
    stage.two.last.tell(head, b"", complete=True)
    assert (caller.status, caller.headers["retry-after"]) == (status, "7")
    assert stage.trail.only.upstream == "two"


def test_a_request_that_was_never_seen_goes_to_the_next_upstream(stage: Stage) -> None:
    caller, _ = stage.call()
    stage.one.last.fail(UpstreamUnavailable("no connection"), written=False)
    stage.two.last.answer(200, b"{}")
    assert (caller.status, stage.trail.only.upstream) == (200, "two")


def test_a_request_that_was_seen_is_not_sent_again(stage: Stage) -> None:
    caller, _ = stage.call()
    stage.one.last.fail(UpstreamUnavailable("closed without an answer"), written=True)
    assert (caller.status, error_of(caller)) == (502, "upstream_unavailable")
    assert not stage.two.exchanges
    assert (stage.trail.only.outcome, stage.trail.only.code) == ("failed", "upstream_unavailable")


def test_when_no_upstream_can_be_reached_the_caller_is_told(stage: Stage) -> None:
    caller, _ = stage.call()
    stage.one.last.fail(UpstreamUnavailable("no connection"), written=False)
    stage.two.last.fail(UpstreamUnavailable("no connection", debug="10.0.0.7 refused"), written=False)
    assert (caller.status, error_of(caller)) == (502, "upstream_unavailable")
    assert b"10.0.0.7" not in caller.body
    assert (stage.trail.only.upstream, stage.trail.only.outcome) == ("two", "failed")


@pytest.mark.parametrize("written", [True, False])
def test_after_the_first_byte_nothing_is_sent_again(stage: Stage, written: bool) -> None:
    caller, _ = stage.call()
    stage.one.last.stream(PIECE, USAGE)
    stage.one.last.fail(UpstreamTorn("broke off"), written=written)
    assert not stage.two.exchanges
    assert told_in_stream(caller) == "upstream_torn"
    record = stage.trail.only
    assert (record.outcome, record.status, record.code) == ("torn", 200, "upstream_torn")
    assert (record.tokens_in, record.tokens_out, record.bytes_out) == (3, 5, len(PIECE + USAGE))


@pytest.mark.parametrize("cut", range(1, len(PIECE)))
def test_the_error_of_a_torn_stream_is_an_event_of_its_own_wherever_it_broke_off(stage: Stage, cut: int) -> None:
    caller, _ = stage.call()
    stage.one.last.stream(PIECE[:cut])
    stage.one.last.fail(UpstreamTorn("broke off"), written=True)
    assert caller.body.startswith(PIECE[:cut] + b"\n\n")
    assert told_in_stream(caller) == "upstream_torn"


@pytest.mark.parametrize(
    ("content_type", "length", "coding"),
    [
        (b"application/json", 900, b""),
        (b"application/json", None, b""),
        (b"text/event-stream", 900, b""),
        (b"text/event-stream", None, b"gzip"),
    ],
)
def test_no_error_is_told_inside_an_answer_that_would_not_show_it(
    stage: Stage, content_type: bytes, length: int | None, coding: bytes
) -> None:
    caller, _ = stage.call()
    fields = [(b"content-type", content_type)] + ([(b"content-encoding", coding)] if coding else [])
    stage.one.last.tell(ResponseHead(200, fields, length), b"partial", complete=False)
    stage.one.last.fail(UpstreamTorn("broke off"), written=True)
    assert (caller.state, caller.body) == ("aborted", b"partial")
    assert stage.trail.only.outcome == "torn"


def test_a_caller_who_goes_away_stops_the_upstream(stage: Stage) -> None:
    caller, running = stage.call()
    stage.one.last.stream(PIECE, USAGE)
    running.caller_gone()
    assert stage.one.last.aborted
    record = stage.trail.only
    assert (record.outcome, record.status, record.tokens_out) == ("caller_gone", 200, 5)
    assert caller.state == "begun"
    assert not stage.gateway.live


def test_a_caller_who_goes_away_before_the_answer_is_recorded_as_499(stage: Stage) -> None:
    _, running = stage.call()
    running.caller_gone()
    assert stage.one.last.aborted
    assert (stage.trail.only.outcome, stage.trail.only.status) == ("caller_gone", 499)


def test_a_call_that_outlives_jotgate_is_told_so_and_settled(stage: Stage) -> None:
    waiting, _ = stage.call()
    streaming, _ = stage.call()
    stage.one.last.stream(PIECE)
    stage.gateway.cancel_all()
    stage.gateway.cancel_all()
    assert (waiting.status, error_of(waiting), told_in_stream(streaming)) == (503, "not_ready", "not_ready")
    assert [exchange.aborted for exchange in stage.one.exchanges] == [True, True]
    assert {record.outcome for record in stage.trail.records} == {"cancelled"}
    assert len(stage.trail.records) == 2
    assert not stage.gateway.live


def test_a_body_without_a_head_is_never_the_callers_to_see(stage: Stage) -> None:
    caller, _ = stage.call()
    relay = next(iter(stage.gateway.live))
    relay.received(None, b"HTTP/1.1 200 OK", False)
    assert (caller.status, error_of(caller)) == (502, "upstream_torn")
    assert stage.trail.only.outcome == "failed"


def finish(stage: Stage, caller: RecordingCaller) -> None:
    """End a call in the shortest way."""
    stage.one.last.answer(200, b"{}")
    assert caller.state == "ended"


def test_nothing_that_comes_after_the_settlement_settles_again(stage: Stage) -> None:
    caller, running = stage.call()
    relay = next(iter(stage.gateway.live))
    finish(stage, caller)
    running.caller_gone()
    running.caller_paused()
    running.caller_resumed()
    relay.received(None, b"late", True)
    relay.failed(UpstreamTorn("late"), True)
    relay.check_deadlines(stage.clock.monotonic_s() + 10_000)
    assert len(stage.trail.lines) == 1
    assert caller.body == b"{}"
    assert not stage.two.exchanges


def test_silence_before_the_first_byte_ends_at_its_deadline(stage: Stage) -> None:
    caller, _ = stage.call()
    stage.wait(FIRST_BYTE_S)
    assert caller.state == "waiting"
    stage.wait(0.1)
    assert (caller.status, error_of(caller)) == (504, "upstream_timeout")
    assert stage.one.last.aborted
    assert (stage.trail.only.outcome, stage.trail.only.status) == ("timeout", 504)
    assert not stage.two.exchanges


def test_the_first_byte_deadline_begins_anew_with_the_next_attempt(stage: Stage) -> None:
    caller, _ = stage.call()
    stage.wait(FIRST_BYTE_S - 1)
    stage.one.last.answer(503)
    stage.wait(FIRST_BYTE_S - 1)
    assert caller.state == "waiting"
    stage.wait(1.1)
    assert caller.status == 504


def test_silence_within_a_stream_ends_at_its_deadline(stage: Stage) -> None:
    caller, _ = stage.call()
    stage.one.last.stream(PIECE)
    for _ in range(3):
        stage.wait(IDLE_S)
        assert caller.state == "begun"
        stage.one.last.tell(None, PIECE, complete=False)
    stage.wait(IDLE_S + 0.1)
    assert told_in_stream(caller) == "upstream_timeout"
    assert stage.one.last.aborted
    assert (stage.trail.only.outcome, stage.trail.only.status) == ("timeout", 200)


def test_the_whole_answer_has_a_deadline(stage: Stage) -> None:
    caller, _ = stage.call()
    stage.one.last.stream(PIECE)
    for _ in range(int(TOTAL_S / IDLE_S)):
        stage.wait(IDLE_S)
        stage.one.last.tell(None, PIECE, complete=False)
    assert caller.state == "begun"
    stage.wait(0.1)
    assert told_in_stream(caller) == "upstream_timeout"
    assert stage.trail.only.outcome == "timeout"


def test_a_slow_caller_slows_the_upstream_and_is_not_taken_for_its_silence(stage: Stage) -> None:
    caller, running = stage.call()
    stage.one.last.stream(PIECE)
    running.caller_paused()
    paused = [stage.one.last.paused]
    stage.wait(IDLE_S * 2)
    assert caller.state == "begun"
    running.caller_resumed()
    assert [*paused, stage.one.last.paused] == [True, False]
    stage.wait(IDLE_S)
    assert stage.trail.lines == []
    stage.wait(0.1)
    assert told_in_stream(caller) == "upstream_timeout"


def test_a_pause_holds_for_the_next_attempt_too(stage: Stage) -> None:
    _, running = stage.call()
    running.caller_paused()
    stage.one.last.answer(503)
    paused = [stage.two.last.paused]
    running.caller_resumed()
    assert [*paused, stage.two.last.paused] == [True, False]


def test_usage_is_read_from_bytes_that_pass_and_not_from_others(stage: Stage) -> None:
    """What the tap sees is what the caller got."""
    caller, _ = stage.call()
    stage.one.last.stream(PIECE, USAGE)
    tap = StreamTap()
    tap.feed(caller.body)
    running: Running = next(iter(stage.gateway.live))
    running.caller_gone()
    assert (stage.trail.only.tokens_in, stage.trail.only.tokens_out) == (
        tap.usage().prompt_tokens,
        tap.usage().completion_tokens,
    )

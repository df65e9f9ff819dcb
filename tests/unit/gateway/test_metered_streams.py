"""A stream reserves as it grows, and is cut, or runs on, when nothing is left; its bytes pass as they came."""

import json
from collections.abc import Callable

import pytest

from jotgate.core.calls import ResponseHead
from jotgate.core.routes import MeteringRules
from jotgate.errors import UpstreamTorn
from jotgate.services.meter import PATIENCE_S
from jotgate.testing.ports import RecordingCaller
from tests.metering import DONE, EVENT, TICK_S, MeteredStage, quota, usage
from tests.stages import IDLE_S

STREAM = b'{"model":"a","stream":true}'
INPUT = len(STREAM)
STEP = 64
MARGIN = STEP // 8
SOFT = MeteringRules(output_step=STEP, quota_spent="soft")
FINISH = MeteringRules(output_step=STEP, quota_spent="finish")
OPEN = MeteringRules(output_step=STEP, quota_outage="open")


def stream_of(stage: MeteredStage, events: int, body: bytes = STREAM) -> RecordingCaller:
    """A stream that has told so many events, one at a time."""
    caller, _ = stage.begin(body)
    exchange = stage.one.last
    exchange.stream(b"")
    grow(stage, events)
    return caller


def grow(stage: MeteredStage, events: int) -> None:
    for _ in range(events):
        while stage.one.last.paused and stage.gateway.live:
            stage.tick()
        if stage.one.last.aborted:
            return
        stage.one.last.tell(None, EVENT, complete=False)
        stage.run()


def is_paused(stage: MeteredStage) -> bool:
    return stage.one.last.paused


def end(stage: MeteredStage, tokens_in: int, tokens_out: int) -> None:
    stage.one.last.tell(None, usage(tokens_in, tokens_out) + DONE, complete=True)


def events_in(caller: RecordingCaller) -> int:
    return caller.body.count(EVENT)


def code_told(caller: RecordingCaller) -> str:
    """The code of the error event that ends the stream."""
    assert caller.state == "aborted"
    *_, last = caller.body.decode().removesuffix("\n\n").split("\n\n")
    code = json.loads(last.strip().removeprefix("data: "))["error"]["code"]
    assert isinstance(code, str)
    return code


def charged(stage: MeteredStage) -> tuple[int, int]:
    balance = stage.rest()
    found = stage.trail.only.charged
    assert found is not None
    assert balance.leased == 0
    assert balance.posted == found.tokens_in + found.tokens_out
    return found.tokens_in, found.tokens_out


def test_a_stream_passes_unchanged_and_is_charged_its_usage() -> None:
    stage = MeteredStage(quota(100_000))
    caller = stream_of(stage, 500)
    end(stage, 3, 500)
    assert (caller.state, caller.body) == ("ended", EVENT * 500 + DONE)
    assert charged(stage) == (3, 500)
    found = stage.trail.only.charged
    assert found is not None
    assert found.overrun == 0


def test_the_caller_that_asks_for_usage_sees_it() -> None:
    stage = MeteredStage(quota(100_000))
    caller = stream_of(stage, 2, b'{"model":"a","stream":true,"stream_options":{"include_usage":true}}')
    end(stage, 3, 2)
    assert caller.body == EVENT * 2 + usage(3, 2) + DONE


def test_a_promised_length_is_kept() -> None:
    stage = MeteredStage(quota(100_000))
    caller, _ = stage.begin(STREAM)
    whole = EVENT + usage(3, 1) + DONE
    head = ResponseHead(200, [(b"content-type", b"text/event-stream")], len(whole))
    stage.one.last.tell(head, whole, complete=True)
    assert caller.body == whole
    assert charged(stage) == (3, 1)


def test_a_stream_holds_no_more_than_it_has_grown_and_a_step() -> None:
    stage = MeteredStage(quota(100_000))
    stream_of(stage, 40)
    (relay,) = stage.gateway.live
    assert stage.balance().posted + stage.balance().leased >= INPUT + 2 * STEP
    relay.cancel()
    assert charged(stage)[1] <= 2 * STEP


def test_a_stream_reserves_for_as_long_as_a_step_may_take_at_its_own_pace() -> None:
    """One that were held would go on upstream, and what is made then is charged to nobody."""
    stage = MeteredStage(quota(100_000))
    stream_of(stage, 10)
    slow = stage.balance().leased
    per_tick = 100
    for _ in range(8):
        stage.clock.advance(TICK_S)
        grow(stage, per_tick)
    (relay,) = stage.gateway.live
    stage.mute = True
    grow(stage, int(per_tick * PATIENCE_S / TICK_S))
    assert not is_paused(stage)
    assert slow <= INPUT + 2 * STEP
    stage.mute = False
    relay.cancel()


def test_a_stream_is_cut_when_its_quota_is_spent_and_never_goes_beyond() -> None:
    stage = MeteredStage(quota(300))
    caller = stream_of(stage, 1_000)
    assert code_told(caller) == "quota_exceeded"
    assert stage.one.last.aborted
    assert 300 - INPUT - 2 * MARGIN <= events_in(caller) <= 300 - INPUT
    assert sum(charged(stage)) <= 300
    assert stage.balance().debt == 0
    record = stage.trail.only
    assert (record.outcome, record.code, record.status) == ("cut", "quota_exceeded", 200)
    refused, _ = stage.begin(STREAM)
    assert refused.status in (200, 429)


def test_a_stream_may_run_to_its_end_and_owe_what_it_used_beyond() -> None:
    stage = MeteredStage(quota(300), rules=FINISH)
    caller = stream_of(stage, 1_000)
    end(stage, 3, 1_000)
    assert (caller.state, events_in(caller)) == ("ended", 1_000)
    assert charged(stage) == (3, 1_000)
    assert stage.balance().debt > 0
    found = stage.trail.only.charged
    assert found is not None
    assert found.overrun > 700
    assert not found.forgiven
    refused, _ = stage.begin(STREAM)
    assert refused.status == 429


def test_a_stream_may_run_to_its_end_and_be_forgiven() -> None:
    stage = MeteredStage(quota(300), rules=SOFT)
    caller = stream_of(stage, 1_000)
    end(stage, INPUT, 1_000)
    assert (caller.state, events_in(caller)) == ("ended", 1_000)
    found = stage.trail.only.charged
    assert found is not None
    assert found.forgiven
    assert found.overrun > 700
    assert stage.rest().posted <= 300
    assert stage.balance().debt == 0


def test_a_stream_with_a_ceiling_reserves_no_more_than_that() -> None:
    stage = MeteredStage(quota(100_000))
    body = b'{"model":"a","stream":true,"max_tokens":10,"n":2}'
    stream_of(stage, 20, body)
    assert stage.metering is not None
    (relay,) = stage.gateway.live
    relay.cancel()
    assert charged(stage) == (len(body), 20)


@pytest.mark.parametrize(
    ("leave", "outcome"),
    [
        (lambda stage: stage.one.last.fail(UpstreamTorn("x"), written=True), "torn"),
        (lambda stage: stage.gateway.cancel_all(), "cancelled"),
        (lambda stage: stage.tick(int(IDLE_S / TICK_S) + 1), "timeout"),
        (lambda stage: next(iter(stage.gateway.live)).caller_gone(), "caller_gone"),
    ],
)
def test_a_stream_that_ends_unheard_is_charged_what_was_sent_and_what_may_be_under_way(
    leave: Callable[[MeteredStage], object], outcome: str
) -> None:
    stage = MeteredStage(quota(100_000))
    stream_of(stage, 10)
    leave(stage)
    assert stage.trail.only.outcome == outcome
    assert charged(stage) == (INPUT, 10 * len(b"hi") + MARGIN)


def test_a_stream_that_breaks_off_behind_its_usage_is_charged_that() -> None:
    stage = MeteredStage(quota(100_000))
    stream_of(stage, 10)
    stage.one.last.tell(None, usage(3, 11), complete=False)
    stage.one.last.fail(UpstreamTorn("x"), written=True)
    assert charged(stage) == (3, 11)


def test_a_stream_that_tells_no_usage_is_charged_for_its_text() -> None:
    stage = MeteredStage(quota(100_000))
    stream_of(stage, 10)
    stage.one.last.tell(None, DONE, complete=True)
    assert charged(stage) == (INPUT, 10 * len(b"hi"))


def test_many_tokens_at_once_reserve_many_steps() -> None:
    stage = MeteredStage(quota(100_000))
    stream_of(stage, 0)
    stage.one.last.tell(None, EVENT * 1_000, complete=False)
    stage.run()
    end(stage, 3, 1_000)
    found = stage.trail.only.charged
    assert found is not None
    assert found.overrun == 0
    assert charged(stage) == (3, 1_000)


def test_the_upstream_is_paused_while_nothing_is_reserved_and_goes_on_with_the_next_step() -> None:
    stage = MeteredStage(quota(100_000))
    stream_of(stage, 1)
    stage.mute = True
    while not stage.one.last.paused:
        grow(stage, 1)
    (relay,) = stage.gateway.live
    relay.caller_paused()
    relay.caller_resumed()
    assert is_paused(stage)
    stage.mute = False
    stage.run()
    assert not is_paused(stage)
    grow(stage, 10)
    end(stage, 3, 5)
    assert charged(stage) == (3, 5)


def test_a_slow_caller_keeps_the_upstream_paused_when_a_step_comes() -> None:
    stage = MeteredStage(quota(100_000))
    stream_of(stage, 1)
    stage.mute = True
    while not stage.one.last.paused:
        grow(stage, 1)
    (relay,) = stage.gateway.live
    relay.caller_paused()
    stage.mute = False
    stage.run()
    assert is_paused(stage)
    relay.caller_resumed()
    assert not is_paused(stage)


def test_a_stream_is_cut_when_nobody_can_say_what_is_left_and_what_it_had_is_used() -> None:
    stage = MeteredStage(quota(100_000))
    caller = stream_of(stage, 1)
    stage.down = True
    for _ in range(20):
        grow(stage, 50 if not stage.one.last.paused else 0)
        stage.tick()
    assert code_told(caller) == "quota_unavailable"
    stage.down = False
    assert charged(stage)[1] <= 100_000


def test_a_route_may_let_a_stream_run_on_then() -> None:
    stage = MeteredStage(quota(100_000), rules=OPEN)
    caller = stream_of(stage, 1)
    stage.down = True
    for _ in range(20):
        grow(stage, 50 if not stage.one.last.paused else 0)
        stage.tick()
    assert caller.state == "begun"
    stage.down = False
    stage.tick(4)
    end(stage, 3, 2_000)
    assert charged(stage) == (3, 2_000)


def test_a_stream_with_a_coding_cannot_be_counted_and_is_not_passed_on() -> None:
    stage = MeteredStage(quota(100_000))
    caller, _ = stage.begin(STREAM)
    head = ResponseHead(200, [(b"content-type", b"text/event-stream"), (b"content-encoding", b"gzip")], None)
    stage.one.last.tell(head, b"x", complete=False)
    assert caller.status == 502
    assert charged(stage) == (INPUT, STEP)


def test_a_stream_that_is_answered_at_once_is_charged_its_usage() -> None:
    stage = MeteredStage(quota(100_000))
    caller, _ = stage.begin(STREAM)
    stage.one.last.answer(200, b'{"usage":{"prompt_tokens":3,"completion_tokens":200}}')
    assert caller.status == 200
    assert charged(stage) == (3, 200)

"""What an upstream has sent when its stream ends before it was made by somebody for somebody: it is charged."""

import json
from collections.abc import Callable

import pytest
from msgspec import structs

from jotgate.core.calls import ResponseHead
from jotgate.core.quotas import Limit, Quota
from jotgate.core.routes import MeteringRules
from jotgate.errors import TokenRevoked, UpstreamTorn
from jotgate.gateway.draining import ASKED_S, BYTES_MAX
from jotgate.ports import Stopping
from jotgate.testing.ports import RecordingCaller, ScriptedExchange
from tests.metering import DONE, EVENT, TICK_S, MeteredStage, quota, usage

STREAM = b'{"model":"a","stream":true}'
INPUT = len(STREAM)
STEP = 64
MARGIN = STEP // 8
BIG = 1_000_000


def started(stage: MeteredStage, stopping: Stopping = "asked") -> tuple[RecordingCaller, ScriptedExchange]:
    """A stream of ten tokens so far, from an upstream that has sent more than was read."""
    caller, _ = stage.begin(STREAM)
    exchange = stage.one.last
    exchange.stopping = stopping
    exchange.stream(EVENT * 10)
    stage.run()
    return caller, exchange


def leave(stage: MeteredStage) -> None:
    (relay,) = stage.gateway.live
    relay.caller_gone()


def charged(stage: MeteredStage) -> tuple[int, int]:
    balance = stage.rest()
    found = stage.trail.only.charged
    assert found is not None
    assert not stage.gateway.live
    assert (balance.leased, balance.posted) == (0, found.tokens_in + found.tokens_out)
    return found.tokens_in, found.tokens_out


def rest(exchange: ScriptedExchange, events: int) -> None:
    """What stood in the buffers, and the end that the upstream makes of it when it is told."""
    for _ in range(events):
        exchange.tell(None, EVENT, complete=False)
    exchange.fail(UpstreamTorn("x"), written=True)


ENDINGS: dict[str, Callable[[MeteredStage], object]] = {
    "caller_gone": leave,
    "cut": lambda stage: next(iter(stage.gateway.live)).cut(TokenRevoked("x")),
}


@pytest.mark.parametrize("outcome", ["caller_gone", "cut"])
def test_what_was_sent_of_a_stream_that_has_ended_is_charged(outcome: str) -> None:
    stage = MeteredStage(quota(BIG))
    caller, exchange = started(stage)
    ENDINGS[outcome](stage)
    told = len(caller.body)
    assert caller.state == ("begun" if outcome == "caller_gone" else "aborted"), "nobody waits for what comes"
    assert exchange.stopped
    assert not exchange.aborted
    rest(exchange, 3_000)
    assert stage.trail.only.outcome == outcome
    assert len(caller.body) == told
    assert charged(stage) == (INPUT, 3_010)


def test_nothing_is_charged_as_under_way_from_an_upstream_that_has_ended() -> None:
    stage = MeteredStage(quota(BIG))
    _, exchange = started(stage)
    leave(stage)
    rest(exchange, 5)
    assert charged(stage) == (INPUT, 15 * len(b"hi"))


def test_the_usage_that_comes_with_the_rest_is_charged() -> None:
    stage = MeteredStage(quota(BIG))
    _, exchange = started(stage)
    leave(stage)
    exchange.tell(None, EVENT * 100 + usage(3, 77) + DONE, complete=True)
    assert charged(stage) == (3, 77)


def test_a_stream_whose_step_is_refused_is_charged_what_stood_in_the_buffers_meanwhile() -> None:
    """It was paused: its upstream went on until they were full."""
    stage = MeteredStage(quota(300))
    caller, exchange = started(stage)
    for _ in range(300):
        if exchange.paused:
            stage.tick(11)
        if exchange.stopped:
            break
        exchange.tell(None, EVENT, complete=False)
        stage.run()
    assert caller.state == "aborted"
    assert not exchange.paused
    came = caller.body.count(EVENT)
    rest(exchange, 500)
    assert charged(stage) == (INPUT, came + 500)
    found = stage.trail.only.charged
    assert found is not None
    assert stage.balance().debt == found.tokens_in + found.tokens_out - 300


def test_a_caller_that_leaves_before_anything_came_is_charged_what_comes_then() -> None:
    stage = MeteredStage(quota(BIG))
    stage.begin(STREAM)
    exchange = stage.one.last
    exchange.stopping = "asked"
    leave(stage)
    exchange.stream(EVENT * 400)
    exchange.fail(UpstreamTorn("x"), written=True)
    assert charged(stage) == (INPUT, 400)


def test_one_of_which_nothing_is_heard_is_charged_what_was_reserved() -> None:
    stage = MeteredStage(quota(BIG))
    stage.begin(STREAM)
    stage.one.last.stopping = "asked"
    leave(stage)
    stage.tick(int(ASKED_S / TICK_S) + 1)
    assert stage.one.last.aborted
    assert charged(stage) == (INPUT, STEP)


@pytest.mark.parametrize("status", [200, 503])
def test_what_is_refused_or_cannot_be_counted_after_all_is_charged_for_that(status: int) -> None:
    stage = MeteredStage(quota(BIG))
    stage.begin(STREAM)
    exchange = stage.one.last
    exchange.stopping = "asked"
    leave(stage)
    fields = [(b"content-type", b"text/event-stream"), (b"content-encoding", b"gzip")]
    exchange.tell(ResponseHead(status, fields, None), b"x" * 9_000, complete=True)
    assert charged(stage) == ((INPUT, STEP) if status == 200 else (0, 0))


@pytest.mark.parametrize(("stopping", "ticks"), [("asked", 4), ("unasked", 1)])
def test_an_upstream_that_goes_on_is_given_up_soon_and_what_may_be_under_way_is_charged(
    stopping: Stopping, ticks: int
) -> None:
    stage = MeteredStage(quota(BIG))
    _, exchange = started(stage, stopping)
    leave(stage)
    for _ in range(ticks):
        assert not exchange.aborted
        exchange.tell(None, EVENT * 100, complete=False)
        stage.tick()
    assert exchange.aborted
    assert charged(stage) == (INPUT, 10 + 2 * 100 * ticks)


def test_no_more_is_read_than_connections_usually_hold() -> None:
    stage = MeteredStage(quota(10 * BIG))
    _, exchange = started(stage)
    leave(stage)
    piece = EVENT * 1_000
    sent = 0
    while not exchange.aborted:
        exchange.tell(None, piece, complete=False)
        sent += len(piece)
        assert sent <= BYTES_MAX + len(piece)
    assert charged(stage)[1] >= sent // len(EVENT)


def test_nothing_holds_up_a_worker_that_stops() -> None:
    stage = MeteredStage(quota(BIG))
    _, first = started(stage)
    leave(stage)
    caller, _ = stage.begin(STREAM)
    second = stage.one.last
    second.stopping = "asked"
    second.stream(EVENT * 10)
    stage.gateway.cancel_all()
    assert not stage.gateway.live
    assert (first.aborted, second.aborted, caller.state) == (True, True, "aborted")
    assert sorted(one.outcome for one in stage.trail.records) == ["caller_gone", "cancelled"]
    assert stage.rest().posted == 2 * (INPUT + 10 * len(b"hi") + MARGIN)


def test_what_comes_for_nobody_takes_no_place_of_the_answer_and_gives_its_own_back() -> None:
    stage = MeteredStage(quota(1, "concurrent"))
    _, exchange = started(stage)
    leave(stage)
    second, _ = stage.begin(STREAM)
    assert second.state == "waiting", "the first one still runs at its upstream"
    rest(exchange, 3)
    stage.tick(2)
    assert len(stage.one.exchanges) == 2


def sent(stage: MeteredStage) -> dict[str, object]:
    members = json.loads(stage.one.last.outbound.body)
    assert isinstance(members, dict)
    return {name: value for name, value in members.items() if "tokens" in name}


def test_a_stream_is_sent_a_ceiling_where_its_quota_ends_before_what_binds_it() -> None:
    """It is cut before that: the ceiling is for what its upstream would make when nobody reads any more."""
    stage = MeteredStage(quota(500), rules=MeteringRules(output_step=STEP, output_ceiling=1_000))
    stage.begin(STREAM)
    assert sent(stage) == {"max_completion_tokens": 500 + STEP}
    leave(stage)
    assert stage.rest().posted == INPUT + STEP
    stage.begin(STREAM.replace(b"true", b'true,"max_tokens":100000'))
    assert sent(stage) == {"max_tokens": 500 - INPUT}
    leave(stage)


@pytest.mark.parametrize(
    ("limits", "rules"),
    [
        ([quota(5_000)], MeteringRules(output_ceiling=1_000)),
        ([quota(10, "requests")], MeteringRules(output_ceiling=1_000)),
        ([quota(500)], MeteringRules(output_ceiling=1_000, quota_spent="finish")),
        ([quota(500)], MeteringRules(output_ceiling=1_000, quota_spent="soft")),
        ([quota(500)], MeteringRules(output_ceiling=1_000, quota_outage="open")),
        ([Quota("a", Limit("total_tokens", 500, "minute"))], MeteringRules(output_ceiling=1_000)),
        ([Quota("a", Limit("total_tokens", 500, "rate", period_s=60))], MeteringRules(output_ceiling=1_000)),
    ],
    ids=["much", "no tokens", "finish", "soft", "open", "window", "rate"],
)
def test_no_stream_is_sent_a_ceiling_that_its_caller_might_meet(limits: list[Quota], rules: MeteringRules) -> None:
    stage = MeteredStage(*limits, rules=structs.replace(rules, output_step=STEP))
    stage.begin(STREAM)
    assert sent(stage) == {}
    leave(stage)


def test_a_completion_that_says_nothing_has_what_the_api_gives_it_as_a_stream_too() -> None:
    stage = MeteredStage(quota(500))
    stage.begin(b'{"model":"a","stream":true,"prompt":"x"}', path=b"/v1/completions")
    assert sent(stage) == {}
    leave(stage)


KINDS = ["application/x-ndjson", "application/json", "text/plain", ""]


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_to_a_stream_that_is_no_event_stream_is_counted_and_cut_like_one(kind: str) -> None:
    stage = MeteredStage(quota(5_000), rules=MeteringRules())
    caller, _ = stage.begin(STREAM)
    exchange = stage.one.last
    exchange.stream(b"", content_type=kind.encode())
    sent = 0
    while not exchange.aborted and sent < 1_000_000:
        if exchange.paused:
            stage.tick()
            continue
        exchange.tell(None, EVENT, complete=False)
        sent += len(EVENT)
        stage.run()
    assert caller.state == "aborted"
    assert sent // 4 <= 5_000
    assert 4_000 <= sum(charged(stage)) <= 5_000
    assert stage.trail.only.code == "quota_exceeded"


@pytest.mark.parametrize("kind", KINDS)
def test_such_an_answer_costs_its_usage_or_its_bytes(kind: str) -> None:
    stage = MeteredStage(quota(BIG))
    stage.begin(STREAM)
    stage.one.last.stream(b'{"usage":{"prompt_tokens":3,', content_type=kind.encode())
    stage.one.last.tell(None, b'"completion_tokens":200}}', complete=True)
    assert charged(stage) == (3, 200)
    stage = MeteredStage(quota(BIG))
    stage.begin(STREAM)
    stage.one.last.stream(b"x" * 3_000, content_type=kind.encode())
    stage.one.last.tell(None, b"x" * 1_000, complete=True)
    assert charged(stage) == (INPUT, 4_000)

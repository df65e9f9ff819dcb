"""A call that quotas meet reserves what it may use, is sent within it, and is charged what it used, once."""

import json

import pytest

from jotgate.core.audit import Charge
from jotgate.core.calls import ResponseHead
from jotgate.core.quotas import Price
from jotgate.core.routes import Bounds
from jotgate.errors import UpstreamTorn, UpstreamUnavailable
from jotgate.testing.ports import RecordingCaller
from tests.metering import EVENT, TICK_S, MeteredStage, quota, usage
from tests.stages import FIRST_BYTE_S

UNARY = b'{"model":"a"}'
STREAM = b'{"model":"a","stream":true}'
ANSWER = b'{"usage":{"prompt_tokens":3,"completion_tokens":5}}'


def charged(stage: MeteredStage) -> tuple[int, int]:
    """What the last call was charged, after it is seen that the ledger has the same and nothing else is held."""
    balance = stage.rest()
    sums = [one.charged for one in stage.trail.records if one.charged is not None]
    assert balance.leased == 0
    assert balance.posted == sum(one.tokens_in + one.tokens_out for one in sums)
    found = stage.trail.records[-1].charged
    return (0, 0) if found is None else (found.tokens_in, found.tokens_out)


def code_of(caller: RecordingCaller) -> str:
    code = json.loads(caller.body)["error"]["code"]
    assert isinstance(code, str)
    return code


def test_a_call_is_charged_what_its_upstream_says() -> None:
    stage = MeteredStage(quota(1_000))
    caller, _ = stage.begin(UNARY)
    assert json.loads(stage.one.last.outbound.body) == {"model": "real-a", "max_completion_tokens": 100}
    stage.one.last.answer(200, ANSWER)
    assert (caller.status, caller.body) == (200, ANSWER)
    assert stage.trail.only.charged == Charge(3, 5)
    assert charged(stage) == (3, 5)


def test_a_call_that_no_quota_meets_is_sent_as_it_came_and_charged_nothing() -> None:
    stage = MeteredStage()
    stage.begin(UNARY)
    assert stage.one.last.outbound.body == b'{"model":"real-a"}'
    stage.one.last.answer(200, ANSWER)
    assert stage.trail.only.charged is None


def test_no_call_is_let_through_beyond_a_quota_of_requests() -> None:
    stage = MeteredStage(quota(3, "requests"))
    for _ in range(3):
        caller, _ = stage.begin(UNARY)
        stage.one.last.answer(200, ANSWER)
        assert caller.status == 200
    caller, running = stage.begin(UNARY)
    assert (caller.status, code_of(caller), running) == (429, "quota_exceeded", running)
    assert len(stage.one.exchanges) == 3
    record = stage.trail.records[-1]
    assert (record.outcome, record.code, record.subject, record.charged) == ("refused", "quota_exceeded", "alice", None)
    assert stage.rest().posted == 3


def test_a_call_is_sent_with_the_ceiling_that_is_left() -> None:
    stage = MeteredStage(quota(50))
    caller, _ = stage.begin(UNARY)
    left = 50 - len(UNARY)
    assert json.loads(stage.one.last.outbound.body)["max_completion_tokens"] == left
    stage.one.last.answer(200, b'{"usage":{"prompt_tokens":13,"completion_tokens":%d}}' % left)
    assert stage.rest().posted == 50
    caller, _ = stage.begin(UNARY)
    assert caller.status == 429


def test_the_callers_own_ceiling_is_reserved_for_each_answer() -> None:
    stage = MeteredStage(quota(1_000))
    stage.begin(b'{"model":"a","max_tokens":30,"n":3}')
    assert json.loads(stage.one.last.outbound.body) == {"model": "real-a", "max_tokens": 30, "n": 3}
    (relay,) = stage.gateway.live
    relay.cancel()
    assert charged(stage) == (35, 90)


def test_an_answer_without_usage_is_charged_for_what_it_says() -> None:
    """A token for each byte within its ceiling; what is beyond that was made too, and is mostly four bytes a token."""
    stage = MeteredStage(quota(10_000))
    said = b'{"id":"chatcmpl-0","choices":[{"message":{"role":"assistant","content":"0123456789"}}]}'
    long = said.replace(b"0123", b"0" * 5_000)
    for answer, tokens in ((b"0123456789", 10), (said, 10), (b"x" * 5_000, 1_250), (long, 1_251)):
        stage.begin(UNARY)
        stage.one.last.answer(200, answer)
        assert charged(stage) == (len(UNARY), tokens)


def test_an_answer_with_a_coding_is_charged_all_that_was_reserved() -> None:
    stage = MeteredStage(quota(1_000))
    stage.begin(UNARY)
    head = ResponseHead(200, [(b"content-type", b"application/json"), (b"content-encoding", b"gzip")], 5)
    stage.one.last.tell(head, b"12345", complete=True)
    assert charged(stage) == (len(UNARY), 100)


def test_what_was_used_beyond_is_debt_and_the_next_call_is_refused() -> None:
    stage = MeteredStage(quota(200))
    stage.begin(UNARY)
    stage.one.last.answer(200, b'{"usage":{"prompt_tokens":50,"completion_tokens":400}}')
    found = stage.trail.only.charged
    assert found is not None
    assert found == Charge(50, 400, overrun=450 - 100 - len(UNARY))
    assert charged(stage) == (50, 400)
    assert 0 < stage.balance().debt <= found.overrun
    caller, _ = stage.begin(UNARY)
    assert caller.status == 429


@pytest.mark.parametrize("status", [400, 404, 413, 422, 500, 504])
def test_what_an_upstream_refuses_costs_the_call_alone(status: int) -> None:
    stage = MeteredStage(quota(1_000), quota(10, "requests"))
    stage.begin(UNARY)
    stage.one.last.answer(status, b'{"error":{}}')
    assert stage.trail.only.charged == Charge()
    assert charged(stage) == (0, 0)
    assert stage.balance(1).posted == 1


def test_a_call_that_jotgates_own_credential_spoils_costs_the_call_alone() -> None:
    stage = MeteredStage(quota(1_000))
    caller, _ = stage.begin(UNARY)
    stage.one.last.answer(401)
    assert (caller.status, charged(stage)) == (502, (0, 0))


def test_what_reaches_no_upstream_costs_nothing() -> None:
    stage = MeteredStage(quota(1_000), quota(10, "requests"))
    caller, _ = stage.begin(UNARY)
    stage.one.last.fail(UpstreamUnavailable("x"), written=False)
    stage.two.last.fail(UpstreamUnavailable("x"), written=False)
    assert (caller.status, stage.trail.only.charged) == (502, None)
    assert charged(stage) == (0, 0)
    assert stage.balance(1).posted == 0


@pytest.mark.parametrize("body", [UNARY, STREAM])
def test_what_an_upstream_may_have_done_unheard_is_charged_in_full(body: bytes) -> None:
    stage = MeteredStage(quota(1_000))
    whole = (len(body), 100 if body is UNARY else 64)
    stage.begin(body)
    stage.one.last.fail(UpstreamTorn("x"), written=True)
    assert (stage.trail.records[-1].outcome, charged(stage)) == ("failed", whole)
    stage.begin(body)
    stage.tick(int(FIRST_BYTE_S / TICK_S) + 1)
    assert (stage.trail.records[-1].outcome, charged(stage)) == ("timeout", whole)
    _, running = stage.begin(body)
    assert running is not None
    running.caller_gone()
    assert (stage.trail.records[-1].outcome, charged(stage)) == ("caller_gone", whole)
    stage.begin(body)
    stage.gateway.cancel_all()
    assert (stage.trail.records[-1].outcome, charged(stage)) == ("cancelled", whole)


def test_a_call_whose_connection_was_never_made_costs_nothing() -> None:
    stage = MeteredStage(quota(1_000))
    _, running = stage.begin(UNARY)
    assert running is not None
    stage.one.last.written = False
    running.caller_gone()
    assert (stage.trail.only.outcome, stage.trail.only.charged, charged(stage)) == ("caller_gone", None, (0, 0))


def test_an_answer_that_breaks_off_is_charged_in_full_as_its_usage_stands_at_its_end() -> None:
    stage = MeteredStage(quota(1_000))
    stage.begin(UNARY)
    stage.one.last.stream(ANSWER[:20], content_type=b"application/json", length=100)
    stage.one.last.fail(UpstreamTorn("x"), written=True)
    assert (stage.trail.only.outcome, charged(stage)) == ("torn", (len(UNARY), 100))


def test_a_call_that_goes_on_to_the_next_upstream_is_charged_once() -> None:
    stage = MeteredStage(quota(1_000), quota(10, "requests"))
    stage.begin(UNARY)
    stage.one.last.answer(503)
    stage.two.last.answer(200, ANSWER)
    assert charged(stage) == (3, 5)
    assert stage.balance(1).posted == 1


def test_a_call_that_two_upstreams_may_have_done_is_charged_for_both() -> None:
    stage = MeteredStage(quota(1_000), retry_unsafe=True)
    stage.begin(UNARY)
    stage.one.last.fail(UpstreamTorn("x"), written=True)
    stage.two.last.answer(200, ANSWER)
    assert charged(stage) == (len(UNARY) + 3, 100 + 5)


def test_an_upstream_that_was_too_slow_is_charged_beside_the_next_one() -> None:
    stage = MeteredStage(quota(1_000), retry_unsafe=True)
    stage.begin(UNARY)
    stage.tick(int(FIRST_BYTE_S / TICK_S) + 1)
    stage.two.last.answer(200, ANSWER)
    assert charged(stage) == (len(UNARY) + 3, 100 + 5)


def test_each_upstream_is_sent_the_ceiling_where_it_takes_it() -> None:
    stage = MeteredStage(quota(1_000), upstreams={"two": {"ceiling_field": "max_tokens"}})
    stage.begin(UNARY)
    stage.one.last.answer(503)
    assert json.loads(stage.two.last.outbound.body) == {"model": "real-a", "max_tokens": 100}


def test_embeddings_reserve_their_input_alone() -> None:
    stage = MeteredStage(quota(1_000))
    body = b'{"model":"a","input":"one two"}'
    stage.begin(body, path=b"/v1/embeddings")
    assert stage.one.last.outbound.body == body.replace(b'"a"', b'"real-a"')
    stage.one.last.answer(200, b'{"usage":{"prompt_tokens":2,"total_tokens":2}}')
    assert charged(stage) == (2, 0)


def test_money_is_counted_in_nanodollars_by_the_price_of_the_upstream() -> None:
    stage = MeteredStage(quota(1_000_000, "cost"), price=Price(2_000, 10_500))
    stage.begin(UNARY)
    assert stage.one.last.outbound.body
    stage.one.last.answer(200, ANSWER)
    found = stage.trail.only.charged
    assert found is not None
    assert found.cost == 59  # 3 x 2,000 and 5 x 10,500 picodollars, rounded up once
    assert (stage.rest().posted, stage.balance().leased) == (59, 0)


def test_a_call_of_unknown_price_is_refused_where_money_is_limited_and_nowhere_else() -> None:
    stage = MeteredStage(quota(1_000_000, "cost"))
    caller, _ = stage.begin(UNARY)
    assert (caller.status, code_of(caller)) == (403, "price_unknown")
    assert (stage.rest().posted, stage.balance().leased, stage.one.exchanges) == (0, 0, [])
    other = MeteredStage(quota(1_000))
    other.begin(UNARY)
    other.one.last.answer(200, ANSWER)
    assert other.trail.only.charged == Charge(3, 5)


def test_calls_at_once_are_given_back_at_their_end() -> None:
    stage = MeteredStage(quota(2, "concurrent"))
    stage.begin(UNARY)
    stage.begin(UNARY)
    first, second = stage.one.exchanges
    third, _ = stage.begin(UNARY)
    assert (third.state, len(stage.one.exchanges)) == ("waiting", 2)
    first.answer(200, ANSWER)
    stage.tick(2)
    assert len(stage.one.exchanges) == 3
    second.answer(400)
    stage.one.last.answer(200, ANSWER)
    assert third.status == 200
    assert (stage.rest().leased, stage.balance().posted) == (0, 0)


def test_a_call_beyond_those_at_once_is_refused_after_its_patience() -> None:
    stage = MeteredStage(quota(1, "concurrent"))
    stage.begin(UNARY)
    caller, _ = stage.begin(UNARY)
    stage.tick(9)
    assert caller.state == "waiting"
    stage.tick(2)
    assert (caller.status, code_of(caller)) == (429, "quota_exceeded")
    stage.one.last.answer(200, ANSWER)
    assert stage.rest().leased == 0


def test_a_call_whose_place_was_lost_is_cut() -> None:
    stage = MeteredStage(quota(1, "concurrent"))
    caller, _ = stage.begin(STREAM)
    stage.one.last.stream(EVENT)
    stage.down = True
    while caller.state == "begun" and stage.clock.monotonic_s() < 1_030:
        stage.one.last.tell(None, EVENT, complete=False)
        stage.tick()
    assert caller.state == "aborted"
    assert b"quota_unavailable" in caller.body
    assert stage.one.last.aborted
    assert stage.trail.only.outcome == "cut"


def test_a_call_that_lost_its_units_before_it_was_sent_reserves_anew() -> None:
    stage = MeteredStage(quota(1_000), upstreams={"two": {"bounds": Bounds(concurrent=1, queue_s=1_000)}})
    stage.begin(b'{"model":"b"}')
    caller, _ = stage.begin(b'{"model":"b"}')
    assert len(stage.two.exchanges) == 1
    stage.down = True
    stage.tick(44)
    stage.down = False
    stage.two.last.answer(200, ANSWER)
    stage.run()
    assert caller.state in ("waiting", "ended")
    if caller.state == "ended":
        assert (caller.status, code_of(caller)) == (503, "quota_unavailable")
        return
    stage.two.last.answer(200, ANSWER)
    assert caller.status == 200


def test_a_call_whose_units_ran_out_while_it_waited_for_its_upstream_is_not_sent() -> None:
    """What it had reserved may be somebody else's by then, and nobody can say now what is left."""
    stage = MeteredStage(quota(1_000), upstreams={"two": {"bounds": Bounds(concurrent=1, queue_s=1_000)}})
    stage.begin(b'{"model":"b"}')
    caller, _ = stage.begin(b'{"model":"b"}')
    stage.down = True
    stage.tick(44)
    assert caller.state == "waiting"
    stage.two.last.answer(200, ANSWER)
    stage.run()
    stage.tick(12)
    assert len(stage.two.exchanges) == 1
    assert (caller.status, code_of(caller)) == (503, "quota_unavailable")


def test_a_call_that_is_still_being_connected_when_its_units_run_out_is_refused() -> None:
    stage = MeteredStage(quota(1_000))
    caller, _ = stage.begin(UNARY)
    stage.one.last.written = False
    stage.down = True
    stage.tick(36)
    assert caller.state == "waiting"
    stage.tick(8)
    assert (caller.status, code_of(caller)) == (503, "quota_unavailable")
    assert stage.one.last.aborted
    assert stage.trail.only.charged is None


def test_usage_and_charge_of_a_stream_stand_beside_one_another() -> None:
    stage = MeteredStage(quota(1_000))
    stage.begin(STREAM)
    stage.one.last.stream(EVENT, usage(3, 5))
    stage.one.last.tell(None, b"", complete=True)
    record = stage.trail.only
    assert (record.tokens_in, record.tokens_out, record.stream) == (3, 5, True)
    assert record.charged == Charge(3, 5)


def test_an_answer_with_a_head_that_is_no_answer_is_charged_for_the_call_alone() -> None:
    stage = MeteredStage(quota(1_000))
    stage.begin(UNARY)
    stage.one.last.tell(ResponseHead(302, [(b"location", b"x")], 0), b"", complete=True)
    assert charged(stage) == (0, 0)

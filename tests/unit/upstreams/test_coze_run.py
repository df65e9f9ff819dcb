"""One call at Coze: tokens that are refused, callers that leave, silence, slow callers, quotas; settled once."""

import json
from typing import Final

import pytest

from jotgate.core.calls import Outbound, ResponseHead
from jotgate.core.coze_aims import Aim
from jotgate.core.routes import HEALTH
from jotgate.core.upstream_tokens import TokenLacking
from jotgate.errors import Code, TokenRevoked, UpstreamError, UpstreamTorn, UpstreamUnavailable
from jotgate.testing.ports import ScriptedExchange
from jotgate.upstreams.coze_runs import FAREWELL_S, FAREWELLS_MAX
from tests.coze_calls import (
    BOT,
    CHAT,
    CONVERSATION,
    CREATED,
    FIRST_BYTE_S,
    IDLE_S,
    CozeStage,
    chat_event,
    chunks,
    completed,
    delta,
    text_of,
    usage,
)
from tests.metering import quota

AIM: Final = Aim("conversation", BOT, conversation_id="trip", label="work", alias=f"bot:{BOT}")
CANCEL: Final = "POST /v3/chat/cancel"


@pytest.fixture
def stage() -> CozeStage:
    return CozeStage()


def token_of(exchange: ScriptedExchange) -> str:
    """The token that a request was sent with."""
    lines = exchange.outbound.lines.decode().split("\r\n")
    return next(line.partition("Bearer ")[2] for line in lines if line.startswith("Authorization"))


# Tokens


@pytest.mark.parametrize(("code", "status"), [(4100, 200), (700012006, 401), (0, 401), (4101, 200)])
def test_a_token_that_is_not_taken_is_replaced_once_and_nobody_notices(
    stage: CozeStage, code: int, status: int
) -> None:
    caller, _ = stage.chat("Hi")
    stage.answer(code=code, msg="access token invalid", status=status)
    assert [token_of(one) for one in stage.coze.exchanges] == ["czs_test0", "czs_test1"]
    assert stage.sent(0) == stage.sent(1)
    stage.hear(CREATED, delta("Yes."), completed(), complete=True)
    assert text_of(caller) == "Yes."
    assert stage.trail.only.outcome == "complete"


def test_the_second_refusal_is_the_answer_and_says_nothing_of_the_caller_s_own_token(stage: CozeStage) -> None:
    caller, _ = stage.chat("Hi")
    stage.answer(code=700012006, msg="access token invalid: czs_test0", status=401)
    stage.answer(code=700012006, msg="access token invalid: czs_test1", status=401)
    error = json.loads(caller.body)["error"]
    assert (caller.status, error["code"]) == (502, Code.UPSTREAM_REFUSED)
    assert b"czs_" not in caller.body + caller.lines
    assert stage.tokens.refused == ["czs_test1"]
    assert len(stage.coze.exchanges) == 2
    assert stage.at_rest()


def test_a_right_that_no_token_has_is_not_asked_for_again(stage: CozeStage) -> None:
    stage.tokens.replaceable = False
    caller, _ = stage.chat("Hi")
    stage.answer(code=4101, msg="The token you entered is incorrect")
    assert (caller.status, len(stage.coze.exchanges)) == (502, 1)


@pytest.mark.parametrize(
    ("lacking", "status", "code"),
    [
        (TokenLacking("unconfigured", "no key"), 503, Code.UPSTREAM_TOKEN_UNCONFIGURED),
        (TokenLacking("refused", "invalid_client"), 502, Code.UPSTREAM_TOKEN_REFUSED),
        (TokenLacking("unreachable", "no answer", 7), 503, Code.UPSTREAM_TOKEN_UNAVAILABLE),
    ],
)
def test_without_a_token_nothing_is_sent(stage: CozeStage, lacking: TokenLacking, status: int, code: Code) -> None:
    stage.tokens.lacking = lacking
    caller, _ = stage.chat("Hi")
    assert (caller.status, json.loads(caller.body)["error"]["code"]) == (status, code)
    assert not stage.coze.exchanges
    assert stage.at_rest()


def test_a_caller_who_leaves_while_a_token_is_got_asks_nothing(stage: CozeStage) -> None:
    stage.tokens.held = True
    _, running = stage.chat("Hi")
    assert running is not None
    running.caller_gone()
    assert not stage.tokens.waiting
    assert not stage.coze.exchanges
    assert stage.at_rest()


# Callers that leave


def test_coze_is_told_to_stop_when_the_caller_leaves(stage: CozeStage) -> None:
    _, running = stage.chat("Hi")
    assert running is not None
    stage.hear(CREATED, delta("Hel"))
    stream = stage.coze.last
    running.caller_gone()
    assert stream.aborted
    assert stage.coze.targets[-1] == CANCEL
    assert stage.sent() == {"conversation_id": CONVERSATION, "chat_id": CHAT}
    stage.answer({"status": "canceled"})
    assert (stage.trail.only.outcome, stage.at_rest()) == ("caller_gone", True)


def test_a_chat_whose_name_has_not_come_is_listened_to_until_it_can_be_stopped(stage: CozeStage) -> None:
    _, running = stage.chat("Hi")
    assert running is not None
    stream = stage.coze.last
    aborted = []
    running.caller_gone()
    aborted.append(stream.aborted)
    assert not stage.gateway.live
    stage.hear(CREATED)
    aborted.append(stream.aborted)
    assert aborted == [False, True]
    assert stage.coze.targets[-1] == CANCEL
    stage.answer({"status": "canceled"})
    assert stage.at_rest()


def test_a_chat_that_never_gets_a_name_is_left_after_a_moment(stage: CozeStage) -> None:
    _, running = stage.chat("Hi")
    assert running is not None
    running.caller_gone()
    stage.pass_time(FAREWELL_S + 0.5)
    assert stage.coze.last.aborted
    assert stage.at_rest()


@pytest.mark.parametrize("how", ["refused", "silent", "torn"])
def test_a_farewell_ends_however_coze_takes_it(stage: CozeStage, how: str) -> None:
    _, running = stage.chat("Hi")
    assert running is not None
    stage.hear(CREATED)
    running.caller_gone()
    assert len(stage.runs.leaving) == 1
    if how == "refused":
        stage.answer(code=4104, msg="not cancelable")
    elif how == "silent":
        stage.pass_time(FAREWELL_S + 0.5)
    else:
        stage.coze.last.fail(UpstreamTorn("x"), written=True)
        stage.coze.last.fail(UpstreamTorn("x"), written=True)
    assert stage.at_rest()


def test_no_more_farewells_are_under_way_than_their_bound(stage: CozeStage) -> None:
    for _ in range(FAREWELLS_MAX + 3):
        _, running = stage.chat("Hi")
        assert running is not None
        stage.hear(CREATED)
        running.caller_gone()
    assert len(stage.runs.leaving) == FAREWELLS_MAX


def test_a_chat_that_has_ended_is_not_stopped(stage: CozeStage) -> None:
    _, running = stage.chat("Hi")
    assert running is not None
    stage.hear(CREATED, delta("Hello."), completed())
    running.caller_gone()
    assert CANCEL not in stage.coze.targets
    assert stage.at_rest()


def test_what_is_kept_of_a_caller_who_left_is_not_used(stage: CozeStage) -> None:
    _, running = stage.chat("Hi", aim=AIM)
    assert running is not None
    stage.coze.last.answer(200, b'{"code":0,"data":{"id":"761"}}')
    running.caller_gone()
    stage.run()
    assert stage.coze.targets == ["POST /v1/conversation/create"]
    assert stage.at_rest()


def test_coze_is_told_to_stop_when_the_token_is_cut(stage: CozeStage) -> None:
    caller, _ = stage.chat("Hi")
    stage.hear(CREATED, delta("Hel"))
    (call,) = stage.gateway.live
    call.cut(TokenRevoked("the token was revoked"))
    assert stage.coze.targets[-1] == CANCEL
    assert chunks(caller)[-1]["error"]["code"] == Code.TOKEN_REVOKED
    stage.answer({"status": "canceled"})
    assert (stage.trail.only.outcome, stage.at_rest()) == ("cut", True)


# Time and pace


def test_silence_before_the_first_byte_and_between_pieces_ends_the_call(stage: CozeStage) -> None:
    caller, _ = stage.chat("Hi")
    stage.pass_time(FIRST_BYTE_S + 1)
    assert (caller.status, json.loads(caller.body)["error"]["code"]) == (504, Code.UPSTREAM_TIMEOUT)
    late, _ = stage.chat("Hi")
    stage.hear(CREATED, delta("Hel"))
    stage.pass_time(IDLE_S + 1)
    assert chunks(late)[-1]["error"]["code"] == Code.UPSTREAM_TIMEOUT
    assert stage.coze.targets[-1] == CANCEL


def test_coze_s_own_signs_of_life_hold_a_stream_open(stage: CozeStage) -> None:
    caller, _ = stage.chat("Hi")
    stage.hear(CREATED, delta("Hel"))
    for _ in range(5):
        stage.pass_time(IDLE_S - 2)
        stage.hear(chat_event("in_progress"))
    stage.hear(delta("lo."), completed(), complete=True)
    assert (text_of(caller), caller.state) == ("Hello.", "ended")


def test_a_whole_answer_whose_stream_falls_silent_is_asked_for(stage: CozeStage) -> None:
    caller, _ = stage.chat("Hi", stream=False)
    stage.hear(CREATED, delta("Hel"))
    stage.pass_time(IDLE_S + 2)
    assert stage.coze.targets[-1].startswith("GET /v3/chat/retrieve")
    stage.answer({"id": CHAT, "conversation_id": CONVERSATION, "status": "completed", "usage": usage(1, 2)})
    stage.answer([{"id": "1", "type": "answer", "content": "Hello."}])
    assert json.loads(caller.body)["choices"][0]["message"]["content"] == "Hello."


def test_a_slow_caller_slows_coze_and_silence_is_not_held_against_it(stage: CozeStage) -> None:
    caller, running = stage.chat("Hi")
    assert running is not None
    stage.hear(CREATED, delta("Hel"))
    running.caller_paused()
    paused = [stage.coze.last.paused]
    stage.pass_time(IDLE_S * 3)
    assert caller.state == "begun"
    running.caller_resumed()
    paused.append(stage.coze.last.paused)
    assert paused == [True, False]
    stage.hear(delta("lo."), completed(), complete=True)
    assert text_of(caller) == "Hello."


# Failures of the connection


def test_a_chat_is_not_begun_twice_where_nobody_knows_whether_it_was(stage: CozeStage) -> None:
    caller, _ = stage.chat("Hi")
    stage.coze.last.fail(UpstreamUnavailable("closed"), written=True)
    stage.run()
    assert (caller.status, len(stage.coze.exchanges)) == (502, 1)


def test_a_look_is_repeated_on_another_connection(stage: CozeStage) -> None:
    caller, _ = stage.chat("Hi", stream=False)
    stage.hear(CREATED, complete=True)
    stage.pass_time(1)
    stage.coze.last.fail(UpstreamUnavailable("closed"), written=True)
    stage.answer({"id": CHAT, "conversation_id": CONVERSATION, "status": "completed"})
    stage.answer([{"id": "1", "type": "answer", "content": "Hello."}])
    assert json.loads(caller.body)["choices"][0]["message"]["content"] == "Hello."


@pytest.mark.parametrize("status", [200, 302, 404])
def test_what_is_no_answer_of_coze_is_none(stage: CozeStage, status: int) -> None:
    caller, _ = stage.chat("Hi")
    stage.coze.last.answer(status, b"<html>hello</html>", content_type=b"text/html")
    stage.run()
    assert (caller.status, json.loads(caller.body)["error"]["code"]) == (502, Code.UPSTREAM_TORN)


def test_a_server_that_is_not_well_counts_against_it(stage: CozeStage) -> None:
    for _ in range(5):
        caller, _ = stage.chat("Hi")
        stage.coze.last.answer(503, b"overloaded", content_type=b"text/plain")
        stage.run()
        assert caller.status == 502
    assert stage.place.standing.state == "open"


def test_refusals_of_one_conversation_do_not_shut_the_others_out(stage: CozeStage) -> None:
    for code in (4016, 4105, 4014, 5000) * 3:
        stage.chat("Hi")
        stage.answer(code=code, msg="no")
    assert stage.place.standing.clear


# Quotas


def test_a_stream_is_charged_what_coze_says_and_its_caller_sees_no_usage_unasked() -> None:
    stage = CozeStage(quota(10_000))
    caller, _ = stage.chat("Hi")
    stage.hear(CREATED, delta("Hello."), completed(21, 9), complete=True)
    assert "usage" not in chunks(caller)[-1]
    record = stage.trail.only
    assert record.charged is not None
    assert (record.charged.tokens_in, record.charged.tokens_out) == (21, 9)
    assert stage.rest().posted == 30


def test_a_stream_whose_caller_leaves_is_stopped_heard_out_and_settled_once() -> None:
    stage = CozeStage(quota(10_000))
    _, running = stage.chat("Hi")
    assert running is not None
    stage.hear(CREATED, delta("Hel"))
    stream = stage.coze.last
    running.caller_gone()
    assert stage.coze.targets[-1] == CANCEL
    assert not stream.aborted, "what was used is told at its end"
    stage.coze.last.answer(200, b'{"code":0,"data":{"status":"canceled"}}')
    stage.hear(chat_event("canceled", usage=usage(21, 2)), at=stream, complete=True)
    assert stage.trail.only.outcome == "caller_gone"
    assert stage.at_rest()


def test_a_torn_stream_is_settled_once() -> None:
    stage = CozeStage(quota(10_000))
    stage.chat("Hi")
    stage.hear(CREATED, delta("Hel"), complete=True)
    record = stage.trail.only
    assert record.outcome == "torn"
    assert record.charged is not None
    assert record.charged.tokens_out >= 1
    stage.answer({"status": "canceled"})
    assert stage.at_rest()


def test_what_coze_refuses_costs_nothing() -> None:
    stage = CozeStage(quota(10_000))
    stage.chat("Hi")
    stage.answer(code=4000, msg="bad parameter")
    assert stage.rest().posted == 0


# Beside calls


def test_health_is_asked_without_a_token_of_anybody(stage: CozeStage) -> None:
    class Heard:
        def received(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
            raise AssertionError("nothing is said")

        def failed(self, error: UpstreamError, written: bool) -> None:
            raise AssertionError("nothing is said")

    stage.place.port.begin(Outbound(HEALTH, b"GET", b"/health", b"", b""), Heard())
    assert stage.coze.last.outbound.method == b"GET"
    assert b"Authorization" not in stage.coze.last.outbound.lines
    assert not stage.tokens.needs


def test_a_call_of_nobody_is_not_made(stage: CozeStage) -> None:
    class Nobody:
        def __init__(self) -> None:
            self.errors: list[UpstreamError] = []

        def received(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
            raise AssertionError("nothing is answered")

        def failed(self, error: UpstreamError, written: bool) -> None:
            assert not written
            self.errors.append(error)

    nobody = Nobody()
    body = b'{"model":"bot:1","messages":[{"role":"user","content":"Hi"}]}'
    stage.place.port.begin(Outbound("chat.completions", b"POST", b"/v1/chat/completions", b"", body), nobody)
    stage.run()
    assert [type(one) for one in nobody.errors] == [UpstreamUnavailable]
    assert not stage.coze.exchanges

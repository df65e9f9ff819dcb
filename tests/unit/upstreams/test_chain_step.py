"""A step is tried where and when that may help, within its time, and goes through the standing of its upstreams."""

import json

import pytest

from jotgate.core.calls import ResponseHead
from jotgate.errors import UpstreamTokenRefused, UpstreamTorn, UpstreamUnavailable
from jotgate.testing.ports import RecordingCaller, ScriptedExchange
from tests.chaining import DONE, FOUND, SETTINGS, ChainStage, completion, event, usage_event

ONE_UPSTREAM = SETTINGS.replace('models = { m = "other-m" }', 'models = { other = "other-m" }')
"""The chain, whose models are at `one` alone."""


def code_of(caller: RecordingCaller) -> str:
    code = json.loads(caller.body)["error"]["code"]
    assert isinstance(code, str)
    return code


def answer(exchange: ScriptedExchange, status: int, *fields: tuple[bytes, bytes]) -> None:
    """Answer with a refusal."""
    exchange.tell(ResponseHead(status, [(b"content-type", b"application/json"), *fields], 2), b"{}", complete=True)


def test_what_one_upstream_cannot_do_is_asked_of_the_next_at_once() -> None:
    stage = ChainStage()
    stage.chain()
    stage.one.last.fail(UpstreamUnavailable("no connection"), written=False)
    assert json.loads(stage.two.last.outbound.body)["model"] == "other-m"
    stage.two.last.answer(200, completion(FOUND))
    assert len(stage.one.exchanges) == 2  # the second step begins at the first upstream


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_a_step_is_tried_again_after_a_while(status: int) -> None:
    stage = ChainStage(text=ONE_UPSTREAM)
    caller, _ = stage.chain()
    answer(stage.one.last, status)
    # With the middle of chance it is three quarters of the backoff of a second.
    stage.pass_time(0.5)
    assert len(stage.one.exchanges) == 1
    stage.pass_time(0.5)
    assert len(stage.one.exchanges) == 2
    answer(stage.one.last, status)
    stage.pass_time(1.25)
    assert len(stage.one.exchanges) == 2
    stage.pass_time(0.5)
    assert len(stage.one.exchanges) == 3
    assert caller.state == "waiting"
    answer(stage.one.last, status)
    assert (caller.status, code_of(caller)) == (503 if status in (429, 503, 529) else 502, "chain_step_failed")
    assert stage.trail.only.steps == ()  # Who refuses has done nothing.
    assert stage.at_rest()


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_what_another_try_would_not_change_is_told_at_once(status: int) -> None:
    stage = ChainStage()
    caller, _ = stage.chain()
    answer(stage.one.last, status)
    assert (caller.status, code_of(caller)) == (502, "chain_step_failed")
    assert f"its upstream answered {status}".encode() in caller.body
    assert (len(stage.one.exchanges), len(stage.two.exchanges)) == (1, 0)
    assert stage.at_rest()


def refuse(exchange: ScriptedExchange, status: int, param: str) -> None:
    """Refuse as an upstream does that says of what: the head first, and the body in two pieces."""
    body = json.dumps({"error": {"message": "no", "type": "invalid_request_error", "param": param}}).encode()
    exchange.tell(ResponseHead(status, [(b"content-type", b"application/json")], len(body)), b"", complete=False)
    exchange.tell(None, body[:9], complete=False)
    exchange.tell(None, body[9:], complete=True)


@pytest.mark.parametrize("status", [400, 422])
def test_what_the_last_upstream_does_not_take_of_the_callers_is_told_as_the_callers_fault(status: int) -> None:
    stage = ChainStage()
    caller, last = stage.to_last_step(stream=False, top_k=-5)
    refuse(last, status, "top_k")
    error = json.loads(caller.body)["error"]
    assert (caller.status, error["code"], error["param"]) == (400, "request_malformed", "top_k")
    assert error["message"] == "the upstream of step 'tell' does not take 'top_k'."
    assert stage.trail.only.outcome == "refused"
    assert [one.step for one in stage.trail.only.steps] == ["find", "work"], "who refuses has done nothing"
    assert stage.at_rest()


def test_what_an_upstream_does_not_take_of_the_settings_is_no_fault_of_the_callers() -> None:
    stage = ChainStage()
    caller, last = stage.to_last_step(stream=False)
    refuse(last, 400, "temperature")
    assert (caller.status, code_of(caller)) == (502, "chain_step_failed")


def test_a_conversation_that_no_upstream_takes_is_the_callers_fault_in_every_step() -> None:
    stage = ChainStage()
    caller, _ = stage.chain()
    refuse(stage.one.last, 400, "messages[2].content")
    assert (caller.status, json.loads(caller.body)["error"]["param"]) == (400, "messages")
    caller, _ = stage.chain()
    refuse(stage.one.last, 400, "messages[0].content")
    assert caller.status == 502, "the step's own prompt"
    assert stage.at_rest()


def test_a_refusal_that_is_not_said_to_its_end_is_one_all_the_same() -> None:
    stage = ChainStage()
    head = ResponseHead(400, [], None)
    for ending in ("torn", "late", "endless"):
        caller, _ = stage.chain()
        stage.one.last.tell(head, b'{"error":', complete=False)
        if ending == "torn":
            stage.one.last.fail(UpstreamTorn("gone"), written=True)
        elif ending == "late":
            stage.pass_time(16)
        else:
            stage.one.last.tell(None, b" " * 70_000, complete=False)
            assert stage.one.last.aborted
        assert (caller.status, code_of(caller)) == (502, "chain_step_failed")
        assert stage.trail.records[-1].steps == ()
    assert stage.at_rest()


def test_a_refused_credential_of_ours_is_no_fault_of_the_callers() -> None:
    stage = ChainStage()
    caller, _ = stage.chain()
    answer(stage.one.last, 401)
    assert (caller.status, code_of(caller)) == (502, "upstream_refused")
    assert "www-authenticate" not in caller.headers


def test_an_upstream_is_left_alone_for_as_long_as_it_asks() -> None:
    stage = ChainStage(text=ONE_UPSTREAM)
    caller, _ = stage.chain()
    answer(stage.one.last, 429, (b"retry-after", b"5"))
    stage.pass_time(4.75)
    assert len(stage.one.exchanges) == 1
    stage.pass_time(0.5)
    assert len(stage.one.exchanges) == 2
    answer(stage.one.last, 429, (b"retry-after", b"60"))  # longer than the step has
    assert (caller.status, caller.headers["retry-after"]) == (503, "60")


def test_a_step_that_broke_off_is_tried_again_and_what_it_may_have_done_is_counted() -> None:
    stage = ChainStage()
    stage.chain(stream=False)
    sent = len(stage.one.last.outbound.body)
    stage.one.last.fail(UpstreamTorn("gone"), written=True)
    stage.two.last.answer(200, completion(FOUND, (100, 20)))
    stage.one.last.answer(200, completion('{"content":"x","confidence":0}', (1, 1)))
    find = stage.trail.only.steps[0]
    assert (find.tokens_in, find.tokens_out, find.tries, find.estimated) == (sent + 100, 50 + 20, 2, True)
    assert find.upstream == "two"


@pytest.mark.parametrize("body", [b"", b"no json", b'{"choices":[]}', b'{"choices":[{"message":3}]}'])
def test_an_answer_of_no_use_counts_as_none(body: bytes) -> None:
    stage = ChainStage()
    stage.chain()
    stage.one.last.answer(200, body)
    assert len(stage.two.exchanges) == 1
    assert stage.places["one"].standing.state == "closed"


def test_a_stream_without_a_word_is_tried_again() -> None:
    stage = ChainStage()
    caller, last = stage.to_last_step()
    last.stream(b": nothing\n\n")
    last.tell(None, DONE, complete=True)
    stage.pass_time(1)
    stage.one.last.stream(event("Hi", "stop"))
    stage.one.last.tell(None, usage_event(1, 1) + DONE, complete=True)
    assert caller.state == "ended"
    assert stage.trail.only.steps[-1].tries == 2


def test_a_stream_that_breaks_off_without_saying_why_is_not_told_as_whole() -> None:
    """The connection may end well: an upstream that was killed by its own proxy looks so."""
    stage = ChainStage()
    caller, last = stage.to_last_step()
    last.stream(event("A b"))
    last.tell(None, event("ay"), complete=True)
    assert b"upstream_torn" in caller.body
    assert not caller.body.endswith(DONE)


def test_a_stream_that_says_why_it_ends_is_whole_without_the_word_done() -> None:
    stage = ChainStage()
    caller, last = stage.to_last_step()
    last.stream(event("A bay."))
    last.tell(None, event("", "stop") + usage_event(1, 1), complete=True)
    assert caller.body.endswith(DONE)


def test_an_upstream_that_does_not_stream_is_taken_all_the_same() -> None:
    stage = ChainStage()
    caller, last = stage.to_last_step()
    last.answer(200, completion("A bay.", (300, 40)))
    assert caller.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert b'"A bay."' in caller.body
    assert caller.body.endswith(DONE)


def test_a_step_takes_no_longer_than_its_time() -> None:
    stage = ChainStage()
    caller, _ = stage.chain()
    first = stage.one.last
    stage.pass_time(15)
    assert caller.state == "waiting"
    stage.pass_time(0.25)
    assert first.aborted
    assert (caller.status, code_of(caller)) == (504, "upstream_timeout")
    assert b"step 'find'" in caller.body
    assert [one.estimated for one in stage.trail.only.steps] == [True]
    assert stage.at_rest()


def test_the_time_of_a_step_is_for_all_its_tries() -> None:
    stage = ChainStage(text=ONE_UPSTREAM)
    caller, _ = stage.chain()
    stage.pass_time(14)
    answer(stage.one.last, 500)
    stage.pass_time(1)
    assert len(stage.one.exchanges) == 2
    stage.pass_time(0.5)
    assert (caller.status, code_of(caller)) == (504, "upstream_timeout")


def test_a_stream_that_takes_too_long_is_told_so_in_the_stream() -> None:
    stage = ChainStage()
    caller, last = stage.to_last_step()
    last.stream(event("A fjord"))
    stage.pass_time(20.25)
    assert last.aborted
    assert caller.state == "aborted"
    assert b'"code":"upstream_timeout"' in caller.body
    assert stage.at_rest()


def test_the_whole_takes_no_longer_than_the_chains_time() -> None:
    stage = ChainStage(text=SETTINGS.replace('timeout = "60s"', 'timeout = "20s"'))
    caller, _ = stage.chain()
    stage.pass_time(10)
    stage.one.last.answer(200, completion(FOUND))
    work = stage.one.last
    stage.pass_time(10.25)
    assert work.aborted
    assert (caller.status, code_of(caller)) == (504, "upstream_timeout")
    assert stage.at_rest()


def test_failures_of_steps_open_the_breaker_that_all_calls_share() -> None:
    stage = ChainStage(text=ONE_UPSTREAM.replace("tries = 3", "tries = 1"))
    for _ in range(5):
        stage.chain()
        stage.one.last.fail(UpstreamUnavailable("no connection"), written=False)
    assert stage.places["one"].standing.state == "open"
    before = len(stage.one.exchanges)
    caller, _ = stage.chain()
    assert (caller.status, code_of(caller)) == (503, "chain_step_failed")
    assert int(caller.headers["retry-after"]) > 1
    plain, _ = stage.begin(b'{"model":"m"}')
    assert plain.status == 503
    assert len(stage.one.exchanges) == before
    assert stage.at_rest()


def test_steps_without_a_token_for_their_upstream_leave_it_in_use() -> None:
    stage = ChainStage(text=ONE_UPSTREAM.replace("tries = 3", "tries = 1"))
    for _ in range(10):
        caller, _ = stage.chain()
        stage.one.last.fail(UpstreamTokenRefused("there is no token for it"), written=False)
        assert (caller.status, code_of(caller)) == (502, "upstream_token_refused")
    assert stage.places["one"].standing.state == "closed"
    assert stage.at_rest()


def test_a_step_waits_for_room_and_no_longer_than_its_upstream_lets_it() -> None:
    text = ONE_UPSTREAM.replace(
        'base_url = "http://127.0.0.1:1/v1"', 'base_url = "http://127.0.0.1:1/v1"\nmax_concurrent = 1'
    )
    stage = ChainStage(text=text)
    stage.chain()
    second, _ = stage.chain()
    third, leaver = stage.chain()
    assert len(stage.one.exchanges) == 1
    leaver.caller_gone()
    assert third.state == "waiting"
    stage.one.last.answer(200, completion(FOUND))  # its next step comes behind the second call
    assert len(stage.one.exchanges) == 2
    assert "Find out" in str(stage.body())
    stage.pass_time(10.25)
    assert second.state == "waiting"
    first = stage.trail.records[-1]
    assert (first.status, first.code, [one.step for one in first.steps]) == (503, "chain_step_failed", ["find"])
    stage.one.last.fail(UpstreamTorn("x"), written=True)
    stage.pass_time(60)
    assert stage.at_rest()


def test_calls_of_a_tenant_are_bounded_step_by_step() -> None:
    text = ONE_UPSTREAM.replace(
        'base_url = "http://127.0.0.1:1/v1"', 'base_url = "http://127.0.0.1:1/v1"\nmax_concurrent_per_tenant = 1'
    )
    stage = ChainStage(text=text)
    for tenant in ("red", "red", "blue"):
        stage.begin(json.dumps({"model": "c", "messages": [{"role": "user", "content": "x"}]}).encode(), tenant=tenant)
    assert len(stage.one.exchanges) == 2

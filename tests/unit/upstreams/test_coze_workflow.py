"""Workflows of Coze as a mode: which way a run takes, what its caller sees, and what goes wrong."""

import pytest
from msgspec.structs import replace

from jotgate.core.coze_codes import fault_of
from jotgate.core.coze_events import CozeEvent
from jotgate.core.coze_sessions import user_name
from jotgate.errors import UpstreamTorn, UpstreamUnavailable
from jotgate.upstreams.coze_modes import CozeOrder
from jotgate.upstreams.coze_workflow_runs import LOOK_S, MISSES_MAX
from tests.coze_stage import ANN, USAGE, WORKFLOW, Stage, Store, ask

# Which way a run takes


def test_who_wants_no_stream_has_the_run_awaited() -> None:
    stage = Stage(ask(), Store())
    target, body = stage.sent
    assert (target, body["workflow_id"], body["parameters"]) == ("/v1/workflow/run", WORKFLOW, {"input": "go"})
    assert stage.orders[0].starts
    assert "is_async" not in body
    stage.answer(data='{"output":"\u2603"}', execute_id="741", usage=USAGE)
    choice = stage.whole.choices[0]
    assert (choice.message.content, choice.finish_reason) == ('{"output":"\u2603"}', "stop")
    assert stage.whole.usage == {"prompt_tokens": 13, "completion_tokens": 5, "total_tokens": 18}


def test_coze_knows_the_caller_by_a_name_that_says_nothing() -> None:
    _, body = Stage(ask(), Store()).sent
    _, other = Stage(ask(), Store(), replace(ANN, subject="bob")).sent
    assert body["ext"] == {"user_id": user_name(ANN)} != other["ext"]
    assert "ann" not in str(replace(ANN, subject="ann" * 9)) or len(str(body["ext"])) == len(str(other["ext"]))


def test_who_wants_a_stream_has_one_with_all_that_the_run_says() -> None:
    stage = Stage(ask(stream=True, stream_options={"include_usage": True}), Store())
    assert stage.sent[0] == "/v1/workflow/stream_run"
    stage.hear(("PING", {}), ("Message", {"content": "Wor"}))
    assert stage.text == "Wor"
    stage.hear(("Message", {"content": "king \u2603"}), ("PING", {}), ("Message", {"content": "!", "usage": USAGE}))
    stage.hear(("Done", {"debug_url": "https://www.coze.com/x"}))
    stage.ear.ended()
    assert (stage.text, stage.finished, stage.beats) == ("Working \u2603!", True, 2)
    assert [one.choices[0].finish_reason for one in stage.chunks if one.choices][-1] == "stop"
    assert stage.chunks[-1].usage["total_tokens"] == 18
    assert b"debug_url" not in stage.told


def test_what_comes_after_the_end_is_not_told() -> None:
    stage = Stage(ask(stream=True), Store())
    stage.hear(("Done", {}), ("Message", {"content": "late"}), ("Error", {"error_code": 5000}))
    stage.ear.lost(UpstreamTorn("gone"))
    assert (stage.text, stage.finished) == ("", True)


def test_a_run_cannot_be_stopped() -> None:
    mode = Stage(ask(), Store()).mode
    assert mode.farewell() is None
    assert not mode.nascent


# Looking after a run


def begun() -> Stage:
    stage = Stage(ask(coze={"is_async": True}), Store())
    assert stage.sent[1]["is_async"] is True
    stage.answer(data=None, execute_id="741")
    return stage


def looks(stage: Stage) -> int:
    return sum(one.method == b"GET" for one in stage.orders)


def test_a_run_that_goes_on_by_itself_is_looked_at_once_a_second() -> None:
    stage = begun()
    assert stage.orders[-1] == CozeOrder(b"GET", f"/v1/workflows/{WORKFLOW}/run_histories/741")
    stage.answer(data=[{"execute_status": "Running"}])
    stage.advance(LOOK_S - 0.01)
    assert looks(stage) == 1
    stage.advance(0.01)
    assert looks(stage) == 2
    stage.clock.advance(3 * LOOK_S)
    stage.answer(data=[{"execute_status": "Running"}])
    stage.advance(0)
    assert looks(stage) == 3
    stage.answer(data=[{"execute_status": "Success", "output": "done", "usage": USAGE}])
    assert (stage.whole.choices[0].message.content, stage.whole.usage["total_tokens"]) == ("done", 18)


def test_an_outcome_that_coze_has_cut_says_so() -> None:
    stage = begun()
    stage.answer(data=[{"execute_status": "Success", "output": "do", "is_output_trimmed": True}])
    assert stage.whole.choices[0].finish_reason == "length"


def test_a_run_that_fails_is_an_error_and_no_text() -> None:
    stage = begun()
    stage.answer(data=[{"execute_status": "Fail", "error_code": "6039", "error_message": "no"}])
    assert stage.fault is not None
    assert (stage.fault.number, stage.told) == (6039, b"")


def test_a_look_in_vain_is_repeated_and_the_last_one_decides() -> None:
    stage = begun()
    for _ in range(MISSES_MAX - 1):
        stage.ear.lost(UpstreamUnavailable("gone"))
        assert not stage.over
        stage.advance(LOOK_S)
    stage.answer(data=[{"execute_status": "Running"}])
    stage.advance(LOOK_S)
    for _ in range(MISSES_MAX - 1):
        stage.answer(data=[])
        stage.advance(LOOK_S)
    assert not stage.over
    stage.answer(data=[])
    assert stage.fault is not None
    assert stage.fault.number == 4314


def test_coze_is_left_alone_for_as_long_as_it_asks() -> None:
    stage = begun()
    stage.ear.refused(fault_of(4020, "", 429, 7))
    stage.advance(LOOK_S)
    assert looks(stage) == 1
    stage.advance(6)
    assert looks(stage) == 2


def test_a_run_of_which_nobody_knows_whether_it_began_is_not_begun_again() -> None:
    stage = Stage(ask(coze={"is_async": True}), Store())
    stage.ear.lost(UpstreamTorn("gone"))
    assert isinstance(stage.error, UpstreamTorn)
    assert len(stage.orders) == 1


def test_a_run_without_a_name_or_of_a_name_that_no_path_holds_is_not_looked_at() -> None:
    for members in ({}, {"execute_id": "../../v1/users/me"}, {"execute_id": "1\r\nX: y"}):
        stage = Stage(ask(coze={"is_async": True}), Store())
        stage.answer(data=None, **members)
        assert isinstance(stage.error, UpstreamTorn)
        assert looks(stage) == 0


# What goes wrong


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("number", "status"), [(4200, 404), (6003, 400), (4000, 400), (4101, 401), (5000, 500)])
def test_what_coze_refuses_is_an_error_by_its_code(number: int, status: int, stream: bool) -> None:
    stage = Stage(ask(stream=stream), Store())
    stage.ear.refused(fault_of(number, "so"))
    assert stage.fault is not None
    assert (stage.fault.number, stage.fault.meaning.status, stage.told) == (number, status, b"")


def test_an_error_event_is_an_error_and_no_text() -> None:
    stage = Stage(ask(stream=True), Store())
    stage.hear(("Error", {"error_code": 4000, "error_message": "bad"}), ("Done", {}))
    assert stage.fault is not None
    assert (stage.fault.number, stage.told) == (4000, b"")


def test_a_stream_that_ends_before_its_run_is_torn() -> None:
    stage = Stage(ask(stream=True), Store())
    stage.hear(("Message", {"content": "half"}))
    stage.ear.ended()
    assert isinstance(stage.error, UpstreamTorn)


def test_an_event_that_cannot_be_read_tears_the_stream() -> None:
    stage = Stage(ask(stream=True), Store())
    stage.ear.heard([CozeEvent("Message", b'{"content":'), CozeEvent("Done", b"{}")])
    assert isinstance(stage.error, UpstreamTorn)


def test_an_answer_in_another_form_than_was_asked_for_is_torn() -> None:
    streamed, awaited = Stage(ask(stream=True), Store()), Stage(ask(), Store())
    streamed.answer(data="x")
    awaited.hear(("Message", {"content": "x"}))
    awaited.ear.ended()
    for stage in (streamed, awaited):
        assert isinstance(stage.error, UpstreamTorn)
        assert stage.told == b""

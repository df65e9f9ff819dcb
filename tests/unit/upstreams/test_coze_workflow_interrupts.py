"""What a workflow of Coze asks its caller, and who may answer."""

import msgspec
import pytest
from msgspec.structs import replace

from jotgate.core.coze_codes import fault_of
from jotgate.core.coze_workflows import RESUMES_MAX
from jotgate.core.principals import Principal
from jotgate.errors import UpstreamTorn
from jotgate.upstreams.coze_workflow import ON_ITS_WAY_S
from jotgate.upstreams.coze_workflow_runs import INTERRUPT_LIFE_S, QUESTION_MAX
from tests.coze_stage import AIM, ANN, ASKED, UPSTREAM, USAGE, WORKFLOW, Late, Stage, Store, ask, reply_to


def interrupted(store: Store, *, stream: bool = True, principal: Principal = ANN) -> Stage:
    stage = Stage(ask(stream=stream), store, principal)
    if stream:
        stage.hear(("Message", {"content": "Hello. ", "usage": USAGE}), ("Interrupt", ASKED))
        stage.ear.ended()
    else:
        stage.answer(data="", execute_id="741", interrupt_data=ASKED["interrupt_data"], usage=USAGE)
    stage.settle()
    return stage


@pytest.mark.parametrize("stream", [False, True])
def test_what_a_run_asks_is_one_tool_call(stream: bool) -> None:
    stage = interrupted(Store(), stream=stream)
    call = stage.tool_call
    assert call.function.name == "coze_interrupt"
    assert msgspec.json.decode(call.function.arguments)["data"] == "Your name?"
    reasons = [one.choices[0].finish_reason for one in stage.chunks] if stream else [
        stage.whole.choices[0].finish_reason
    ]  # fmt: skip
    assert [one for one in reasons if one] == ["tool_calls"]
    assert b"734/987" not in stage.told
    if not stream:
        assert stage.whole.usage["total_tokens"] == 18


def test_the_tool_call_has_what_the_node_said_that_asks_and_nothing_else() -> None:
    stage = Stage(ask(stream=True), Store())
    stage.hear(
        ("Message", {"content": "Working.", "node_title": "Message"}),
        ("Message", {"content": "What is ", "node_title": "Question"}),
        ("Message", {"content": "your name?" + "!" * QUESTION_MAX, "node_title": "Question"}),
        ("Interrupt", ASKED),
    )
    stage.settle()
    question = msgspec.json.decode(stage.tool_call.function.arguments)["question"]
    assert (question[:20], len(question)) == ("What is your name?!!", QUESTION_MAX)
    other = Stage(ask(stream=True), Store())
    other.hear(("Message", {"content": "Working.", "node_title": "Message"}), ("Interrupt", ASKED))
    other.settle()
    assert msgspec.json.decode(other.tool_call.function.arguments)["question"] == ""


def test_a_question_is_not_told_before_it_is_kept() -> None:
    store = Store()
    stage = Stage(ask(stream=True), store)
    stage.hear(("Interrupt", ASKED))
    assert not stage.over
    stage.ear.ended()
    assert (stage.told, store.interrupts_of(ANN)) == (b"", 1)
    stage.settle()
    assert stage.finished


def test_a_question_that_cannot_be_kept_is_not_asked() -> None:
    store = Store()
    stage = Stage(ask(stream=True), store)
    store.away = True
    stage.hear(("Interrupt", ASKED))
    stage.settle()
    assert stage.fault is not None
    assert (stage.fault.meaning.status, stage.told) == (503, b"")


@pytest.mark.parametrize("stream", [False, True])
def test_the_answer_goes_on_with_the_run(stream: bool) -> None:
    store = Store()
    call_id = interrupted(store).tool_call.id
    stage = Stage(reply_to(call_id, "Ann \u2603", stream=stream), store)
    assert stage.sent == (
        "/v1/workflow/stream_resume",
        {"workflow_id": WORKFLOW, "event_id": "734/987", "resume_data": "Ann \u2603", "interrupt_type": 2},
    )
    assert stage.orders[0].starts
    stage.hear(("Message", {"content": "Hi "}), ("Message", {"content": "Ann", "usage": USAGE}), ("Done", {}))
    stage.ear.ended()
    said = stage.text if stream else stage.whole.choices[0].message.content
    assert (said, stage.finished) == ("Hi Ann", True)


def test_a_run_may_ask_again_and_is_answered_by_the_new_call() -> None:
    store = Store()
    first = interrupted(store).tool_call.id
    stage = Stage(reply_to(first, stream=True), store)
    again = {**ASKED, "interrupt_data": {"event_id": "734/988", "type": 5, "data": "How old?"}}
    stage.hear(("Interrupt", again))
    stage.settle()
    second = stage.tool_call.id
    assert second != first
    assert Stage(reply_to(second, "33", stream=True), store).sent[1]["event_id"] == "734/988"


def test_nobody_else_can_answer_and_is_told_what_is_told_of_an_id_that_nobody_has() -> None:
    store = Store()
    call_id = interrupted(store).tool_call.id
    refusals = []
    for principal, named, aim in (
        (replace(ANN, subject="bob"), call_id, AIM),
        (replace(ANN, tenant="acme"), call_id, AIM),
        (replace(ANN, issuer="https://other.example"), call_id, AIM),
        (ANN, call_id, replace(AIM, workflow_id="7400000000000000002")),
        (ANN, call_id, replace(AIM, label="other")),
        (ANN, "call_" + "A" * 24, AIM),
        (ANN, "call_of_another_kind\0", AIM),
        (ANN, "", AIM),
    ):
        stage = Stage(reply_to(named), store, principal, aim)
        assert stage.orders == []
        assert stage.declined is not None
        refusals.append((stage.declined.message, stage.declined.hint, stage.declined.param))
    assert len(set(refusals)) == 1
    assert refusals[0][2] == "messages[1].tool_call_id"
    assert Stage(reply_to(call_id), store).sent[0] == "/v1/workflow/stream_resume"


def test_coze_takes_three_answers_and_is_sent_no_more() -> None:
    store = Store()
    call_id = interrupted(store).tool_call.id
    for _ in range(RESUMES_MAX):
        stage = Stage(reply_to(call_id), store)
        assert len(stage.orders) == 1
        stage.ear.lost(UpstreamTorn("gone"))
    last = Stage(reply_to(call_id), store)
    assert last.orders == []
    assert last.declined is not None
    assert "3 times" in last.declined.message


def test_a_question_that_is_asked_anew_goes_on_counting_its_answers() -> None:
    store = Store()
    call_id = interrupted(store).tool_call.id
    for _ in range(RESUMES_MAX):
        stage = Stage(reply_to(call_id, stream=True), store)
        stage.hear(("Interrupt", ASKED))
        stage.settle()
        assert stage.tool_call.id == call_id
    assert Stage(reply_to(call_id), store).declined is not None


@pytest.mark.parametrize(
    "event",
    [("Message", {"content": "Hi "}), ("Interrupt", {"interrupt_data": {"event_id": "e2", "type": 2}}), ("Done", {})],
)
def test_an_answer_that_coze_has_taken_is_the_last(event: tuple[str, object]) -> None:
    store = Store()
    call_id = interrupted(store).tool_call.id
    taken = Stage(reply_to(call_id, stream=True), store)
    taken.hear(("PING", {}), event)
    taken.settle()
    assert store.interrupts_of(ANN) == (event[0] == "Interrupt")  # The one that was asked then.
    again = Stage(reply_to(call_id), store)
    assert again.orders == []
    assert again.declined is not None
    assert "no workflow waits" in again.declined.message


def test_no_answer_is_sent_beside_one_of_which_nothing_is_heard_yet() -> None:
    store = Store()
    call_id = interrupted(store).tool_call.id
    Stage(reply_to(call_id), store)
    for span_s in (0.0, UPSTREAM.first_byte_timeout_s):
        store.clock.advance(span_s)
        second = Stage(reply_to(call_id), store)
        assert second.orders == []
        assert second.fault is not None
        assert second.fault.meaning.code == "coze_interrupt_taken"
    store.clock.advance(ON_ITS_WAY_S)  # Its worker is gone.
    assert len(Stage(reply_to(call_id), store).orders) == 1


@pytest.mark.parametrize("way", ["refused", "event", "ended", "unread", "no stream"])
def test_an_answer_that_did_not_get_through_may_be_given_again(way: str) -> None:
    store = Store()
    call_id = interrupted(store).tool_call.id
    stage = Stage(reply_to(call_id, stream=True), store)
    stage.hear(("PING", {}))
    if way == "refused":
        stage.ear.refused(fault_of(5000, ""))
    elif way == "event":
        stage.hear(("Error", {"error_code": 5000, "error_message": ""}))
    elif way == "unread":
        stage.hear(("Message", []))
    elif way == "no stream":
        stage.answer()
    else:
        stage.ear.ended()
    assert stage.over
    assert len(Stage(reply_to(call_id), store).orders) == 1


def test_of_two_answers_at_once_one_goes_on() -> None:
    store = Store()
    call_id = interrupted(store).tool_call.id
    first = Late(reply_to(call_id, "one"), store)
    second = Late(reply_to(call_id, "two"), store)
    first.begin()
    second.begin()
    first.settle_all()
    second.settle_all()
    assert [len(first.orders), len(second.orders)] == [1, 0]
    assert second.fault is not None
    assert second.fault.meaning.status == 409


def test_an_interrupt_is_known_for_a_day() -> None:
    store = Store()
    call_id = interrupted(store).tool_call.id
    store.clock.advance(INTERRUPT_LIFE_S - 1)
    assert len(Stage(reply_to(call_id), store).orders) == 1
    store.clock.advance(1)
    assert Stage(reply_to(call_id), store).declined is not None


def test_where_the_store_is_away_an_answer_is_refused_for_now() -> None:
    store = Store()
    call_id = interrupted(store).tool_call.id
    store.away = True
    stage = Stage(reply_to(call_id), store)
    assert stage.fault is not None
    assert (stage.fault.meaning.status, stage.fault.meaning.retry_after_s) == (503, 1)

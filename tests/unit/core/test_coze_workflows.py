"""What is said to workflows of Coze, and what their answers, histories and events mean."""

from typing import Final

import msgspec
import pytest
from msgspec import Raw

from jotgate.core.coze_asks import ChatAsk, read_ask
from jotgate.core.coze_codes import CozeFault
from jotgate.core.coze_events import CozeEvent
from jotgate.core.coze_replies import Tokens
from jotgate.core.coze_workflows import (
    Alive,
    Begun,
    Done,
    Interrupt,
    OpenInterrupt,
    Outcome,
    Resume,
    Said,
    Start,
    Unread,
    is_call_id,
    read_event,
    read_history,
    read_open,
    read_run,
    read_start_or_resume,
    write_resume,
    write_start,
)
from jotgate.errors import RequestMalformed

WORKFLOW: Final = "7400000000000000001"


def ask(*messages: dict[str, object], **more: object) -> ChatAsk:
    return read_ask("chat.completions", msgspec.json.encode({"model": "m", "messages": messages, **more}))


def user(content: object) -> dict[str, object]:
    return {"role": "user", "content": content}


def tool(call_id: str, content: object = "Ann") -> dict[str, object]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def started(asked: ChatAsk) -> dict[str, object]:
    found = read_start_or_resume(asked)
    assert isinstance(found, Start)
    written: dict[str, object] = msgspec.json.decode(write_start(WORKFLOW, found, "u" * 43))
    return written


def event(name: str, data: object) -> Said | Interrupt | CozeFault | Done | Alive:
    return read_event(CozeEvent(name, msgspec.json.encode(data)))


def raw(value: object) -> Raw:
    return Raw(msgspec.json.encode(value))


# What is asked


def test_a_run_is_given_the_last_message_and_what_the_extension_says() -> None:
    assert started(ask(user("before"), {"role": "assistant", "content": "so"}, user("Grüße \u2603"))) == {
        "workflow_id": WORKFLOW,
        "parameters": {"input": "Grüße \u2603"},
        "ext": {"user_id": "u" * 43},
    }
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    more = {"parameters": {"n": 3, "deep": {"a": [1, None]}}, "is_async": True}
    found = started(ask(user(parts), coze=more))
    assert found["parameters"] == {"input": "a\nb", "n": 3, "deep": {"a": [1, None]}}
    assert found["is_async"] is True


def test_who_names_the_input_itself_decides_it() -> None:
    assert started(ask(user("no"), coze={"parameters": {"input": {"x": 1}}}))["parameters"] == {"input": {"x": 1}}


def test_a_tool_message_at_the_end_goes_on_with_a_run() -> None:
    found = read_start_or_resume(ask(user("go"), {"role": "assistant", "content": None}, tool("call_1", "Ann \u2603")))
    assert found == Resume("call_1", "Ann \u2603", "messages[2].tool_call_id")


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (ask(user([{"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}])), "messages[0].content"),
        (ask(user("a"), coze={"custom_variables": {"a": "b"}}), "coze"),
        (ask(user("a"), stream=True, coze={"is_async": True}), "coze"),
        (ask(tool("call_1"), tool("call_2")), "messages[1]"),
    ],
)
def test_what_a_workflow_cannot_be_told_is_refused_with_its_place(asked: ChatAsk, param: str) -> None:
    with pytest.raises(RequestMalformed) as caught:
        read_start_or_resume(asked)
    assert caught.value.param == param


def test_an_answer_to_an_interrupt_names_what_coze_calls_it() -> None:
    found = msgspec.json.decode(write_resume(OpenInterrupt(WORKFLOW, "1/2", 5, 2), "Ann"))
    assert found == {"workflow_id": WORKFLOW, "event_id": "1/2", "resume_data": "Ann", "interrupt_type": 5}


# Interrupts


def test_a_tool_call_says_what_is_asked_and_nothing_by_which_coze_is_answered() -> None:
    call = Interrupt("734/987", 2, raw("more"), "Question", "What is your name?").tool_call(WORKFLOW)
    assert call.name == "coze_interrupt"
    assert is_call_id(call.call_id)
    assert "734" not in call.arguments
    assert msgspec.json.decode(call.arguments) == {
        "type": 2,
        "kind": "question",
        "node": "Question",
        "question": "What is your name?",
        "data": "more",
    }


@pytest.mark.parametrize(("number", "kind"), [(1, "plugin"), (2, "question"), (5, "input"), (7, "oauth"), (9, "other")])
def test_a_tool_call_says_of_what_kind_the_question_is(number: int, kind: str) -> None:
    arguments = msgspec.json.decode(Interrupt("1/2", number, raw({"a": 1})).tool_call(WORKFLOW).arguments)
    assert (arguments["type"], arguments["kind"], arguments["data"]) == (number, kind, {"a": 1})


def test_a_tool_call_has_one_id_for_one_interrupt_and_no_two_have_the_same() -> None:
    one = Interrupt("1/2", 2).tool_call(WORKFLOW).call_id
    assert one == Interrupt("1/2", 5, raw("more")).tool_call(WORKFLOW).call_id
    others = {Interrupt("1/23", 2).tool_call(WORKFLOW).call_id, Interrupt("1/2", 2).tool_call(WORKFLOW + "0").call_id}
    assert len({one, *others}) == 3


@pytest.mark.parametrize("text", ["", "call_", "call_" + "a" * 23, "call_" + "a" * 25, "call_" + "\u0663" * 24])
def test_other_texts_are_no_such_id(text: str) -> None:
    assert not is_call_id(text)


def test_what_is_kept_of_an_interrupt_is_read_again() -> None:
    opened = OpenInterrupt(WORKFLOW, "1/2", 2, 1)
    assert read_open(opened.write()) == opened
    assert read_open(b"\xff") is read_open(b"{}") is None


# What is answered


def run(*, is_async: bool = False, **members: object) -> Outcome | Interrupt | Begun:
    body = {"code": 0, "msg": "", "debug_url": "https://www.coze.com/x", **members}
    return read_run(msgspec.json.encode(body), is_async=is_async)


def test_the_outcome_of_a_run_is_its_data_as_it_is() -> None:
    usage = {"input_count": 13, "output_count": 5, "token_count": 18}
    assert run(data='{"output":"\u2603"}', usage=usage) == Outcome('{"output":"\u2603"}', Tokens(13, 5))
    assert run(data="plain") == Outcome("plain")
    assert run(data={"output": 1}) == Outcome('{"output":1}')
    assert run(data=None) == run() == Outcome("")


def test_a_run_that_goes_on_by_itself_has_a_name() -> None:
    assert run(is_async=True, execute_id="741", data=None) == run(is_async=True, execute_id="741") == Begun("741")
    assert run(execute_id="741", data="done") == Outcome("done")
    assert run(execute_id="741", data="") == Outcome("")
    with pytest.raises(Unread):
        run(is_async=True, data="")


def test_a_run_may_be_answered_with_a_question() -> None:
    usage = {"input_count": 1, "output_count": 2}
    found = run(interrupt_data={"event_id": "1/2", "type": 2, "data": "Who?"}, execute_id="741", usage=usage)
    assert isinstance(found, Interrupt)
    assert (found.event_id, found.kind, bytes(found.data), found.tokens) == ("1/2", 2, b'"Who?"', Tokens(1, 2))


def history(**members: object) -> Outcome | CozeFault | Alive | None:
    return read_history(raw([{"execute_id": "741", "error_code": "", **members}]))


def test_a_history_says_how_a_run_stands() -> None:
    assert history(execute_status="Running") == Alive()
    usage = {"input_count": 1, "output_count": 2, "token_count": 3}
    assert history(execute_status="Success", output="x", usage=usage) == Outcome("x", Tokens(1, 2))
    assert history(execute_status="Success", output="x", is_output_trimmed=True) == Outcome("x", None, True)
    assert read_history(raw([])) is read_history(raw(None)) is None


@pytest.mark.parametrize("code", [4200, "4200"], ids=["number", "text"])
def test_a_run_that_failed_says_why(code: object) -> None:
    found = history(execute_status="Fail", error_code=code, error_message="no such thing")
    assert isinstance(found, CozeFault)
    assert (found.number, found.meaning.status) == (4200, 404)
    assert "no such thing" in found.message


@pytest.mark.parametrize("code", ["", None, "many", "9" * 5_000])
def test_a_failure_without_a_code_is_one_of_coze(code: object) -> None:
    found = history(execute_status="Fail", error_code=code)
    assert isinstance(found, CozeFault)
    assert (found.number, found.meaning.status) == (0, 500)


def test_events_say_how_a_run_goes_on() -> None:
    usage = {"input_count": 2, "output_count": 3}
    message = {"content": "Grü\u2603", "node_title": "End", "node_seq_id": "0", "node_is_finish": True, "usage": usage}
    assert event("Message", message) == Said("Grü\u2603", Tokens(2, 3), "End")
    assert event("Message", {"content": ""}) == Said("")
    assert event("Done", {}) == event("Done", {"debug_url": "https://www.coze.com/x"}) == Done()
    assert event("PING", {}) == event("Whatever", [1]) == Alive()
    found = event("Interrupt", {"interrupt_data": {"event_id": "1/2", "type": 5, "data": "?"}, "node_title": "Input"})
    assert isinstance(found, Interrupt)
    assert (found.event_id, found.kind, found.node, bytes(found.data)) == ("1/2", 5, "Input", b'"?"')


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("Error", {"error_code": 4000, "error_message": "bad parameter"}),
        ("error", {"code": 4000, "msg": "bad parameter"}),
    ],
)
def test_an_error_in_a_stream_is_one_by_its_code(name: str, data: object) -> None:
    found = event(name, data)
    assert isinstance(found, CozeFault)
    assert (found.number, found.meaning.status) == (4000, 400)
    assert "bad parameter" in found.message


def test_an_error_that_says_nothing_is_a_failure_of_coze() -> None:
    found = event("Error", {})
    assert isinstance(found, CozeFault)
    assert found.meaning.status == 500


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("Message", b"{"),
        ("Message", b'{"content":"\xff"}'),
        ("Message", b"[]"),
        ("Interrupt", b"{}"),
        ("Interrupt", b'{"interrupt_data":{"event_id":"","type":2}}'),
        ("Interrupt", b'{"interrupt_data":{"event_id":"' + b"1" * 1_025 + b'","type":2}}'),
        ("Error", b"no"),
    ],
)
def test_an_event_that_is_none_is_not_guessed_at(name: str, data: bytes) -> None:
    with pytest.raises(Unread):
        read_event(CozeEvent(name, data))


@pytest.mark.parametrize("body", [b"[]", b'{"data":"a","usage":3}', b'{"execute_id":5}', b"\xff"])
def test_an_answer_that_is_none_is_not_guessed_at(body: bytes) -> None:
    with pytest.raises(Unread):
        read_run(body, is_async=False)


@pytest.mark.parametrize("data", [{}, ["x"], [{"execute_status": "Paused"}], [{"execute_status": 1}]])
def test_a_history_that_is_none_is_not_guessed_at(data: object) -> None:
    with pytest.raises(Unread):
        read_history(raw(data))

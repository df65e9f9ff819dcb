"""How chats begin: conversations that Coze keeps, and chats that wait for tools; each its own caller's alone."""

import json
from typing import Any, Final

import pytest
from msgspec.structs import replace

from jotgate.core.coze_aims import Aim
from jotgate.core.coze_objects import CONVERSATION_LIFE_S, WAITING_LIFE_S
from jotgate.core.upstream_tokens import TokenLacking
from jotgate.errors import UpstreamUnavailable
from jotgate.testing.ports import RecordingCaller
from tests.coze_calls import (
    BOT,
    CHAT,
    CONVERSATION,
    CREATED,
    DONE,
    CozeStage,
    chat_event,
    chunks,
    completed,
    delta,
    text_of,
    usage,
)

AIM: Final = Aim("conversation", BOT, conversation_id="trip", label="work", alias=f"bot:{BOT}")
CALLS: Final = [
    {"id": "c-1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}},
    {"id": "c-2", "type": "function", "function": {"name": "time", "arguments": "{}"}},
]
IDS: Final = (f"call_{CHAT}_0", f"call_{CHAT}_1")


@pytest.fixture
def stage() -> CozeStage:
    return CozeStage()


def wants_tools(*calls: dict[str, Any]) -> bytes:
    required = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": list(calls)}}
    return chat_event("requires_action", required_action=required, usage=usage(5, 2)) + DONE


def output(call_id: str, text: str) -> dict[str, object]:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def made(stage: CozeStage, conversation: str = CONVERSATION) -> None:
    """Coze makes a conversation."""
    assert stage.coze.targets[-1] == "POST /v1/conversation/create"
    stage.answer({"id": conversation})


def said_to_coze(stage: CozeStage) -> list[str]:
    return [one["content"] for one in stage.sent()["additional_messages"]]


# Conversations


def test_a_conversation_is_made_once_and_gets_only_what_it_does_not_have(stage: CozeStage) -> None:
    first, _ = stage.chat({"role": "system", "content": "Be brief."}, "Hello.", aim=AIM)
    made(stage)
    assert stage.coze.targets[-1] == f"POST /v3/chat?conversation_id={CONVERSATION}"
    assert said_to_coze(stage) == ["Be brief.", "Hello."]
    stage.hear(CREATED, delta("Hello to you."), completed(), complete=True)
    assert text_of(first) == "Hello to you."
    second, _ = stage.chat(
        {"role": "system", "content": "Be brief."},
        "Hello.",
        {"role": "assistant", "content": "Hello to you."},
        "And now?",
        aim=AIM,
    )
    assert stage.coze.targets[-1] == f"POST /v3/chat?conversation_id={CONVERSATION}"
    assert said_to_coze(stage) == ["And now?"]
    stage.hear(CREATED, delta("Now."), completed(), complete=True)
    assert text_of(second) == "Now."
    assert stage.coze.targets.count("POST /v1/conversation/create") == 1


@pytest.mark.parametrize(
    ("aim", "subject"),
    [
        (AIM, "bob"),
        (replace(AIM, label="home"), "alice"),
        (replace(AIM, conversation_id="other"), "alice"),
        (replace(AIM, conversation_id=""), "alice"),
    ],
)
def test_another_caller_session_or_name_is_another_conversation(stage: CozeStage, aim: Aim, subject: str) -> None:
    stage.chat("Hello.", aim=AIM)
    made(stage)
    stage.hear(CREATED, delta("Yes."), completed(), complete=True)
    stage.chat("Hello.", aim=aim, sub=subject)
    made(stage, "7600000000000000009")
    assert stage.coze.targets[-1] == "POST /v3/chat?conversation_id=7600000000000000009"


@pytest.mark.parametrize("name", ["trip", ""])
def test_the_name_that_is_told_leads_back_to_the_conversation(stage: CozeStage, name: str) -> None:
    caller, _ = stage.chat("Hello.", aim=replace(AIM, conversation_id=name))
    made(stage)
    stage.hear(CREATED, delta("Yes."), completed(), complete=True)
    told = chunks(caller)[-1]["coze"]["conversation_id"]
    stage.chat("And now?", aim=replace(AIM, conversation_id=told))
    assert stage.coze.targets[-1] == f"POST /v3/chat?conversation_id={CONVERSATION}"


def test_coze_s_own_name_of_a_conversation_opens_nothing(stage: CozeStage) -> None:
    stage.chat("Hello.", aim=replace(AIM, conversation_id=CONVERSATION), sub="mallory")
    assert stage.coze.targets == ["POST /v1/conversation/create"]


def test_a_busy_conversation_is_a_conflict_with_a_time_to_try_again(stage: CozeStage) -> None:
    caller, _ = stage.chat("Hello.", aim=AIM)
    made(stage)
    stage.answer(code=4016, msg="Conversation occupied")
    assert (caller.status, json.loads(caller.body)["error"]["code"]) == (409, "conversation_busy")
    assert caller.headers["retry-after"] == "1"
    assert stage.at_rest()


def test_a_conversation_that_coze_has_no_longer_is_made_anew_once(stage: CozeStage) -> None:
    stage.chat("Hello.", aim=AIM)
    made(stage)
    stage.hear(CREATED, delta("Yes."), completed(), complete=True)
    caller, _ = stage.chat("Are you there?", aim=AIM)
    stage.answer(code=4002, msg="no such conversation")
    made(stage, "7600000000000000009")
    assert stage.coze.targets[-1] == "POST /v3/chat?conversation_id=7600000000000000009"
    stage.answer(code=4002, msg="no such conversation")
    assert (caller.status, stage.at_rest()) == (404, True)


def test_of_two_first_calls_at_once_both_go_on_in_one_conversation(stage: CozeStage) -> None:
    stage.chat("One.", aim=AIM)
    stage.chat("Two.", aim=AIM)
    one, two = stage.coze.exchanges
    one.answer(200, b'{"code":0,"data":{"id":"761"}}')
    stage.run()
    two.answer(200, b'{"code":0,"data":{"id":"762"}}')
    stage.run()
    assert stage.coze.targets[2:] == ["POST /v3/chat?conversation_id=761"] * 2


def test_a_conversation_is_forgotten_when_it_was_not_used_for_long(stage: CozeStage) -> None:
    stage.chat("Hello.", aim=AIM)
    made(stage)
    stage.hear(CREATED, delta("Yes."), completed(), complete=True)
    stage.leap(CONVERSATION_LIFE_S - 60)
    stage.chat("Hello.", aim=AIM)
    assert stage.coze.targets[-1].startswith("POST /v3/chat?")
    stage.hear(CREATED, delta("Yes."), completed(), complete=True)
    stage.leap(CONVERSATION_LIFE_S + 1)
    stage.chat("Hello.", aim=AIM)
    assert stage.coze.targets[-1] == "POST /v1/conversation/create"


@pytest.mark.parametrize("begun", [False, True])
def test_without_the_store_no_conversation_is_used_and_none_is_begun(stage: CozeStage, begun: bool) -> None:
    if not begun:
        stage.away = True
    caller, _ = stage.chat("Hello.", aim=AIM)
    if begun:
        stage.away = True
        made(stage)
    assert (caller.status, json.loads(caller.body)["error"]["code"]) == (503, "coze_objects_unknown")
    assert not any("/v3/chat" in target for target in stage.coze.targets)
    assert stage.at_rest()


def test_a_conversation_needs_a_message_of_the_user(stage: CozeStage) -> None:
    caller, _ = stage.chat({"role": "assistant", "content": "Hm."}, aim=AIM)
    assert (caller.status, json.loads(caller.body)["error"]["param"]) == (400, "messages")


# Tools


def ask_tools(stage: CozeStage, *, stream: bool = True) -> RecordingCaller:
    """A chat that wants both tools to be run."""
    caller, _ = stage.chat("Weather in Oslo?", stream=stream)
    stage.hear(CREATED, wants_tools(*CALLS), complete=True)
    return caller


def test_tools_are_asked_of_the_caller_and_their_outputs_let_the_same_chat_go_on(stage: CozeStage) -> None:
    caller = ask_tools(stage)
    _, asked, last = chunks(caller)
    calls = asked["choices"][0]["delta"]["tool_calls"]
    assert [(one["index"], one["id"], one["type"]) for one in calls] == [
        (0, IDS[0], "function"),
        (1, IDS[1], "function"),
    ]
    assert calls[0]["function"] == {"name": "weather", "arguments": '{"city":"Oslo"}'}
    assert last["choices"][0]["finish_reason"] == "tool_calls"
    back, _ = stage.chat("Weather in Oslo?", output(IDS[1], "noon"), output(IDS[0], "rain"))
    assert stage.coze.targets[-1] == (
        f"POST /v3/chat/submit_tool_outputs?conversation_id={CONVERSATION}&chat_id={CHAT}"
    )
    told = [{"tool_call_id": "c-1", "output": "rain"}, {"tool_call_id": "c-2", "output": "noon"}]
    assert stage.sent() == {"tool_outputs": told, "stream": True}
    stage.hear(CREATED, delta("Take an umbrella."), completed(9, 6), complete=True)
    assert text_of(back) == "Take an umbrella."
    again, _ = stage.chat("Weather in Oslo?", output(IDS[1], "noon"), output(IDS[0], "rain"))
    assert again.status == 400, "the chat waits no longer"
    assert stage.at_rest()


def test_a_whole_answer_asks_for_tools_too(stage: CozeStage) -> None:
    answer = json.loads(ask_tools(stage, stream=False).body)
    choice = answer["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)
    assert [one["id"] for one in choice["message"]["tool_calls"]] == list(IDS)
    assert answer["usage"]["total_tokens"] == 7


def test_a_chat_may_ask_for_tools_again(stage: CozeStage) -> None:
    ask_tools(stage)
    stage.chat("Weather?", output(IDS[0], "rain"), output(IDS[1], "noon"))
    stage.hear(CREATED, wants_tools({"id": "c-3", "type": "function", "function": {"name": "more"}}), complete=True)
    stage.chat("Weather?", output(IDS[0], "that is all"))
    assert stage.sent()["tool_outputs"] == [{"tool_call_id": "c-3", "output": "that is all"}]


@pytest.mark.parametrize("who", ["a stranger", "another session", "another bot", "nobody has it", "not of this form"])
def test_whose_chat_it_is_not_is_told_that_there_is_none(stage: CozeStage, who: str) -> None:
    ask_tools(stage)
    outputs = [output(IDS[0], "rain"), output(IDS[1], "noon")]
    if who == "a stranger":
        caller, _ = stage.chat("Weather?", *outputs, sub="mallory")
    elif who == "another session":
        caller, _ = stage.chat("Weather?", *outputs, aim=Aim("chat", BOT, label="home", alias="bot"))
    elif who == "another bot":
        caller, _ = stage.chat("Weather?", *outputs, model="other")
    else:
        wrong = "call_1_0" if who == "nobody has it" else "call_x"
        caller, _ = stage.chat("Weather?", output(wrong, "rain"))
    error = json.loads(caller.body)["error"]
    assert (caller.status, error["type"]) == (400, "invalid_request_error")
    assert error["message"].startswith("no chat waits for the output of a tool call of this id")
    assert len(stage.coze.exchanges) == 1


@pytest.mark.parametrize("numbers", [[0], [0, 0], [0, 1, 2]])
def test_each_tool_call_has_one_output(stage: CozeStage, numbers: list[int]) -> None:
    ask_tools(stage)
    caller, _ = stage.chat("Weather?", *(output(f"call_{CHAT}_{number}", "x") for number in numbers))
    assert caller.status == 400
    assert len(stage.coze.exchanges) == 1


def test_outputs_that_coze_does_not_take_now_may_be_sent_again(stage: CozeStage) -> None:
    ask_tools(stage)
    outputs = [output(IDS[0], "rain"), output(IDS[1], "noon")]
    first, _ = stage.chat("Weather?", *outputs)
    stage.answer(code=4020, msg="slow down", status=429)
    assert first.status == 429
    second, _ = stage.chat("Weather?", *outputs)
    stage.hear(CREATED, delta("Rain."), completed(), complete=True)
    assert text_of(second) == "Rain."
    assert not any("cancel" in target for target in stage.coze.targets)


@pytest.mark.parametrize("taken", [True, False])
def test_where_nobody_knows_whether_outputs_were_taken_the_chat_is_asked_for(stage: CozeStage, taken: bool) -> None:
    ask_tools(stage)
    caller, _ = stage.chat("Weather?", output(IDS[0], "rain"), output(IDS[1], "noon"), stream=False)
    stage.coze.last.fail(UpstreamUnavailable("closed"), written=True)
    stage.pass_time(1)
    chat = {"id": CHAT, "conversation_id": CONVERSATION}
    if taken:
        stage.answer({**chat, "status": "completed", "usage": usage(1, 2)})
        stage.answer([{"id": "1", "type": "answer", "content": "Rain."}])
        assert json.loads(caller.body)["choices"][0]["message"]["content"] == "Rain."
    else:
        required = {"submit_tool_outputs": {"tool_calls": CALLS}}
        stage.answer({**chat, "status": "requires_action", "required_action": required})
        assert json.loads(caller.body)["choices"][0]["finish_reason"] == "tool_calls"
        stage.chat("Weather?", output(IDS[0], "rain"), output(IDS[1], "noon"))
        assert "submit_tool_outputs" in stage.coze.targets[-1]


def test_a_chat_that_could_not_be_reached_waits_on(stage: CozeStage) -> None:
    ask_tools(stage)
    outputs = [output(IDS[0], "rain"), output(IDS[1], "noon")]
    stage.tokens.lacking = TokenLacking("unreachable", "no answer")
    caller, _ = stage.chat("Weather?", *outputs)
    assert caller.status == 503
    stage.tokens.lacking = None
    stage.chat("Weather?", *outputs)
    assert "submit_tool_outputs" in stage.coze.targets[-1]
    assert not any("cancel" in target for target in stage.coze.targets)


def test_a_chat_waits_for_its_time_only(stage: CozeStage) -> None:
    ask_tools(stage)
    stage.leap(WAITING_LIFE_S + 1)
    caller, _ = stage.chat("Weather?", output(IDS[0], "rain"), output(IDS[1], "noon"))
    assert caller.status == 400


def test_tools_that_cannot_be_kept_for_their_caller_are_not_asked_for_and_the_chat_is_stopped(stage: CozeStage) -> None:
    caller, _ = stage.chat("Weather?")
    stage.away = True
    stage.hear(CREATED, wants_tools(*CALLS), complete=True)
    assert caller.status == 503
    assert stage.coze.targets[-1] == "POST /v3/chat/cancel"


def test_tool_calls_of_the_past_go_as_coze_s_own(stage: CozeStage) -> None:
    call = {"id": "x", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    stage.chat(
        "Weather?",
        {"role": "assistant", "content": None, "tool_calls": [call]},
        output("x", "rain"),
        {"role": "assistant", "content": "Rain."},
        "Thanks.",
    )
    sent = [(one["role"], one["type"], one["content"]) for one in stage.sent()["additional_messages"]]
    assert sent[1:3] == [
        ("assistant", "function_call", '{"name":"weather","arguments":"{}"}'),
        ("assistant", "tool_response", "rain"),
    ]

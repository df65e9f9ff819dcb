"""What a chat of Coze is asked, by what an OpenAI caller says."""

import json

import pytest

from jotgate.core.coze_asks import ChatAsk, read_ask
from jotgate.core.coze_chat import (
    chat_target,
    decode_chat,
    named_target,
    read_last,
    read_messages,
    write_chat,
)
from jotgate.errors import RequestMalformed


def ask(*messages: dict[str, object], **members: object) -> ChatAsk:
    return read_ask("chat.completions", json.dumps({"model": "bot:1", "messages": messages, **members}).encode())


USER: dict[str, object] = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize("role", ["system", "developer", "user"])
def test_whoever_instructs_goes_as_the_user(role: str) -> None:
    (found,) = read_messages(ask({"role": role, "content": "Be brief."}).messages)
    assert (found.role, found.type, found.content) == ("user", "question", "Be brief.")


def test_messages_that_say_nothing_are_left_out_and_nothing_at_all_is_refused() -> None:
    found = read_messages(
        ask(USER, {"role": "assistant", "content": ""}, {"role": "user", "content": "Well?"}).messages
    )
    assert [one.content for one in found] == ["Hi", "Well?"]
    with pytest.raises(RequestMalformed) as refused:
        read_messages(ask({"role": "user", "content": ""}).messages)
    assert refused.value.param == "messages"


def test_of_a_conversation_only_what_is_new_is_sent() -> None:
    messages = ask(
        {"role": "system", "content": "Be brief."}, USER, {"role": "assistant", "content": "Hello."}, USER
    ).messages
    assert [one.content for one in read_last(messages, instructions=False)] == ["Hi"]
    assert [one.content for one in read_last(messages, instructions=True)] == ["Be brief.", "Hi"]


def test_the_extension_and_metadata_go_where_coze_has_them() -> None:
    asked = ask(USER, metadata={"a": "1"}, coze={"parameters": {"n": [1]}, "custom_variables": {"who": "Ann"}})
    body = json.loads(write_chat("1", "u", read_messages(asked.messages), asked))
    assert (body["meta_data"], body["parameters"], body["custom_variables"]) == ({"a": "1"}, {"n": [1]}, {"who": "Ann"})
    assert json.loads(write_chat("1", "u", [], ask(USER))).keys() == {
        *("bot_id", "user_id", "additional_messages", "stream", "auto_save_history")
    }


def test_names_of_coze_stand_in_targets_as_they_can() -> None:
    assert chat_target() == "/v3/chat"
    assert chat_target("7&x=1") == "/v3/chat?conversation_id=7%26x%3D1"
    assert named_target("retrieve", "7", "8") == "/v3/chat/retrieve?conversation_id=7&chat_id=8"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"model":"bot:1","messages":[]}', "messages"),
        (b'{"model":"bot:1","messages":[{"role":"wizard","content":"x"}]}', "messages[0].role"),
        (b'{"model":"bot:1","messages":"x"}', "messages"),
        (b'{"model":"bot:1"}', "messages"),
        (b'{"model":"bot:1","messages":[{"role":"user","content":"x"}],"stop":"y"}', "stop"),
    ],
)
def test_a_body_that_is_none_is_refused_by_its_member(body: bytes, param: str) -> None:
    with pytest.raises(RequestMalformed) as refused:
        read_ask("chat.completions", body)
    assert refused.value.param == param


@pytest.mark.parametrize("operation", ["embeddings", "completions"])
def test_only_chats_are_answered(operation: str) -> None:
    with pytest.raises(RequestMalformed, match="chat completions alone"):
        read_ask(operation, b'{"model":"bot:1","input":"x"}')


def test_a_chat_tells_its_usage_and_its_tools() -> None:
    chat = decode_chat(
        b'{"id":"8","conversation_id":"7","status":"requires_action","usage":{"token_count":3,"input_count":-1,'
        b'"output_count":2},"required_action":{"type":"submit_tool_outputs","submit_tool_outputs":{"tool_calls":'
        b'[{"id":"c","type":"function","function":{"name":"n","arguments":"{}"}}]}}}'
    )
    assert chat.tokens is not None
    assert (chat.tokens.input, chat.tokens.output) == (0, 2)
    assert [(one.call_id, one.name) for one in chat.calls] == [("c", "n")]
    assert decode_chat(b'{"id":"8","conversation_id":"7"}').tokens is None
    assert decode_chat(b'{"id":"8","conversation_id":"7","required_action":{}}').calls == ()

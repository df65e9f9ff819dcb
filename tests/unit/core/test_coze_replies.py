"""Answers of Coze in the shapes of OpenAI."""

import json
from typing import Any

from jotgate.core.coze_replies import GATHERED_BYTES_MAX, Envelope, Reply, Tokens, ToolAsked
from jotgate.core.sse import StreamTap, read_usage

ENVELOPE = Envelope("chatcmpl-1", 1_800_000_000, "gpt-3.5-turbo")
CALL = ToolAsked("call_1_0", "weather", '{"city":"Oslo"}')


def streamed(*, tells_usage: bool = False) -> Reply:
    return Reply(ENVELOPE, streams=True, tells_usage=tells_usage)


def gathered() -> Reply:
    return Reply(ENVELOPE, streams=False, tells_usage=False)


def events(text: bytes) -> list[dict[str, Any]]:
    return [
        json.loads(one.removeprefix("data: ")) for one in text.decode().split("\n\n") if one[6:] not in ("", "[DONE]")
    ]


def test_a_stream_without_a_text_has_its_role_all_the_same() -> None:
    first, last = events(streamed().end("stop", None))
    assert first["choices"] == [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]
    assert last["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]


def test_nothing_is_told_of_nothing() -> None:
    reply = streamed()
    assert reply.text("") + reply.reasoning("") == b""
    assert not reply.begun


def test_usage_is_told_where_it_is_asked_for_and_read_by_the_tap() -> None:
    asked, unasked = streamed(tells_usage=True), streamed()
    tap = StreamTap()
    tap.feed(asked.text("Hi") + asked.end("stop", Tokens(3, 4)))
    assert (tap.usage().prompt_tokens, tap.usage().completion_tokens) == (3, 4)
    assert b"usage" not in unasked.end("stop", Tokens(3, 4))
    whole = gathered()
    assert read_usage(whole.end("stop", Tokens(3, 4))).completion_tokens == 4


def test_tool_calls_have_their_places_in_a_stream_and_stand_in_a_whole_message() -> None:
    (_, asked) = events(streamed().tools([CALL]))
    assert asked["choices"][0]["delta"]["tool_calls"][0]["index"] == 0
    whole = gathered()
    whole.tools([CALL])
    message = json.loads(whole.end("tool_calls", None))["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"] == [
        {"id": "call_1_0", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
    ]


def test_an_empty_answer_is_an_empty_text() -> None:
    assert json.loads(gathered().end("stop", None))["choices"][0]["message"]["content"] == ""


def test_what_was_gathered_can_be_told_anew() -> None:
    reply = gathered()
    reply.text("Hel")
    reply.reasoning("Hm")
    reply.restart()
    reply.text("Hello.")
    assert json.loads(reply.end("stop", None))["choices"][0]["message"] == {"role": "assistant", "content": "Hello."}


def test_gathering_has_a_bound_and_streaming_has_none() -> None:
    whole, stream = gathered(), streamed()
    for reply in (whole, stream):
        for _ in range(5):
            reply.text("x" * (GATHERED_BYTES_MAX // 4))
    assert (whole.overlong, stream.overlong) == (True, False)

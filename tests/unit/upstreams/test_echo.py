"""The built-in upstream speaks the OpenAI shapes."""

import asyncio
import base64
import json
import struct
from typing import Any

import pytest

from jotgate.core.calls import Outbound
from jotgate.core.sse import StreamTap, Usage, read_usage
from jotgate.testing.ports import ManualClock
from jotgate.upstreams.echo import EMBEDDING_DIMENSIONS, EchoUpstream
from tests.ears import Ear
from tests.loops import on_loop


async def ask(operation: str, **members: object) -> Ear:
    """What echo says to a body with these members, raw bytes in place of all with `raw`."""
    raw = members.get("raw")
    body = raw if isinstance(raw, bytes) else json.dumps({"model": "echo", **members}).encode()
    ear = Ear()
    EchoUpstream(ManualClock()).begin(Outbound(operation, b"POST", b"/", b"", body), ear)
    assert ear.pieces == []
    await ear.until_over()
    assert ear.head is not None
    assert ear.head.length in (None, len(ear.body))
    return ear


def unary(ear: Ear) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(ear.body)
    return content


def events(ear: Ear) -> list[dict[str, Any]]:
    *texts, done, rest = ear.body.decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(text.removeprefix("data: ")) for text in texts]


USER = {"role": "user", "content": "one two  three"}


@on_loop
async def test_a_chat_gets_the_last_words_of_its_user_back() -> None:
    ear = await ask("chat.completions", messages=[{"role": "system", "content": "be brief"}, USER, {"role": "tool"}])
    content = unary(ear)
    assert content["choices"] == [
        {
            "index": 0,
            "finish_reason": "stop",
            "logprobs": None,
            "message": {"role": "assistant", "content": "one two  three"},
        }
    ]
    assert (content["object"], content["created"], content["model"]) == ("chat.completion", 1_800_000_000, "echo")
    assert read_usage(ear.body) == Usage(5, 4)


@on_loop
async def test_the_text_of_a_message_in_parts_is_joined() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {}}, {"type": "text", "text": "two"}]
    content = unary(await ask("chat.completions", messages=[{"role": "user", "content": parts}]))
    assert content["choices"][0]["message"]["content"] == "one two"


@pytest.mark.parametrize("messages", [[], [{"role": "assistant", "content": "x"}], [{"role": "user", "content": None}]])
@on_loop
async def test_who_says_nothing_hears_nothing(messages: list[object]) -> None:
    content = unary(await ask("chat.completions", messages=messages))
    assert content["choices"][0]["message"]["content"] == ""


@pytest.mark.parametrize(("prompt", "text"), [("a b", "a b"), (["a", "b c"], "a b c")])
@on_loop
async def test_a_completion_says_its_prompt(prompt: object, text: str) -> None:
    content = unary(await ask("completions", prompt=prompt))
    assert (content["object"], content["choices"][0]["text"]) == ("text_completion", text)
    assert "message" not in content["choices"][0]


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize(("limit", "text", "finish"), [(2, "one two", "length"), (4, "one two  three", "stop")])
@on_loop
async def test_a_limit_cuts_the_answer(name: str, limit: int, text: str, finish: str) -> None:
    content = unary(await ask("chat.completions", messages=[USER], **{name: limit}))
    choice = content["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == (text, finish)


@on_loop
async def test_a_chat_streams_its_words_one_by_one() -> None:
    ear = await ask("chat.completions", messages=[USER], stream=True)
    told = events(ear)
    deltas = [one["choices"][0]["delta"] for one in told]
    assert deltas[0] == {"role": "assistant", "content": "one"}
    assert "".join(delta.get("content", "") for delta in deltas) == "one two  three"
    assert [one["choices"][0]["finish_reason"] for one in told] == [None] * 4 + ["stop"]
    assert {one["object"] for one in told} == {"chat.completion.chunk"}
    assert len(ear.pieces) == len(told) + 1
    assert (b"content-type", b"text/event-stream; charset=utf-8") in (ear.head.headers if ear.head else [])


@on_loop
async def test_a_completion_streams_text() -> None:
    told = events(await ask("completions", prompt="a b", stream=True, max_tokens=1))
    assert [one["choices"][0]["text"] for one in told] == ["a", ""]
    assert told[-1]["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("wanted", [True, False, None])
@on_loop
async def test_a_stream_tells_its_usage_to_whoever_wants_it(wanted: bool | None) -> None:
    ear = await ask("chat.completions", messages=[USER], stream=True, stream_options={"include_usage": wanted})
    tap = StreamTap()
    tap.feed(ear.body)
    assert tap.usage() == (Usage(3, 4) if wanted else Usage())
    assert [one["choices"] for one in events(ear) if "usage" in one] == ([[]] if wanted else [])


@on_loop
async def test_embeddings_depend_on_the_text_alone() -> None:
    content = unary(await ask("embeddings", input=["a b", "c", "a b"], stream=True))
    vectors = [row["embedding"] for row in content["data"]]
    assert [row["index"] for row in content["data"]] == [0, 1, 2]
    assert vectors[0] == vectors[2] != vectors[1]
    assert all(len(vector) == EMBEDDING_DIMENSIONS and all(-1 <= x <= 1 for x in vector) for vector in vectors)
    assert content["usage"] == {"prompt_tokens": 5, "total_tokens": 5}


@on_loop
async def test_embeddings_come_in_base64_too() -> None:
    plain = unary(await ask("embeddings", input="a"))["data"][0]["embedding"]
    coded = unary(await ask("embeddings", input="a", encoding_format="base64"))["data"][0]["embedding"]
    assert list(struct.unpack(f"<{EMBEDDING_DIMENSIONS}f", base64.b64decode(coded))) == pytest.approx(plain)


@pytest.mark.parametrize(
    "members",
    [
        {"messages": "hi"},
        {"messages": [{"role": "user", "content": 7}]},
        {"prompt": [1, 2]},
        {"max_tokens": "many"},
        {"max_tokens": -1},
        {"stream_options": []},
        {"raw": b"no"},
        {"raw": b'{"model":"echo","messages":' + b"[" * 100_000},
        {"raw": b'{"model":"echo","max_tokens":' + b"9" * 5_000 + b"}"},
    ],
)
@on_loop
async def test_a_body_of_another_shape_is_refused_as_openai_would(members: dict[str, object]) -> None:
    ear = await ask("chat.completions", **members)
    assert ear.head is not None
    assert ear.head.status == 400
    assert unary(ear)["error"]["type"] == "invalid_request_error"


@on_loop
async def test_a_body_that_would_keep_a_worker_busy_is_refused() -> None:
    ear = await ask("chat.completions", stream=True, messages=[{"role": "user", "content": "a " * 131_072}])
    assert ear.head is not None
    assert ear.head.status == 413
    assert "at most 262144 bytes" in unary(ear)["error"]["message"]


@on_loop
async def test_embeddings_take_numbers_of_tokens() -> None:
    ear = await ask("embeddings", input=[[1, 2], [3]])
    assert [row["embedding"] for row in unary(ear)["data"]] == [
        unary(await ask("embeddings", input=text))["data"][0]["embedding"] for text in ("1 2", "3")
    ]


async def _turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@on_loop
async def test_a_stream_can_be_paused_resumed_and_aborted() -> None:
    body = json.dumps({"model": "echo", "messages": [USER], "stream": True}).encode()
    ear = Ear()
    replay = EchoUpstream(ManualClock()).begin(Outbound("chat.completions", b"POST", b"/", b"", body), ear)
    replay.pause()
    await _turns()
    assert ear.pieces == []
    replay.resume()
    replay.resume()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    begun = len(ear.pieces)
    assert begun > 0
    replay.abort()
    replay.resume()
    await _turns()
    assert len(ear.pieces) == begun < 6


@on_loop
async def test_an_answer_that_was_given_is_not_given_again() -> None:
    body = json.dumps({"model": "echo", "messages": [USER]}).encode()
    ear = Ear()
    replay = EchoUpstream(ManualClock()).begin(Outbound("chat.completions", b"POST", b"/", b"", body), ear)
    await ear.until_over()
    replay.resume()
    await _turns()
    assert len(ear.pieces) == 1

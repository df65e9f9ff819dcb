"""What a caller asks of a chain, and how that is asked of upstreams."""

import json
from typing import Any

import pytest
from msgspec import Raw, structs

from jotgate.core.chain_asks import Ask, AskRefused, read_ask, repair_messages, write_step
from jotgate.core.chain_schemas import read_schema
from jotgate.core.chains import ChainStep

_TALK = [{"role": "user", "content": "Hi"}]
_STEP = ChainStep("work", "m", "", (), max_tokens=50, temperature=0.5, streamed=True)
_MESSAGES = [Raw(b'{"role":"system","content":"P"}')]
_SCHEMA = read_schema({"type": "object", "properties": {"a": {"type": "null"}}})


def ask(**members: object) -> Ask:
    return read_ask("chat.completions", json.dumps({"model": "c", "messages": _TALK, **members}).encode())


def written(step: ChainStep, answers: Ask | None = None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(write_step(step, _MESSAGES, "theirs", "max_tokens", answers=answers).text)
    return found


def test_a_step_is_asked_for_nothing_but_what_its_settings_say() -> None:
    assert written(_STEP) == {
        "model": "theirs",
        "messages": [{"role": "system", "content": "P"}],
        "max_tokens": 50,
        "temperature": 0.5,
    }
    assert "temperature" not in written(structs.replace(_STEP, temperature=None))


def test_the_last_step_is_asked_as_the_caller_asked() -> None:
    found = written(_STEP, ask(stream=True, temperature=0, seed=7, stop=["x"], n=1, store=False))
    assert (found["temperature"], found["seed"], found["stop"], found["store"]) == (0, 7, ["x"], False)
    assert (found["stream"], found["stream_options"]) == (True, {"include_usage": True})
    assert "n" not in found
    assert found["messages"] == [{"role": "system", "content": "P"}]


@pytest.mark.parametrize(
    ("members", "ceiling"),
    [
        ({}, 50),
        ({"max_tokens": 20}, 20),
        ({"max_completion_tokens": 20}, 20),
        ({"max_tokens": 500}, 50),
        ({"max_tokens": 30, "max_completion_tokens": 10}, 10),
    ],
)
def test_the_lower_ceiling_holds_in_the_upstreams_own_member(members: dict[str, int], ceiling: int) -> None:
    body = write_step(_STEP, _MESSAGES, "theirs", "max_completion_tokens", answers=ask(**members))
    found = json.loads(body.text)
    assert (found["max_completion_tokens"], body.ceiling) == (ceiling, ceiling)
    assert "max_tokens" not in found


def test_a_stream_is_asked_for_only_where_caller_and_step_want_one() -> None:
    assert "stream" not in written(_STEP, ask())
    assert "stream" not in written(structs.replace(_STEP, streamed=False), ask(stream=True))
    assert "stream" not in written(_STEP)


@pytest.mark.parametrize(
    ("asks_for", "kind"), [("json_schema", "json_schema"), ("json_object", "json_object"), ("prompt", None)]
)
def test_a_schema_is_told_in_the_way_that_the_upstream_knows(asks_for: Any, kind: str | None) -> None:
    step = structs.replace(_STEP, streamed=False, schema=_SCHEMA, asks_for=asks_for)
    found = written(step, ask(response_format={"type": "text"}) if kind else None)
    assert found.get("response_format", {}).get("type") == kind
    if kind == "json_schema":
        assert found["response_format"]["json_schema"]["schema"]["properties"] == {"a": {"type": "null"}}


def test_usage_is_told_to_whoever_asks_for_it() -> None:
    assert ask(stream=True, stream_options={"include_usage": True}).tells_usage
    assert not ask(stream=True, stream_options={"include_usage": False}).tells_usage
    assert not ask(stream=True, stream_options=None).tells_usage
    assert not ask(stream=True).tells_usage


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"n": 2}, "'n' is not 1: a chain gives one answer"),
        ({"n": "2"}, "'n' is not 1"),
        ({"max_tokens": 0}, "'max_tokens' is not a whole number from 1"),
        ({"max_tokens": 1.5}, "'max_tokens' is not a whole number"),
        ({"stream_options": []}, "'stream_options' is not an object"),
        ({"messages": {}}, "'messages' is not a list"),
        ({"messages": None}, "'messages' is not a list"),
    ],
)
def test_what_no_chain_takes_is_refused_with_the_reason(members: dict[str, object], words: str) -> None:
    with pytest.raises(AskRefused, match=words) as refused:
        ask(**members)
    assert refused.value.param == next(iter(members))


def test_a_chain_answers_chats_alone() -> None:
    with pytest.raises(AskRefused, match="chat completions alone"):
        read_ask("completions", b'{"model":"c","prompt":"x"}')


def test_a_repair_goes_on_with_the_same_messages() -> None:
    found = [json.loads(bytes(one)) for one in repair_messages(_MESSAGES, "no", "Again.")]
    assert [one["role"] for one in found] == ["system", "assistant", "user"]
    assert [one["content"] for one in found[1:]] == ["no", "Again."]

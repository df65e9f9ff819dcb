"""Prompts are filled once, and the whole conversation of the caller goes with each."""

import json
from typing import Any

import pytest
from msgspec import Raw

from jotgate.core.chain_prompts import (
    Conversation,
    Output,
    check_prompt,
    fill,
    read_conversation,
    write_messages,
)
from jotgate.core.chain_schemas import read_schema

_SCHEMA = read_schema(
    {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "null"}}}}}
)
_OUTPUTS = {
    "text": Output("said"),
    "found": Output('{"x": 1}', {"a": {"b": "deep"}, "n": [1, 2]}, structured=True),
}


def read(*messages: object) -> Conversation:
    found = read_conversation(Raw(json.dumps(messages).encode()))
    assert found is not None
    return found


def roles(messages: list[Raw]) -> list[str]:
    decoded: list[dict[str, Any]] = [json.loads(bytes(one)) for one in messages]
    return [one["role"] for one in decoded]


def test_system_messages_that_come_first_are_taken_out_and_all_others_stay() -> None:
    found = read(
        {"role": "system", "content": "One."},
        {"role": "developer", "content": [{"type": "text", "text": "Two."}]},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "system", "content": "Later."},
        {"role": "user", "content": [{"type": "text", "text": "What is"}, {"type": "image_url"}]},
    )
    assert found.instructions == "One.\n\nTwo."
    assert found.request == "What is"
    messages = write_messages("P", found)
    assert roles(messages) == ["system", "user", "assistant", "system", "user"]
    assert json.loads(bytes(messages[0])) == {"role": "system", "content": "P"}


@pytest.mark.parametrize("raw", [b"[]", b"{}", b"null", b"[1]", b'[{"content":"x"}]', b'[{"role":1}]', b"[" * 5_000])
def test_what_is_no_conversation_is_none(raw: bytes) -> None:
    assert read_conversation(Raw(raw)) is None
    assert read_conversation(None) is None


def test_places_are_filled_with_what_was_said_before() -> None:
    talk = read({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"})
    prompt = "{{text}} {{ found.a.b }} {{found.n}} {{found.a}} {{found.none}} {{request}} {{instructions}}"
    assert fill(prompt, talk, _OUTPUTS, None) == 'said deep [1,2] {"b":"deep"} null Hi Be brief.'
    assert fill("{{found}}", talk, _OUTPUTS, None).startswith('{"a":{"b":"deep"}')
    assert json.loads(fill("{{schema}}", talk, {}, _SCHEMA).split("\n\n")[0])["type"] == "object"


def test_what_is_put_in_is_not_looked_at_again() -> None:
    talk = read({"role": "user", "content": "{{text}} {{schema}}"})
    assert fill("Q: {{request}}", talk, _OUTPUTS, _SCHEMA) == "Q: {{text}} {{schema}}"


def test_instructions_stand_behind_a_prompt_that_has_no_place_for_them() -> None:
    talk = read({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"})
    assert fill("Do it.\n", talk, {}, None) == "Do it.\n\nBe brief."
    assert fill("Do it.\n", read({"role": "user", "content": "Hi"}), {}, None) == "Do it.\n"


def test_a_prompt_is_told_which_of_its_places_nothing_fills() -> None:
    before = {"text": None, "found": _SCHEMA}
    good = "{{text}} {{found}} {{found.a.b}} {{request}} {{instructions}} {{schema}}"
    assert check_prompt(good, before, structured=True) == []
    assert check_prompt(" \n", before, structured=True) == ["is empty; write what the step is to do"]
    for wrong, words in (
        ("{{later}}", "nothing fills"),
        ("{{}}", "nothing fills"),
        ("{{fond}}", "did you mean 'found'?"),
        ("{{request.x}}", "nothing fills"),
        ("{{text.x}}", "there is no 'x'"),
        ("{{found.c}}", "its schema has no 'c'"),
        ("{{found.a.b.c}}", "there is no 'c'"),
    ):
        (fault,) = check_prompt(wrong, before, structured=True)
        assert words in fault
    assert "nothing fills" in check_prompt("{{schema}}", before, structured=False)[0]


def test_an_object_of_any_members_may_have_each() -> None:
    anything = read_schema({"type": "object"})
    assert check_prompt("{{x.whatever}}", {"x": anything}, structured=False) == []
    closed = read_schema({"type": "object", "additionalProperties": False})
    assert check_prompt("{{x.whatever}}", {"x": closed}, structured=False) != []

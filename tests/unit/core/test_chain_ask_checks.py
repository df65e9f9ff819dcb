"""What a caller may say of how a chain answers is looked at as OpenAI's API has it; what that has not is left alone."""

import json

import pytest
from msgspec import Raw

from jotgate.core.chain_ask_checks import AskFault, fault_of


def found(**members: object) -> AskFault | None:
    body = {"messages": [{"role": "user", "content": "Hi"}], **members}
    return fault_of({name: Raw(json.dumps(value).encode()) for name, value in body.items()})


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("temperature", [0, 2, 0.7], [-0.1, 2.1, "1", True, []]),
        ("top_p", [0, 1], [-1, 1.5, "x"]),
        ("presence_penalty", [-2, 2], [-3, 3, "x"]),
        ("frequency_penalty", [-2, 2], [-3, 3, {}]),
        ("max_tokens", [1, 10**9], [0, -1, 1.5, "9"]),
        ("max_completion_tokens", [1], [0, False]),
        ("n", [1], [0, 2, "1"]),
        ("seed", [0, -7], [1.5, "x"]),
        ("stop", ["x", ["x", "y"]], [1, [1], {}]),
        ("user", ["u"], [7]),
        ("logprobs", [True], [1, "yes"]),
        ("top_logprobs", [0, 20], [21, -1]),
        ("logit_bias", [{}, {"50256": -100}], [{"1": 101}, [1]]),
        ("tools", [[], [{"type": "function", "function": {"name": "f"}}], [{"type": "custom", "custom": {}}]],
         [{}, [{}], ["x"], [{"type": "function"}], [{"type": "function", "function": {"name": ""}}]]),
        ("tool_choice", ["auto", {"type": "function", "function": {"name": "f"}}], [1, {}, []]),
        ("parallel_tool_calls", [False], ["no"]),
        ("response_format", [{"type": "json_object"}], ["json", {}]),
        ("stream_options", [{}, {"include_usage": True, "more": 1}], [True, {"include_usage": 1}]),
    ],
)  # fmt: skip
def test_a_member_has_the_form_and_the_bounds_of_the_api(name: str, good: list[object], bad: list[object]) -> None:
    for value in (*good, None):
        assert found(**{name: value}) is None, value
    for value in bad:
        fault = found(**{name: value})
        assert fault is not None, value
        assert fault.param == name
        assert fault.why.startswith(f"'{name}' is not ")


@pytest.mark.parametrize(
    "message",
    [
        {"role": "system", "content": "x"},
        {"role": "developer", "content": "x"},
        {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "x"}}]},
        {"role": "assistant", "tool_calls": [{"id": "1"}]},
        {"role": "assistant", "content": None, "refusal": "no"},
        {"role": "tool", "content": "x", "tool_call_id": "1"},
        {"role": "function", "name": "f", "content": None},
    ],
)
def test_messages_of_every_role_are_taken(message: object) -> None:
    assert found(messages=[message]) is None


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ("x", ""),
        ({}, ""),
        ({"content": "x"}, ""),
        ({"role": "robot", "content": "x"}, ""),
        ({"role": 7, "content": "x"}, ""),
        ({"role": "user", "content": 7}, ""),
        ({"role": "user", "content": [{"text": "no type"}]}, ""),
        ({"role": "user"}, ".content"),
        ({"role": "system", "content": None}, ".content"),
        ({"role": "tool", "content": "x"}, ".tool_call_id"),
    ],
)
def test_what_is_no_message_is_told_by_its_place(message: object, place: str) -> None:
    fault = found(messages=[{"role": "user", "content": "Hi"}, message])
    assert fault is not None
    assert fault.param == f"messages[1]{place}"


@pytest.mark.parametrize("messages", [None, [], {}, "x"])
def test_without_messages_there_is_nothing_to_answer(messages: object) -> None:
    assert found(messages=messages) == AskFault("messages", "'messages' is not a list of messages, or it is empty")


def test_what_the_api_does_not_know_is_left_to_the_upstream() -> None:
    assert found(top_k=-1, reasoning_effort=[], min_p="x") is None

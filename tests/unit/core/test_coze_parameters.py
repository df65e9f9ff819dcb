"""Each parameter of a chat completion: used, left out, or refused, and none of them in silence."""

from typing import Final

import msgspec
import pytest
from msgspec import Raw
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming

from jotgate.core.coze_parameters import IGNORED, REFUSED, USED, Extension, Parameters, read_parameters
from jotgate.errors import Code, RequestMalformed

SAID: Final[dict[str, object]] = {
    "audio": {"voice": "alloy", "format": "wav"},
    "function_call": {"name": "f"},
    "functions": [{"name": "f"}],
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "modalities": ["text", "audio"],
    "moderation": {"model": "m"},
    "n": 2,
    "response_format": {"type": "json_object"},
    "stop": ["\n"],
    "tool_choice": "required",
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "top_logprobs": 5,
    "web_search_options": {},
}
"""What callers say who want something that Coze cannot do."""


def read(**members: object) -> Parameters:
    return read_parameters({name: Raw(msgspec.json.encode(value)) for name, value in members.items()})


def refused(**members: object) -> RequestMalformed:
    with pytest.raises(RequestMalformed) as caught:
        read(**members)
    assert caught.value.code is Code.REQUEST_MALFORMED
    return caught.value


def test_every_parameter_of_the_openai_sdk_has_its_one_place() -> None:
    known = set(CompletionCreateParamsNonStreaming.__annotations__)
    for base in CompletionCreateParamsNonStreaming.__mro__:
        known |= set(getattr(base, "__annotations__", {}))
    places = [USED - {"coze"}, IGNORED, frozenset(REFUSED)]
    assert known <= set().union(*places)
    assert sum(map(len, places)) == len(set().union(*places))


def test_a_plain_call_asks_for_nothing_more() -> None:
    assert read(model="m", messages=[], stream=True) == Parameters()


@pytest.mark.parametrize("name", sorted(IGNORED))
@pytest.mark.parametrize("value", [1, "high", True, {"a": 1}, None])
def test_it_is_left_out(name: str, value: object) -> None:
    assert read(**{name: value}) == Parameters()


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_it_is_refused_by_its_name(name: str) -> None:
    refusal = refused(**{name: SAID[name]})
    assert (refusal.param, refusal.message) == (name, f"Coze cannot do what '{name}' asks for")
    assert refusal.hint


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_asks_for_nothing_is_let_pass(name: str) -> None:
    assert read(**{name: None}) == Parameters()
    for value in REFUSED[name]:
        assert read(**{name: value}) == Parameters()


@pytest.mark.parametrize(("name", "value"), [("n", True), ("logprobs", 0), ("n", 1.0), ("top_logprobs", False)])
def test_a_value_of_another_type_is_not_taken_for_one_that_asks_for_nothing(name: str, value: object) -> None:
    assert refused(**{name: value}).param == name


def test_a_parameter_that_nobody_knows_is_refused() -> None:
    refusal = refused(model="m", top_k=3)
    assert (refusal.param, refusal.message) == ("top_k", "'top_k' is not known to Coze upstreams")
    assert len(refused(**{"x" * 1_000: 1}).message) < 120


def test_a_stream_tells_its_usage_where_that_is_asked_for() -> None:
    assert read(stream_options={"include_usage": True}).tells_usage
    assert not read(stream_options={"include_usage": False, "include_obfuscation": True}).tells_usage
    assert not read(stream_options=None).tells_usage
    assert refused(stream_options="usage").param == "stream_options"


def test_metadata_goes_along_within_what_both_sides_take() -> None:
    whole = {f"{'k' * 62}{index:02}": "v" * 512 for index in range(16)}
    assert read(metadata=whole).metadata == whole
    assert read(metadata=None).metadata == {}
    for wrong in ({**whole, "one more": ""}, {"k" * 65: ""}, {"k": "v" * 513}, {"k": 1}, ["k"]):
        assert refused(metadata=wrong).param == "metadata"


def test_the_extension_says_what_only_coze_knows() -> None:
    found = read(coze={"parameters": {"n": 3, "deep": {"a": [1]}}, "custom_variables": {"name": "Ann"}}).extension
    assert {name: msgspec.json.decode(raw) for name, raw in found.parameters.items()} == {"n": 3, "deep": {"a": [1]}}
    assert (found.custom_variables, found.is_async) == ({"name": "Ann"}, False)
    assert read(coze={"is_async": True}).extension == Extension(is_async=True)
    assert read(coze=None).extension == read(coze={}).extension == Extension()


@pytest.mark.parametrize("wrong", [[], "x", {"bot": "7"}, {"parameters": []}, {"is_async": "yes"}])
def test_an_extension_that_is_none_is_refused(wrong: object) -> None:
    assert refused(coze=wrong).param == "coze"

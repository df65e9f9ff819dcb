"""What upstreams answer is read whatever the borders of its pieces, and told in one envelope with the sums."""

import json

import pytest
from msgspec import Raw

from jotgate.core.audit import StepUse
from jotgate.core.chain_answers import Envelope, EventReader, read_answer, read_error, said_by, total_cost, usage_of
from jotgate.core.sse import UNKNOWN, Usage
from tests.chaining import DONE, completion, event, usage_event

_ENVELOPE = Envelope("chatcmpl-1", 5, "c")
_USES = (StepUse("a", tokens_in=1, tokens_out=2, cost=500_000_000), StepUse("b", tokens_in=3, tokens_out=4, cost=1))


def test_a_whole_answer_is_its_text_its_message_and_its_usage() -> None:
    said = read_answer(completion("Hi", (3, 4), finish="length"))
    assert said is not None
    assert (said.text, said.finish, said.usage) == ("Hi", "length", Usage(3, 4))
    assert json.loads(bytes(said.message)) == {"role": "assistant", "content": "Hi"}


def test_an_answer_in_parts_is_their_text_and_one_without_a_word_is_empty() -> None:
    parts = b'{"choices":[{"message":{"content":[{"type":"text","text":"A"},{"type":"text","text":"B"}]}}]}'
    found = [read_answer(parts), read_answer(b'{"choices":[{"message":{"content":null,"tool_calls":[]}}]}')]
    assert [(one.text, one.usage) for one in found if one is not None] == [("AB", UNKNOWN), ("", UNKNOWN)]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"choices":[]}', b'{"choices":[{}]}', b"\xff", b"[" * 9_000])
def test_what_is_no_completion_is_none(body: bytes) -> None:
    assert read_answer(body) is None


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_a_stream_is_read_in_pieces_of_any_size(size: int, newline: bytes) -> None:
    text = (b": a comment\n\n" + event("A ") + event("B", "stop") + usage_event(5, 6) + DONE).replace(b"\n", newline)
    reader = EventReader()
    choices: list[Raw] = []
    for start in range(0, len(text), size):
        told = reader.take(text[start : start + size])
        assert not told.fault
        choices += told.choices
    assert [json.loads(bytes(one))["delta"]["content"] for one in choices] == ["A ", "B"]
    assert (reader.usage, reader.done) == (Usage(5, 6), True)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error":{"message":"you said X","type":"invalid_request_error","code":"context_length_exceeded"}}',
         "invalid_request_error context_length_exceeded"),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}', "overloaded_error"),
        (b'{"error":{"type":"a sentence that may hold anything","code":400}}', ""),
        (b'{"error":"x"}', ""),
        (b"<html>", ""),
    ],
)  # fmt: skip
def test_a_refusal_is_told_by_its_words_alone(body: bytes, words: str) -> None:
    assert read_error(body) == words


def test_nothing_behind_the_end_of_a_stream_is_passed_on() -> None:
    reader = EventReader()
    assert reader.take(DONE + event("more")).choices == ()


@pytest.mark.parametrize("data", [b"no json", b'{"error":{"message":"x"}}', b'{"choices":3}', b"\xff"])
def test_an_error_or_what_is_no_event_is_a_fault_behind_what_came_before(data: bytes) -> None:
    told = EventReader().take(event("A") + b"data: %b\n\n" % data + event("B"))
    assert told.fault
    assert len(told.choices) == 1


def test_an_event_without_end_is_a_fault() -> None:
    assert EventReader().take(b"data: " + b"x" * 2_000_000).fault


def test_the_answer_has_the_sums_and_each_step() -> None:
    said = read_answer(completion("Hi"))
    assert said is not None
    answer = json.loads(_ENVELOPE.whole(said, _USES))
    assert answer["usage"]["total_tokens"] == 10
    assert answer["usage"]["cost_usd"] == pytest.approx(0.500000001)
    assert [one["name"] for one in answer["usage"]["steps"]] == ["a", "b"]
    assert "estimated" not in answer["usage"]


def test_a_cost_that_is_not_known_of_one_step_is_not_known_of_all() -> None:
    uses = (*_USES, StepUse("c", estimated=True))
    assert total_cost(uses) is None
    usage = usage_of(uses)
    assert "cost_usd" not in usage
    assert usage["estimated"] is True


def test_a_stream_ends_with_the_usage_for_whoever_wants_it() -> None:
    assert _ENVELOPE.ending(_USES, tells_usage=False) == b"data: [DONE]\n\n"
    told = _ENVELOPE.ending(_USES, tells_usage=True)
    assert told.endswith(b"\n\ndata: [DONE]\n\n")
    assert json.loads(told.removeprefix(b"data: ").partition(b"\n")[0])["choices"] == []


def test_another_text_takes_the_place_of_what_was_said() -> None:
    said = read_answer(completion("Hi", (3, 4)))
    assert said is not None
    other = said_by("Ho", said)
    assert (other.text, other.usage) == ("Ho", Usage(3, 4))
    assert json.loads(bytes(other.message))["content"] == "Ho"

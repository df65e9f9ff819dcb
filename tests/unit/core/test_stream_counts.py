"""A stream is counted as its bytes pass by, and only the event that nobody asked for is kept back."""

import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from jotgate.core.sse import Usage
from jotgate.core.stream_counts import StreamCount, said_in

USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5}}\n\n'
DONE = b"data: [DONE]\n\n"


def event(*texts: str, end: str = "\n\n") -> bytes:
    choices = [{"index": place, "delta": {"content": text}} for place, text in enumerate(texts)]
    return f"data: {json.dumps({'choices': choices, 'usage': None})}{end}".encode()


def taken(count: StreamCount, pieces: Iterable[bytes]) -> bytes:
    *first, last = pieces
    return b"".join(count.take(piece, False) for piece in first) + count.take(last, True)


def test_events_with_text_are_tokens_and_their_bytes_bound_them() -> None:
    count = StreamCount(hides_usage=False)
    count.take(b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n', False)
    assert (count.seen, count.most) == (0, 0)
    count.take(event("Hello") + event(" you"), False)
    assert (count.seen, count.most) == (2, 9)


def test_each_choice_counts() -> None:
    count = StreamCount(hides_usage=False)
    count.take(event("a", "b", "c"), False)
    assert count.seen == 3


def test_many_tokens_in_one_event_are_not_taken_for_one() -> None:
    count = StreamCount(hides_usage=False)
    count.take(event("x" * 160), False)
    assert (count.seen, count.most) == (40, 160)


@pytest.mark.parametrize(
    "choice",
    [
        {"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "0123456789"}}]}},
        {"delta": {"reasoning_content": "0123456789"}},
        {"delta": {"refusal": "0123456789"}},
        {"text": "0123456789"},
    ],
)
def test_whatever_is_generated_counts(choice: object) -> None:
    count = StreamCount(hides_usage=False)
    count.take(f"data: {json.dumps({'choices': [choice]})}\n\n".encode(), False)
    assert count.seen >= 1
    assert count.most >= 10


@pytest.mark.parametrize(
    "data", [b"{", b"0123456789", b'{"type":"x","text":"0123456789"}', b'{"choices":"0123456789"}']
)
def test_what_cannot_be_read_counts_for_its_bytes(data: bytes) -> None:
    count = StreamCount(hides_usage=True)
    assert count.take(b"data: %b\n\n" % data, False) == b"data: %b\n\n" % data
    assert count.most == len(data)


def test_the_usage_that_nobody_asked_for_is_kept_back_and_known() -> None:
    count = StreamCount(hides_usage=True)
    assert taken(count, [event("a"), USAGE, DONE]) == event("a") + DONE
    assert (count.usage, count.final) == (Usage(3, 5), True)


def test_the_usage_that_was_asked_for_passes() -> None:
    count = StreamCount(hides_usage=False)
    assert taken(count, [event("a"), USAGE, DONE]) == event("a") + USAGE + DONE
    assert count.usage == Usage(3, 5)


def test_usage_beside_text_passes_always_and_is_not_the_last_word() -> None:
    said = b'data: {"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":3,"completion_tokens":9}}\n\n'
    count = StreamCount(hides_usage=True)
    assert count.take(said, False) == said
    assert (count.usage, count.final, count.seen) == (Usage(3, 9), False, 9)


def test_an_event_that_is_not_whole_is_passed_on_when_it_is() -> None:
    count = StreamCount(hides_usage=True)
    whole = event("abc")
    assert count.take(whole[:20], False) == b""
    assert count.most >= 20
    assert count.take(whole[20:], False) == whole
    assert count.most == 3


def test_what_stands_behind_the_last_event_passes_at_the_end() -> None:
    count = StreamCount(hides_usage=True)
    assert taken(count, [event("a"), b"data: [DONE]"]) == event("a") + b"data: [DONE]"
    short = StreamCount(hides_usage=True)
    assert taken(short, [event("a"), USAGE.rstrip()]) == event("a")


def test_an_event_of_any_length_passes_and_counts_for_its_bytes() -> None:
    count = StreamCount(hides_usage=True)
    whole = event("x" * 200_000)
    pieces = [whole[start : start + 30_000] for start in range(0, len(whole), 30_000)]
    assert taken(count, [*pieces, USAGE, DONE]) == whole + DONE
    assert count.most >= 200_000
    assert count.usage == Usage(3, 5)


@given(
    st.lists(st.lists(st.text(max_size=20), min_size=1, max_size=2), max_size=8),
    st.lists(st.integers(1, 60), max_size=80),
    st.sampled_from(["\n\n", "\r\n\r\n"]),
    st.booleans(),
)
def test_whatever_the_pieces_are_the_same_is_passed_and_counted(
    texts: list[list[str]], sizes: list[int], end: str, hides: bool
) -> None:
    events = [event(*one, end=end) for one in texts]
    usage = USAGE.replace(b"\n\n", end.encode())
    whole = b"".join([*events, usage, DONE])
    pieces, rest = [], whole
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    count = StreamCount(hides_usage=hides)
    assert taken(count, [*pieces, rest]) == (whole.replace(usage, b"") if hides else whole)
    assert count.usage == Usage(3, 5)
    generated = sum(len(text.encode()) for one in texts for text in one)
    assert count.most >= max(generated, 5)
    assert count.seen >= sum(bool(text) for one in texts for text in one)


@pytest.mark.parametrize(
    ("choices", "size"),
    [
        ([], 0),
        ([b'{"index":0,"delta":{"role":"assistant","content":""}}'], 0),
        ([b'{"index":0,"delta":{"content":"fjord"}}', b'{"text":"bay"}'], 8),
        ([b'{"delta":{"tool_calls":[1]},"finish_reason":null}'], 3),
        ([b'{"delta":7}'], 11),
    ],
)
def test_of_choices_counts_what_was_generated(choices: list[bytes], size: int) -> None:
    assert said_in(map(Raw, choices)) == size

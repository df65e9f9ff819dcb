"""Property: what is read of a stream does not depend on the borders of its pieces."""

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from jotgate.core.sse import StreamTap, UnaryTap, Usage

_counts = st.none() | st.integers(0, 2**40)
_usages = st.none() | st.builds(Usage, _counts, _counts)
_noise = st.binary(max_size=60) | st.sampled_from(
    [b"data: [DONE]\n\n", b": ping\n", b"\n", b"\r\n", b'data: "usage"\n']
)


def _event(usage: Usage | None) -> bytes:
    told = (
        None if usage is None else {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens}
    )
    return b"data: " + json.dumps({"choices": [], "usage": told}).encode() + b"\n\n"


def _cut(text: bytes, borders: list[int]) -> list[bytes]:
    points = [0, *sorted(border % (len(text) + 1) for border in borders), len(text)]
    return [text[begin:end] for begin, end in pairwise(points)]


@given(st.lists(_noise | st.builds(_event, _usages), max_size=12), st.lists(st.integers(0, 10_000), max_size=30))
def test_a_stream_tells_the_same_usage_whatever_its_borders(parts: list[bytes], borders: list[int]) -> None:
    text = b"".join(parts)
    whole, pieces, single = StreamTap(), StreamTap(), StreamTap()
    whole.feed(text)
    for piece in _cut(text, borders):
        pieces.feed(piece)
    for byte in text:
        single.feed(bytes([byte]))
    assert whole.usage() == pieces.usage() == single.usage()


@given(st.lists(_usages, min_size=1, max_size=6), st.lists(st.integers(0, 10_000), max_size=30))
def test_a_clean_stream_tells_the_last_usage_that_it_holds(usages: list[Usage | None], borders: list[int]) -> None:
    tap = StreamTap()
    for piece in _cut(b"".join(map(_event, usages)), borders):
        tap.feed(piece)
    told = [usage for usage in usages if usage is not None]
    assert tap.usage() == (told[-1] if told else Usage())


@given(st.builds(Usage, _counts, _counts), st.lists(st.integers(0, 10_000), max_size=30))
def test_a_unary_answer_tells_its_usage_whatever_its_borders(usage: Usage, borders: list[int]) -> None:
    tap = UnaryTap()
    for piece in _cut(_event(usage)[6:], borders):
        tap.feed(piece)
    assert tap.usage() == usage


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_no_bytes_fail_a_tap(pieces: list[bytes]) -> None:
    for tap in (StreamTap(), UnaryTap()):
        for piece in pieces:
            tap.feed(piece)
        assert isinstance(tap.usage(), Usage)

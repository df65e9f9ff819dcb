"""Streams of Coze are cut into events, wherever their bytes are cut and however their lines end."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jotgate.core.coze_events import EVENT_BYTES_MAX, CozeEvent, EventReader

TEXTS = ["Grüße", "世界", "🌍🏳️‍🌈", "a\u2028b", "", "line\\nend"]


def written(name: str, text: str, *, gap: str, end: str) -> bytes:
    return f"event:{gap}{name}{end}data:{gap}{json.dumps(text, ensure_ascii=False)}{end}{end}".encode()


@given(
    texts=st.lists(st.sampled_from(TEXTS), min_size=1, max_size=6),
    gap=st.sampled_from(["", " "]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    cuts=st.lists(st.integers(min_value=1, max_value=40), min_size=1, max_size=8),
)
def test_however_a_stream_is_cut_its_events_are_the_same(texts: list[str], gap: str, end: str, cuts: list[int]) -> None:
    stream = b"".join(written("m", text, gap=gap, end=end) for text in texts)
    reader, found, position, turn = EventReader(), [], 0, 0
    while position < len(stream):
        size = cuts[turn % len(cuts)]
        found += reader.take(stream[position : position + size])
        position, turn = position + size, turn + 1
    assert [(one.name, json.loads(one.data)) for one in found] == [("m", text) for text in texts]


@pytest.mark.parametrize(
    ("text", "event"),
    [
        (b'id: 3\nevent: Message\ndata: {"a":1}\n\n', CozeEvent("Message", b'{"a":1}', "3")),
        (b'event:done\ndata:"[DONE]"\n\n', CozeEvent("done", b'"[DONE]"')),
        (b"event: PING\n\n", CozeEvent("PING", b"")),
        (b"data:one\ndata: two\ndata:  three\n\n", CozeEvent("", b"one\ntwo\n three")),
        (b": a comment\nretry: 5\nevent:x\ndata\n\n", CozeEvent("x", b"")),
        (b"\xef\xbb\xbfevent:x\ndata:1\n\n", CozeEvent("x", b"1")),
    ],
)
def test_fields_are_read_as_the_standard_has_them(text: bytes, event: CozeEvent) -> None:
    assert EventReader().take(text) == [event]


def test_comments_alone_are_no_events() -> None:
    assert EventReader().take(b": ping\n\n\n\n: ping\n\n") == []


def test_an_event_without_an_end_is_not_gathered_for_ever() -> None:
    reader = EventReader()
    assert reader.take(b"data:" + b"x" * EVENT_BYTES_MAX) == []
    assert reader.overlong
    assert reader.take(b"\n\nevent:x\ndata:1\n\n") == []


def test_bytes_that_are_no_text_are_an_event_all_the_same() -> None:
    (event,) = EventReader().take(b"event:\xff\ndata:\xfe\n\n")
    assert event.data == b"\xfe"

"""Events of a stream: cut wherever the network cuts, and written anew with other data."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jotgate.core.mcp_events import KEEP_ALIVE, EventCutter, data_of, event_of, with_data
from jotgate.errors import UpstreamTorn

_STREAM = b'event: message\ndata: {"a":1}\n\n: comment\r\n\r\nid: 4\r\ndata: {"b":\r\ndata: 2}\r\n\r\nretry: 5\n\n'


@given(st.lists(st.integers(0, len(_STREAM)), max_size=8))
def test_events_are_the_same_however_they_come(cuts: list[int]) -> None:
    cutter = EventCutter(1_000)
    places = [0, *sorted(cuts), len(_STREAM)]
    events = [event for at, to in itertools.pairwise(places) for event in cutter.feed(_STREAM[at:to])]
    assert [data_of(one) for one in events] == [b'{"a":1}', b"", b'{"b":\n2}', b""]
    assert b"".join(events) == _STREAM
    assert cutter.between


def test_an_event_without_end_is_not_held_for_ever() -> None:
    cutter = EventCutter(100)
    cutter.feed(b"data: " + b"x" * 50)
    assert not cutter.between
    with pytest.raises(UpstreamTorn):
        cutter.feed(b"x" * 60)


def test_other_data_leaves_the_rest_of_an_event() -> None:
    assert with_data(b"id: 4\r\nevent: message\r\ndata: old\r\n\r\n", b"new") == b"id: 4\nevent: message\ndata: new\n\n"
    assert data_of(event_of(b"{}")) == b"{}"
    assert data_of(KEEP_ALIVE) == b""

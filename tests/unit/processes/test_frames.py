"""A stream of bytes is cut into frames, wherever its pieces end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jotgate.processes.frames import FrameReader


def framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


@given(payloads=st.lists(st.binary(max_size=40), max_size=6), data=st.data())
def test_frames_come_whole_and_in_order_wherever_pieces_end(payloads: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(framed, payloads))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader, found = FrameReader(64), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += [bytes(payload) for payload in reader.feed(stream[start:end])]
    assert found == payloads


def test_a_frame_that_is_too_long_is_refused_before_it_has_come() -> None:
    reader = FrameReader(8)
    assert reader.feed(framed(b"12345678")) == [b"12345678"]
    with pytest.raises(ValueError, match="a frame of 9 bytes"):
        reader.feed((9).to_bytes(4, "big"))

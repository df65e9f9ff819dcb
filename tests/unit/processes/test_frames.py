"""A stream of bytes is cut into frames, wherever its pieces end; frames of one turn go out together."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jotgate.processes.frames import FrameReader, FrameWriter


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


def test_frames_of_one_turn_of_the_loop_are_written_together_and_in_order() -> None:
    async def play() -> None:
        written: list[bytes] = []
        writer = FrameWriter(written.append)
        writer.put(b"one ")
        writer.put(b"two")
        assert written == []
        await asyncio.sleep(0)
        assert written == [b"one two"]
        writer.put(b"three")
        writer.flush()
        await asyncio.sleep(0)
        assert written == [b"one two", b"three"]

    asyncio.run(play())

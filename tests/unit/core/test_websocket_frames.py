"""WebSocket frames are read as strictly as RFC 6455 s5 asks, whatever pieces they come in, and written as it says."""

import pytest

from jotgate.core.websocket_frames import (
    INVALID_DATA,
    NO_STATUS,
    PROTOCOL_ERROR,
    TOO_BIG,
    FrameReader,
    FrameRefused,
    Heard,
    is_key,
    mask,
    may_be_sent,
    write_close,
    write_frame,
)

KEY = b"\x01\x80\xff\x7e"


def reader(message_max: int = 1_000, *, masked: bool = True) -> FrameReader:
    return FrameReader(message_max, masked=masked)


def raw(first: int, payload: bytes = b"", *, second: int | None = None) -> bytes:
    """A masked frame with a first byte of one's own."""
    return bytes((first, 0x80 | len(payload) if second is None else second)) + KEY + mask(payload, KEY)


def test_a_masked_text_is_the_one_of_the_rfc() -> None:
    # RFC 6455 s5.7
    assert reader().feed(bytes.fromhex("818537fa213d7f9f4d5158")) == [Heard("text", b"Hello")]
    assert write_frame("text", b"Hello", bytes.fromhex("37fa213d")) == bytes.fromhex("818537fa213d7f9f4d5158")


def test_fragments_become_one_message_and_control_frames_pass_between_them() -> None:
    frames = raw(0x01, b"Hel") + raw(0x89, b"now") + raw(0x80, b"lo")
    assert reader().feed(frames) == [Heard("ping", b"now"), Heard("text", b"Hello")]


def test_a_servers_frames_are_not_masked() -> None:
    assert reader(masked=False).feed(write_frame("binary", b"\x00\xff")) == [Heard("binary", b"\x00\xff")]


@pytest.mark.parametrize("length", [0, 125, 126, 65_535, 65_536])
def test_each_form_of_a_length_is_written_and_read(length: int) -> None:
    payload = bytes(length)
    assert reader(65_536).feed(write_frame("binary", payload, KEY)) == [Heard("binary", payload)]


def test_a_character_may_be_cut_by_a_fragment() -> None:
    euro = "€".encode()
    assert reader().feed(raw(0x01, euro[:1]) + raw(0x80, euro[1:])) == [Heard("text", euro)]


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        pytest.param(raw(0xC1, b"x"), PROTOCOL_ERROR, id="reserved bit"),
        pytest.param(raw(0x83, b"x"), PROTOCOL_ERROR, id="reserved data opcode"),
        pytest.param(raw(0x8B, b"x"), PROTOCOL_ERROR, id="reserved control opcode"),
        pytest.param(write_frame("text", b"x"), PROTOCOL_ERROR, id="not masked"),
        pytest.param(raw(0x09, b"x"), PROTOCOL_ERROR, id="fragmented ping"),
        pytest.param(raw(0x89, b"", second=0xFE), PROTOCOL_ERROR, id="long ping"),
        pytest.param(raw(0x80, b"x"), PROTOCOL_ERROR, id="continuation of nothing"),
        pytest.param(raw(0x01, b"x") + raw(0x81, b"y"), PROTOCOL_ERROR, id="message within a message"),
        pytest.param(b"\x81\xfe\x00\x05" + KEY, PROTOCOL_ERROR, id="long form of a short length"),
        pytest.param(b"\x82\xff" + (65_535).to_bytes(8) + KEY, PROTOCOL_ERROR, id="longest form of a length"),
        pytest.param(b"\x82\xff" + (1 << 63).to_bytes(8) + KEY, PROTOCOL_ERROR, id="length with the highest bit"),
        pytest.param(raw(0x81, b"\xff"), INVALID_DATA, id="text that is not UTF-8"),
        pytest.param(raw(0x88, b"\x03"), PROTOCOL_ERROR, id="half a close code"),
        pytest.param(raw(0x88, b"\x03\xed"), PROTOCOL_ERROR, id="close with 1005"),
        pytest.param(raw(0x88, b"\x03\xe8\xff"), INVALID_DATA, id="close reason that is not UTF-8"),
        pytest.param(b"\x82\xfe\x03\xe9" + KEY, TOO_BIG, id="message too long"),
        pytest.param(raw(0x02, bytes(100)) + b"\x80\xfe\x03\xe8" + KEY, TOO_BIG, id="fragments too long together"),
    ],
)
def test_what_is_no_websocket_is_refused(frames: bytes, code: int) -> None:
    with pytest.raises(FrameRefused) as caught:
        reader().feed(frames)
    assert caught.value.code == code


def test_a_message_that_is_too_long_is_refused_by_its_head_alone() -> None:
    with pytest.raises(FrameRefused, match="longer than 1000 bytes"):
        reader().feed(b"\x82\xfe\x03\xe9")  # not even its mask is there


def test_nothing_is_read_behind_a_close_frame() -> None:
    assert reader().feed(write_close(4401, "expired", KEY) + raw(0xFF)) == [Heard("close", b"expired", 4401)]
    assert reader().feed(write_close(NO_STATUS, key=KEY)) == [Heard("close", b"", NO_STATUS)]


def test_a_long_reason_is_cut_between_characters() -> None:
    (heard,) = reader().feed(write_close(4403, "é" * 100, KEY))
    assert heard == Heard("close", ("é" * 61).encode(), 4403)


@pytest.mark.parametrize(
    ("code", "may"),
    [(1000, True), (1005, False), (1006, False), (1015, False), (2999, False), (4403, True), (5000, False)],
)
def test_codes_that_stand_for_something_are_not_sent(code: int, may: bool) -> None:
    assert may_be_sent(code) is may


@pytest.mark.parametrize(
    ("field", "good"),
    [(b"dGhlIHNhbXBsZSBub25jZQ==", True), (b"dGhlIHNhbXBsZSBub25jZR==", False), (b"dGhl", False), (b"", False)],
)
def test_a_key_is_sixteen_bytes_in_base64(field: bytes, good: bool) -> None:
    assert is_key(field) is good

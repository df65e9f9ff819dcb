"""However a stream of frames is cut, it is read alike, and as the library `websockets` reads it."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, PayloadTooBig, ProtocolError
from websockets.frames import OP_CLOSE, Frame
from websockets.protocol import SERVER, State
from websockets.protocol import Protocol as OracleProtocol

from jotgate.core.websocket_frames import FrameReader, FrameRefused, Heard, mask, write_frame

MESSAGE_MAX = 300
KINDS = {1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Mostly good frames of a client."""
    opcode = draw(st.sampled_from((0, 1, 1, 2, 9, 10)))
    payload = draw(
        st.binary(max_size=40) | st.text(max_size=20).map(str.encode) | st.binary(min_size=120, max_size=140)
    )
    fin = draw(st.sampled_from((0x80, 0x80, 0x00)))
    key = draw(st.binary(min_size=4, max_size=4))
    whole = write_frame("binary", payload, key)
    return bytes((fin | opcode,)) + whole[1:]


def read(pieces: list[bytes]) -> tuple[list[Heard], int]:
    """What is heard until it is refused, and the code of that; 0: it is not."""
    reader, heard = FrameReader(MESSAGE_MAX, masked=True), []
    for piece in pieces:
        for byte in piece:
            try:
                heard += reader.feed(bytes((byte,)))
            except FrameRefused as refusal:
                return heard, refusal.code
    return heard, 0


def oracle(raw: bytes) -> tuple[list[Heard], int]:
    """The same by the library, whose fragments are put together here."""
    protocol = OracleProtocol(SERVER, state=State.OPEN, max_size=MESSAGE_MAX)
    heard: list[Heard] = []
    message, kind = b"", ""
    for byte in raw:
        protocol.receive_data(bytes((byte,)))
        for event in protocol.events_received():
            assert isinstance(event, Frame)
            if event.opcode in (9, 10, OP_CLOSE):
                heard.append(Heard(KINDS[event.opcode], event.data))  # type: ignore[arg-type]
                continue
            kind = KINDS.get(event.opcode, kind)
            message += event.data
            if event.fin:
                if kind == "text":
                    try:
                        message.decode()
                    except UnicodeDecodeError:
                        return heard, 1007
                heard.append(Heard(kind, message))  # type: ignore[arg-type]
                message = b""
        fault = protocol.parser_exc
        if fault is not None:
            code = 1009 if isinstance(fault, PayloadTooBig) else 1002
            assert isinstance(fault, (PayloadTooBig, ProtocolError, ConnectionClosed))
            return heard, code
    return heard, 0


@given(st.lists(frames(), max_size=8))
def test_it_is_read_as_the_library_reads_it(some: list[bytes]) -> None:
    assert read(some) == oracle(b"".join(some))


@given(st.lists(frames(), max_size=8), st.lists(st.integers(min_value=0, max_value=500), max_size=6))
def test_where_it_is_cut_makes_no_difference(some: list[bytes], cuts: list[int]) -> None:
    raw = b"".join(some)
    whole, code = read([raw])
    reader, heard, places = (
        FrameReader(MESSAGE_MAX, masked=True),
        [],
        sorted({0, len(raw), *(c for c in cuts if c < len(raw))}),
    )
    found = 0
    for begin, end in pairwise(places):
        try:
            heard += reader.feed(raw[begin:end])
        except FrameRefused as refusal:
            found = refusal.code
            break
    assert found == code
    assert heard == whole[: len(heard)]
    if not code:
        assert heard == whole


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_a_mask_takes_itself_off(payload: bytes, key: bytes) -> None:
    assert mask(mask(payload, key), key) == payload
    assert mask(payload, key) == bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))

"""However a stream of frames is cut, it is read alike, and as the library `websockets` reads it."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import PayloadTooBig
from websockets.frames import OP_CLOSE, Frame
from websockets.protocol import SERVER, State
from websockets.protocol import Protocol as OracleProtocol

from jotgate.core.websocket_frames import FrameReader, FrameRefused, Heard, mask, write_frame

MESSAGE_MAX = 300
CONTROLS = (9, 10, OP_CLOSE)
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


class Oracle:
    """The same by the library, whose fragments are put together here."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self._message = b""
        self._kind = ""

    def take(self, frame: Frame) -> int:
        """Hear a frame; the code with which it is refused, or 0."""
        kind = KINDS.get(frame.opcode, self._kind)
        if frame.opcode in CONTROLS:
            self.heard.append(Heard(kind, frame.data))  # type: ignore[arg-type]
            return 0
        self._kind, self._message = kind, self._message + frame.data
        if not frame.fin:
            return 0
        if kind == "text" and not is_text(self._message):
            return 1007
        self.heard.append(Heard(kind, self._message))  # type: ignore[arg-type]
        self._message = b""
        return 0


def oracle(raw: bytes) -> tuple[list[Heard], int]:
    """What the library hears, and the code with which it refuses."""
    protocol, ears = OracleProtocol(SERVER, state=State.OPEN, max_size=MESSAGE_MAX), Oracle()
    for byte in raw:
        protocol.receive_data(bytes((byte,)))
        for event in protocol.events_received():
            assert isinstance(event, Frame)
            code = ears.take(event)
            if code:
                return ears.heard, code
        if protocol.parser_exc is not None:
            return ears.heard, 1009 if isinstance(protocol.parser_exc, PayloadTooBig) else 1002
    return ears.heard, 0


def is_text(message: bytes) -> bool:
    """Whether it is UTF-8."""
    return message == message.decode(errors="replace").encode()


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

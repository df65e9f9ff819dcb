"""The gateway's ports as values of a test: a clock that is set by hand, a caller, an upstream and a trail that record.

Each keeps its port's contract and fails the test that breaks it: nothing is written to a caller whose response has
ended, and no upstream is told anything after its answer.
"""

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from jotgate.core.audit import CallRecord, encode
from jotgate.core.calls import Outbound, ResponseHead
from jotgate.errors import UpstreamError
from jotgate.ports import Stopping, UpstreamEvents
from jotgate.socket_ports import Socket, SocketAsker, SocketEvents

_decode_record: Final = msgspec.json.Decoder(CallRecord).decode


class ManualClock:
    """Both clocks (ports.Clock), moved by `advance` alone; the civil one stands at a noon in 2027."""

    def __init__(self, now_s: float = 1_800_000_000.0, monotonic_s: float = 1_000.0) -> None:
        self._now_s = now_s
        self._monotonic_s = monotonic_s

    def now_s(self) -> float:
        return self._now_s

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def advance(self, span_s: float) -> None:
        """Let time pass on both clocks."""
        self._now_s += span_s
        self._monotonic_s += span_s

    def set_back(self, span_s: float) -> None:
        """Set the civil clock back, as somebody may; no time passes."""
        self._now_s -= span_s


def at_once(thing: Callable[[], None]) -> None:
    """Do now what an event loop would do soon."""
    thing()


class RecordingCaller:
    """A caller (ports.Caller) that keeps what it is sent, and takes one response only."""

    def __init__(self) -> None:
        self.state: Literal["waiting", "begun", "ended", "aborted"] = "waiting"
        self.status = 0
        self.lines = b""
        self.length: int | None = None
        self.pieces: list[bytes] = []

    @property
    def body(self) -> bytes:
        """All body bytes so far."""
        return b"".join(self.pieces)

    @property
    def headers(self) -> dict[str, str]:
        """The header fields by lower-case name; one that stands twice fails the test."""
        fields: dict[str, str] = {}
        for line in self.lines.decode("latin-1").splitlines():
            name, _, value = line.partition(": ")
            assert name.lower() not in fields, f"{name} stands twice"
            fields[name.lower()] = value
        return fields

    def respond(self, status: int, lines: bytes, body: bytes) -> None:
        self._begin(status, lines, len(body), body)
        self.state = "ended"

    def start(self, status: int, lines: bytes, length: int | None, piece: bytes) -> None:
        self._begin(status, lines, length, piece)

    def write(self, piece: bytes) -> None:
        self._require("begun")
        self.pieces.append(piece)

    def end(self, piece: bytes) -> None:
        self.write(piece)
        self.state = "ended"

    def abort(self) -> None:
        self._require("begun")
        self.state = "aborted"

    def _begin(self, status: int, lines: bytes, length: int | None, piece: bytes) -> None:
        self._require("waiting")
        assert not lines or lines.endswith(b"\r\n"), "a header line is open"
        self.state = "begun"
        self.status, self.lines, self.length = status, lines, length
        self.pieces.append(piece)

    def _require(self, state: str) -> None:
        assert self.state == state, f"the response is {self.state}, and must be {state}"


class ScriptedExchange:
    """One request at a `ScriptedPort` (ports.UpstreamExchange): the test answers it by hand.

    `stopping` is what comes of `stop`: with "over" nothing is under way, as at an upstream in process.
    """

    def __init__(self, outbound: Outbound, events: UpstreamEvents) -> None:
        self.outbound = outbound
        self.written = True
        self.aborted = False
        self.stopped = False
        self.stopping: Stopping = "over"
        self.paused = False
        self._events = events
        self._over = False

    def abort(self) -> None:
        self.aborted = True

    def stop(self) -> Stopping:
        self.stopped = True
        self.paused = False
        if self.stopping == "over":
            self.aborted = True
        return self.stopping

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def open(self, socket: Socket) -> SocketEvents:
        """Grant the WebSocket that is asked for."""
        assert isinstance(self._events, SocketAsker), "a WebSocket is asked for"
        return self._events.opened(socket)

    def answer(self, status: int, body: bytes = b"", content_type: bytes = b"application/json") -> None:
        """Answer at once and completely."""
        head = ResponseHead(status, [(b"content-type", content_type)], len(body))
        self.tell(head, body, complete=True)

    def stream(self, *pieces: bytes, content_type: bytes = b"text/event-stream", length: int | None = None) -> None:
        """Begin an answer of status 200 with these pieces."""
        head: ResponseHead | None = ResponseHead(200, [(b"content-type", content_type)], length)
        for piece in pieces:
            self.tell(head, piece, complete=False)
            head = None

    def tell(self, head: ResponseHead | None, piece: bytes, *, complete: bool) -> None:
        """Say exactly this; nothing once the exchange was aborted."""
        if not self._silent(complete):
            self._events.received(head, piece, complete)

    def fail(self, error: UpstreamError, *, written: bool) -> None:
        """Fail; nothing once the exchange was aborted."""
        if not self._silent(True):
            self._events.failed(error, written)

    def _silent(self, last: bool) -> bool:
        assert not self._over, "the exchange has ended"
        self._over = last
        return self.aborted


class ScriptedPort:
    """An upstream (ports.UpstreamPort) that records each request and lets the test answer it."""

    def __init__(self) -> None:
        self.exchanges: list[ScriptedExchange] = []

    @property
    def last(self) -> ScriptedExchange:
        """The newest exchange."""
        return self.exchanges[-1]

    def begin(self, outbound: Outbound, events: UpstreamEvents) -> ScriptedExchange:
        exchange = ScriptedExchange(outbound, events)
        self.exchanges.append(exchange)
        return exchange


class MemoryTrail:
    """An audit trail (ports.Trail) that keeps everything and says `full` and `crowded` as it is told."""

    def __init__(self) -> None:
        self.full = False
        self.crowded = False
        self.lines: list[bytes] = []
        self._rows = 0

    @property
    def records(self) -> list[CallRecord]:
        """The records so far."""
        return [_decode_record(line) for line in self.lines]

    @property
    def only(self) -> CallRecord:
        """The one record that there must be."""
        (record,) = self.records
        return record

    def append(self, record: CallRecord) -> None:
        self.lines.append(encode(record))

    def next_row(self) -> int:
        self._rows += 1
        return self._rows

"""One message to an MCP server on its way: sent as its plan says, its answer passed on or rewritten event by event.

Where nothing is rewritten the bytes pass as they come, however large the result. A stream that waits for news is kept
alive with comments and has no deadline of its own; it ends with its caller, its server or its token.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Raw, Struct

from jotgate.core.calls import Outbound, ResponseHead
from jotgate.core.mcp_answers import Asked, Rewriting, rewrite
from jotgate.core.mcp_events import KEEP_ALIVE, EventCutter, data_of, with_data
from jotgate.core.mcp_messages import TORN_FIELD
from jotgate.core.mcp_problems import render_mcp
from jotgate.core.problems import Problem
from jotgate.errors import JotgateError, UpstreamError, UpstreamTorn
from jotgate.gateway.admission import Call
from jotgate.gateway.headers import content_type, has_coding, request_id_line
from jotgate.gateway.relay import EVENT_STREAM, Relay
from jotgate.ports import Caller, Clock

_TO_CALLER: Final = frozenset({b"content-type", b"content-encoding", b"cache-control", b"retry-after", b"allow"})
_UNBUFFERED: Final = b"X-Accel-Buffering: no\r\n"
_MISSING: Final = 404
_NOTHING_MORE: Final = 202
_ERRORS: Final = 400
_TORN: Final = 502
_JSON: Final = b"application/json"
_OF_BODY: Final = frozenset({b"content-type", b"content-encoding"})
_ENDS: Final = (b"\n\n", b"\r\r", b"\n\r\n")


class Plan(Struct, frozen=True):
    """How a message is sent and what becomes of its answer.

    `how` None: the bytes pass. `waits`: the answer is a stream that stays open. `declines` is told of what a server
    asks its client that nobody answers, `renews` that the session in which this was sent is over: it sends the message
    again. `cancels` tells the server that the caller has gone, where the end of the connection does not.
    """

    method: bytes
    body: bytes
    lines: bytes
    identity: Raw | None = None
    how: Rewriting | None = None
    waits: bool = False
    declines: Callable[[Raw], None] | None = None
    renews: "Callable[[McpRelay], None] | None" = None
    cancels: Callable[[], None] | None = None
    message_bytes: int = 33_554_432
    keep_alive_s: float = 15.0
    metadata_url: str = ""


class McpRelay(Relay):
    """Mutable, as every Relay: what has come of an answer that is rewritten, and when the caller was written to.

    `reached`: the server may have seen the message, as far as is known.
    """

    __slots__ = ("_between", "_cutter", "_held", "_plan", "_told_s", "reached")

    def __init__(
        self,
        call: Call,
        caller: Caller,
        clock: Clock,
        *,
        settle: Callable[[Relay], None],
        plan: Plan,
    ) -> None:
        super().__init__(call, caller, clock, next_attempt=_go_nowhere, settle=settle)
        self._plan = plan
        self._cutter: EventCutter | None = None
        self._held: tuple[ResponseHead, bytearray] | None = None
        self._between = True
        self._told_s = 0.0
        self.reached = True

    def outbound(self, index: int) -> Outbound:  # noqa: ARG002 - there is one attempt
        """The message as the server is sent it."""
        plan = self._plan
        return Outbound(self.call.operation.name, plan.method, b"", plan.lines, plan.body)

    def received(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
        """Pass on what came, or what is made of it (ports.UpstreamEvents)."""
        if self._settled:
            return
        if head is not None and head.status == _MISSING and self._plan.renews is not None:
            exchange, self.exchange = self.exchange, None
            if exchange is not None:
                exchange.abort()
            self._plan.renews(self)
            return
        try:
            if head is not None and head.status == _TORN and any(name == TORN_FIELD for name, _ in head.headers):
                raise UpstreamTorn("the server's process has answered with what is no message")
            if self._plan.how is None:
                self._pass(head, piece, complete)
            else:
                self._rewrite(self._plan.how, head, piece, complete)
        except UpstreamTorn as torn:
            self._abort_exchange()
            self._fail(torn, "torn" if self._begun else "failed")

    def send_again(self, plan: Plan) -> None:
        """Send the message as this plan says, to the same server."""
        if self._settled or self.place is None:
            return
        self._plan = plan
        self.attempted(self.place, self.place.port.begin(self.outbound(0), self))

    def failed(self, error: UpstreamError, written: bool) -> None:
        """Tell the caller (ports.UpstreamEvents)."""
        self._held = None
        self.reached = written
        super().failed(error, written)

    def withdraw(self) -> None:
        """Stop the server: the caller has said that it wants no answer, and gets none."""
        if self._settled:
            return
        if self._plan.cancels is not None and self.exchange is not None:
            self._plan.cancels()
        self._abort_exchange()
        if self._begun:
            self._caller.end(b"")
        else:
            self.status = _NOTHING_MORE
            self._caller.respond(_NOTHING_MORE, request_id_line(self.call.request.request_id), b"")
        self._finish("cancelled")

    def caller_gone(self) -> None:
        """Stop the server: nobody reads its answer (ports.Running)."""
        if not self._settled and self._plan.cancels is not None and self.exchange is not None:
            self._plan.cancels()
        super().caller_gone()

    def check_deadlines(self, now_s: float) -> None:
        """Give the server up when a deadline has passed; show the caller of an open stream that it lives."""
        if self._settled:
            return
        if self._begun and self.streams:
            if self._between and not self._paused and now_s - self._told_s >= self._plan.keep_alive_s:
                self._told_s = now_s
                self._caller.write(KEEP_ALIVE)
            if self._plan.waits:
                return
        super().check_deadlines(now_s)

    # What the answer is made of

    def _pass(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
        if piece:
            self._between = piece.endswith(_ENDS)
            self._told_s = self._clock.monotonic_s()
        self._hand_on(head, piece, complete)

    def _hand_on(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
        payload = self.call.request.payload
        if payload is not None:
            payload.feed(piece)
        super().received(head, piece, complete)

    def _rewrite(self, how: Rewriting, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
        if head is not None:
            fault, streams = _fault_of(head.headers), content_type(head.headers) == EVENT_STREAM
            if fault and head.status >= _ERRORS:
                self._pass_status(head)
                return
            if fault and (piece or streams):
                raise UpstreamTorn(fault)
            if streams:
                self._cutter = EventCutter(self._plan.message_bytes)
                head = ResponseHead(head.status, head.headers, None)
            else:
                self._held = (head, bytearray())
        if self._cutter is None:
            self._gather(how, piece, complete)
        else:
            self._pass_events(self._cutter, how, head, piece, complete)

    def _pass_status(self, head: ResponseHead) -> None:
        """Tell the caller the status of an error whose text nobody here can read, without that text."""
        exchange = self.exchange
        fields = [field for field in head.headers if field[0] not in _OF_BODY]
        super().received(ResponseHead(head.status, fields, 0), b"", True)
        if exchange is not None:
            exchange.abort()

    def _gather(self, how: Rewriting, piece: bytes, complete: bool) -> None:
        if self._held is None:
            raise UpstreamTorn("the server's answer has a body and no head")
        head, text = self._held
        if piece and (fault := _fault_of(head.headers)):
            raise UpstreamTorn(fault)
        text += piece
        self._touched_s = self._clock.monotonic_s()
        if len(text) > self._plan.message_bytes:
            raise UpstreamTorn("the server's answer is too large")
        if not complete:
            return
        self._held = None
        made = rewrite(bytes(text), how) if text else b""
        if not isinstance(made, bytes):
            raise UpstreamTorn("the server's answer is no answer to what it was asked")
        self._pass(ResponseHead(head.status, head.headers, len(made)), made, complete=True)

    def _pass_events(
        self, cutter: EventCutter, how: Rewriting, head: ResponseHead | None, piece: bytes, complete: bool
    ) -> None:
        made = b"".join(self._remade(event, how) for event in cutter.feed(piece))
        if head is not None or made or complete:
            self._hand_on(head, made, complete)
            self._told_s = self._clock.monotonic_s() if made else self._told_s
        else:
            self._touched_s = self._clock.monotonic_s()

    def _remade(self, event: bytes, how: Rewriting) -> bytes:
        data = data_of(event)
        if not data:
            return event
        made = rewrite(data, how)
        if isinstance(made, Asked):
            if self._plan.declines is not None:
                self._plan.declines(made.identity)
            return b""
        return b"" if made is None else with_data(event, made)

    # How the caller is told

    def _listen(self, head: ResponseHead, piece: bytes, complete: bool) -> bytes:  # noqa: ARG002 - usage is none here
        lines = request_id_line(self.call.request.request_id)
        for name, value in head.headers:
            if name in _TO_CALLER:
                lines += b"%b: %b\r\n" % (name, value)
        self._told_s = self._clock.monotonic_s()
        return lines + _UNBUFFERED if self.streams else lines

    def _render(self, error: JotgateError) -> Problem:
        request_id = self.call.request.request_id
        return render_mcp(error, request_id, self._plan.metadata_url, self._plan.identity)


def _fault_of(headers: list[tuple[bytes, bytes]]) -> str:
    """Why a body with these headers could not be read, and so not be sifted; empty: it can be."""
    if has_coding(headers):
        return "the server's answer has a Content-Encoding, for which it was not asked"
    readable = content_type(headers) in (_JSON, EVENT_STREAM)
    return "" if readable else "the server's answer is neither JSON nor a stream of events"


def _go_nowhere(relay: Relay) -> bool:  # noqa: ARG001 - a message goes to its own server or to none
    return False

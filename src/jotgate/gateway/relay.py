"""Moves an upstream's answer to the caller, and settles the call exactly once.

Owns three deadlines (first byte, idle, total) and the pace of the stream: a slow caller slows the upstream. Bytes pass
unchanged; the usage tap reads alongside and cannot fail the call. After the first byte an error is told inside the
stream, because the status line is gone.
"""

from collections.abc import Callable
from typing import Final

from jotgate.core.audit import Outcome
from jotgate.core.calls import ResponseHead
from jotgate.core.problems import render
from jotgate.core.sse import UNKNOWN, StreamTap, UnaryTap
from jotgate.errors import JotgateError, NotReady, UpstreamError, UpstreamRefused, UpstreamTimeout, UpstreamTorn
from jotgate.gateway.admission import Call
from jotgate.gateway.headers import content_type, has_coding, lines_to_caller
from jotgate.gateway.world import Place
from jotgate.ports import Caller, Clock, UpstreamExchange

EVENT_STREAM: Final = b"text/event-stream"
# RFC 9110 s15.5.4, RFC 6585 s4: these say "not now" of this upstream, and nothing was done there.
_TRY_NEXT: Final = frozenset({429, 503})
_STATUS_CALLER_GONE: Final = 499


class Relay:
    """One admitted call on its way. Mutable: it is the state of a call in progress."""

    __slots__ = (
        "_begun",
        "_caller",
        "_clock",
        "_next",
        "_paused",
        "_settle",
        "_settled",
        "_tap",
        "_tellable",
        "_touched_s",
        "attempt",
        "bytes_out",
        "call",
        "code",
        "exchange",
        "outcome",
        "place",
        "status",
        "streams",
    )  # fmt: skip

    def __init__(
        self,
        call: Call,
        caller: Caller,
        clock: Clock,
        *,
        next_attempt: Callable[["Relay"], None],
        settle: Callable[["Relay"], None],
    ) -> None:
        self.call = call
        self.attempt = 0
        self.place: Place | None = None
        self.exchange: UpstreamExchange | None = None
        self.status = 0
        self.code = ""
        self.outcome: Outcome = "complete"
        self.streams = False
        self.bytes_out = 0
        self._caller = caller
        self._clock = clock
        self._next = next_attempt
        self._settle = settle
        self._tap: StreamTap | UnaryTap | None = None
        self._begun = False
        self._paused = False
        self._settled = False
        self._tellable = False
        self._touched_s = call.request.begun_s

    @property
    def usage(self) -> tuple[int | None, int | None]:
        """Tokens in and out as the upstream counted them so far."""
        usage = UNKNOWN if self._tap is None else self._tap.usage()
        return usage.prompt_tokens, usage.completion_tokens

    def attempted(self, place: Place, exchange: UpstreamExchange) -> None:
        """The request is on its way to this upstream."""
        self.place = place
        self.exchange = exchange
        self._touched_s = self._clock.monotonic_s()
        if self._paused:
            exchange.pause()

    # What the upstream says

    def received(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
        """Pass on what came (ports.UpstreamEvents)."""
        if self._settled:
            return
        self._touched_s = self._clock.monotonic_s()
        if head is None:
            if not self._begun:
                self.failed(UpstreamTorn("the upstream's answer has a body and no head"), written=True)
                return
            if complete:
                self._caller.end(piece)
            else:
                self._caller.write(piece)
        elif not self._begin(head, piece, complete):
            return
        if piece:
            self.bytes_out += len(piece)
            if self._tap is not None:
                self._tap.feed(piece)
        if complete:
            self._finish("complete")

    def failed(self, error: UpstreamError, written: bool) -> None:
        """Try the next upstream if this one never saw the request, else tell the caller (ports.UpstreamEvents)."""
        if self._settled:
            return
        if not self._begun and not written and self._has_next():
            self._next(self)
        else:
            self._fail(error, "torn" if self._begun else "failed")

    # What becomes of the caller

    def caller_gone(self) -> None:
        """Stop the upstream: nobody reads its answer (ports.Running)."""
        if self._settled:
            return
        self._abort_exchange()
        self.status = self.status or _STATUS_CALLER_GONE
        self._finish("caller_gone")

    def cancel(self) -> None:
        """Give the call up because jotgate stops: the caller is told, the call is settled."""
        if not self._settled:
            self._abort_exchange()
            self._fail(NotReady("jotgate is stopping", hint="Try again in a moment"), "cancelled")

    def caller_paused(self) -> None:
        """Slow the upstream down (ports.Running)."""
        self._paused = True
        if self.exchange is not None:
            self.exchange.pause()

    def caller_resumed(self) -> None:
        """Let the upstream go on (ports.Running)."""
        self._paused = False
        self._touched_s = self._clock.monotonic_s()
        if self.exchange is not None:
            self.exchange.resume()

    def check_deadlines(self, now_s: float) -> None:
        """Give the upstream up when one of its three deadlines has passed."""
        if self._settled or self.place is None:
            return
        upstream = self.place.upstream
        if now_s - self.call.request.begun_s > upstream.total_timeout_s:
            self._time_out("the whole answer took longer than the total deadline")
        elif not self._begun and now_s - self._touched_s > upstream.first_byte_timeout_s:
            self._time_out("the upstream sent nothing before the first-byte deadline")
        elif self._begun and not self._paused and now_s - self._touched_s > upstream.idle_timeout_s:
            self._time_out("the upstream fell silent for longer than the idle deadline")

    # How it ends

    def _begin(self, head: ResponseHead, piece: bytes, complete: bool) -> bool:
        """Open the answer; False when this head is not the caller's to see."""
        if head.status in _TRY_NEXT and self._has_next():
            self._abort_exchange()
            self._next(self)
            return False
        if not 200 <= head.status < 300 and (refusal := _misplaced(head.status)) is not None:
            self._abort_exchange()
            self._fail(refusal, "failed")
            return False
        self.status = head.status
        self.streams = content_type(head.headers) == EVENT_STREAM
        self._tap = StreamTap() if self.streams else UnaryTap()
        lines = lines_to_caller(head.headers, self.call.request.request_id)
        if complete:
            self._caller.respond(head.status, lines, piece)
        else:
            self._begun = True
            # Behind the end that a length or a coding promises, an error event would not be one.
            self._tellable = self.streams and head.length is None and not has_coding(head.headers)
            self._caller.start(head.status, lines, head.length, piece)
        return True

    def _has_next(self) -> bool:
        return self.attempt + 1 < len(self.call.route.attempts)

    def _time_out(self, what: str) -> None:
        self._abort_exchange()
        self._fail(UpstreamTimeout(what), "timeout")

    def _fail(self, error: JotgateError, outcome: Outcome) -> None:
        self.code = error.code
        problem = render(error)
        if not self._begun:
            self.status = problem.status
            request_id = self.call.request.request_id.encode("ascii")
            self._caller.respond(problem.status, b"X-Request-Id: %b\r\n" % request_id + problem.lines, problem.body)
        else:
            if self._tellable:
                # The answer may have broken off within a line: the empty line ends whatever event that was.
                self._caller.write(b"\n\ndata: %b\n\n" % problem.body)
            self._caller.abort()
        self._finish(outcome)

    def _abort_exchange(self) -> None:
        if self.exchange is not None:
            self.exchange.abort()
            self.exchange = None

    def _finish(self, outcome: Outcome) -> None:
        self._settled = True
        self.exchange = None
        self.outcome = outcome
        self._settle(self)


def _misplaced(status: int) -> UpstreamError | None:
    """What a status means that must not be passed on: it speaks of jotgate's own request, not of the caller's."""
    if status in (401, 403, 407):
        return UpstreamRefused(
            "the upstream refused jotgate's own credential",
            hint="Its operator must mend the upstream's credential",
        )
    if 300 <= status < 400:
        return UpstreamTorn("the upstream answered with a redirect, which is not followed")
    return None

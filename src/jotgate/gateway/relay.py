"""Moves an upstream's answer to the caller, and settles the call exactly once.

Owns three deadlines (first byte, idle, total) and the pace of the stream: a slow caller slows the upstream. Bytes pass
unchanged; the usage tap reads alongside and cannot fail the call. After the first byte an error is told inside the
stream, because the status line is gone.
"""

from collections.abc import Callable
from typing import Final

from jotgate.core.audit import Charge, Outcome, StepUse
from jotgate.core.calls import Outbound, Request, ResponseHead, write_body
from jotgate.core.chain_answers import total_usage
from jotgate.core.dialects import render_at
from jotgate.core.principals import Principal
from jotgate.core.problems import Problem, render
from jotgate.core.sse import UNKNOWN, StreamTap, UnaryTap, read_usage
from jotgate.errors import (
    ControlStale,
    Evidence,
    JotgateError,
    NotReady,
    QuotaStanding,
    Refusal,
    TokenError,
    UpstreamBusy,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamTorn,
)
from jotgate.gateway.admission import Call
from jotgate.gateway.headers import (
    content_type,
    has_coding,
    lines_to_caller,
    lines_to_upstream,
    request_id_line,
)
from jotgate.gateway.live_calls import Watch
from jotgate.gateway.standing import Standing
from jotgate.gateway.world import Place
from jotgate.ports import Caller, Clock, UpstreamExchange

EVENT_STREAM: Final = b"text/event-stream"
# RFC 9110 s15.5.4, RFC 6585 s4: these say "not now" of this upstream, and nothing was done there.
_TRY_NEXT: Final = frozenset({429, 503})
# These say that it may have been done, or half of it: only where the route takes that risk.
_TRY_NEXT_UNSAFE: Final = frozenset({500, 502, 504})
_TROUBLE: Final = min(_TRY_NEXT)
_STATUS_CALLER_GONE: Final = 499


class Relay:
    """One admitted call on its way. Mutable: it is the state of a call in progress.

    `charged` is what its quotas were charged, `spent` the one by which it was cut. A call that no quota meets is of
    this class, and has neither.
    """

    charged: Charge | None = None
    spent: QuotaStanding | None = None
    __slots__ = (
        "_begun",
        "_caller",
        "_clock",
        "_next",
        "_paused",
        "_sent_s",
        "_settle",
        "_settled",
        "_tap",
        "_tellable",
        "_touched_s",
        "_turn_by_s",
        "attempt",
        "bytes_out",
        "call",
        "code",
        "debug",
        "evidence",
        "exchange",
        "outcome",
        "place",
        "standing",
        "status",
        "steps",
        "streams",
        "tenant",
        "tried",
        "usage",
        "watch",
    )  # fmt: skip

    def __init__(
        self,
        call: Call,
        caller: Caller,
        clock: Clock,
        *,
        next_attempt: Callable[["Relay"], bool],
        settle: Callable[["Relay"], None],
    ) -> None:
        self.call = call
        self.attempt = 0
        self.tried = 0
        self.place: Place | None = None
        self.standing: Standing | None = None
        self.tenant: str | None = None  # whose call it is counted as there
        self.exchange: UpstreamExchange | None = None
        self.status = 0
        self.code = ""
        self.debug = ""
        self.evidence: Evidence | None = None
        self.outcome: Outcome = "complete"
        self.streams = False
        self.bytes_out = 0
        self.usage = UNKNOWN
        self.steps: tuple[StepUse, ...] = ()  # of a chain, those that have ended
        self.watch: Watch | None = None  # by what its token can end, once it has run for a moment
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
        self._sent_s = 0.0
        self._turn_by_s = 0.0

    def upstream_us(self) -> int:
        """Microseconds from the first upstream's being asked to the last piece that came; 0 when none was."""
        return int((self._touched_s - self._sent_s) * 1e6) if self._sent_s else 0

    @property
    def waits(self) -> bool:
        """Whether the call waits for an upstream to have room."""
        return self.place is None and self.exchange is not None

    def attempted(self, place: Place, exchange: UpstreamExchange) -> None:
        """The request is on its way to this upstream."""
        self.place = place
        self.standing = place.standing
        self.exchange = exchange
        self._touched_s = self._clock.monotonic_s()
        self._sent_s = self._sent_s or self._touched_s
        if self._paused:
            exchange.pause()

    def wait(self, turn: UpstreamExchange, until_s: float) -> None:
        """No upstream has room: the call waits for its turn. The first wait's end is that of all of them."""
        self.place = None
        self.exchange = turn
        self._turn_by_s = self._turn_by_s or until_s

    def refuse(self, error: JotgateError) -> None:
        """No upstream of the route takes the call, it may not be sent any more, or jotgate failed to send it."""
        self._abort_exchange()
        self._fail(error, "refused")

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
        if error.counts:
            self._note_failure(self._clock.monotonic_s())
        if self._begun or (written and not self.call.route.retry_unsafe) or not self._next(self):
            self._fail(error, "torn" if self._begun else _outcome_of(error))

    @property
    def caller_tenant(self) -> str:
        """Whose call it is (ports.StepEvents)."""
        return self.call.principal.tenant

    @property
    def principal(self) -> Principal:
        """Whose call it is (ports.CallerEvents)."""
        return self.call.principal

    @property
    def request(self) -> Request:
        """The request by which it was made (ports.CallerEvents)."""
        return self.call.request

    def stepped(self, use: StepUse) -> None:
        """Take down what a step of a chain has used (ports.StepEvents)."""
        self.steps += (use,)

    # What becomes of the caller

    def caller_gone(self) -> None:
        """Stop the upstream: nobody reads its answer (ports.Running)."""
        if self._settled:
            return
        self._abort_exchange()
        self.status = self.status or _STATUS_CALLER_GONE
        self._finish("caller_gone")

    def cut(self, refusal: TokenError | ControlStale) -> None:
        """End the call, as its token has ended or may have: the upstream is asked no longer, and the caller is told."""
        if not self._settled:
            self._abort_exchange()
            self.evidence = refusal.evidence
            self._fail(refusal, "cut")

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
        if self._settled:
            return
        if self.place is None:
            if self.waits and now_s > self._turn_by_s:
                self.refuse(UpstreamBusy("no upstream of this model had room in time", hint="Try again in a moment"))
            return
        upstream = self.place.upstream
        if now_s - self.call.request.begun_s > upstream.total_timeout_s:
            self._time_out("the whole answer took longer than the total deadline")
        elif not self._begun and now_s - self._touched_s > upstream.first_byte_timeout_s:
            self._note_failure(now_s)
            if not self.call.route.retry_unsafe or not self._next(self):
                self._time_out("the upstream sent nothing before the first-byte deadline")
        elif self._begun and not self._paused and now_s - self._touched_s > upstream.idle_timeout_s:
            self._note_failure(now_s)
            self._time_out("the upstream fell silent for longer than the idle deadline")

    def outbound(self, index: int) -> Outbound:
        """The request as the upstream of this attempt is sent it."""
        call, request = self.call, self.call.request
        return Outbound(
            operation=call.operation.name,
            method=request.method,
            target=request.path,
            lines=lines_to_upstream(request.headers, request.request_id),
            body=write_body(call.body, call.route.attempts[index].model),
            stream=call.body.stream,
            allowance=call.body.allowance,
        )

    # How it ends

    def _begin(self, head: ResponseHead, piece: bytes, complete: bool) -> bool:
        """Open the answer; False when this head is not the caller's to see."""
        standing = self.standing
        if (
            standing is not None
            and (head.status >= _TROUBLE or not standing.clear)
            and self._goes_elsewhere(head, standing)
        ):
            return False
        if not 200 <= head.status < 300 and (refusal := _misplaced(head.status)) is not None:
            self._abort_exchange()
            self._fail(refusal, "failed")
            return False
        self.status = head.status
        self.streams = content_type(head.headers) == EVENT_STREAM
        lines = self._listen(head, piece, complete)
        if complete:
            self._caller.respond(head.status, lines, piece)
        else:
            self._begun = True
            # Behind the end that a length or a coding promises, an error event would not be one.
            self._tellable = self.streams and head.length is None and not has_coding(head.headers)
            self._caller.start(head.status, lines, head.length, piece)
        return True

    def _listen(self, head: ResponseHead, piece: bytes, complete: bool) -> bytes:
        """Begin to read the usage alongside; the header lines for the caller."""
        if self.streams:
            self._tap = StreamTap()
        elif complete:
            self.usage = read_usage(piece)
        else:
            self._tap = UnaryTap()
        return lines_to_caller(head.headers, self.call.request.request_id)

    def _goes_elsewhere(self, head: ResponseHead, standing: Standing) -> bool:
        """Take down what this head says of the upstream; whether another one is asked instead."""
        route = self.call.route
        standing.answered(head, route.attempts[self.attempt].model, self._clock)
        again = head.status in _TRY_NEXT or (route.retry_unsafe and head.status in _TRY_NEXT_UNSAFE)
        return again and self._next(self)

    def _note_failure(self, now_s: float) -> None:
        if self.standing is not None:
            self.standing.failed(now_s)

    def _time_out(self, what: str) -> None:
        self._abort_exchange()
        self._fail(UpstreamTimeout(what), "timeout")

    def _fail(self, error: JotgateError, outcome: Outcome) -> None:
        self.code = error.code
        self.debug = error.debug
        problem = self._render(error)
        if not self._begun:
            self.status = problem.status
            lines = request_id_line(self.call.request.request_id) + problem.lines
            self._caller.respond(problem.status, lines, problem.body)
        else:
            if self._tellable:
                # The answer may have broken off within a line: the empty line ends whatever event that was.
                self._caller.write(b"\n\ndata: %b\n\n" % problem.body)
            self._caller.abort()
        self._finish(outcome)

    def _render(self, error: JotgateError) -> Problem:
        """How the caller is told of an error; in a stream all are told alike: its events are those of OpenAI."""
        request = self.call.request
        if request.face and not self._begun:
            return render_at(request.path, error, request.request_id, face=request.face)
        return render(error, request.request_id, self.call.world.metadata_url)

    def _abort_exchange(self) -> None:
        if self.exchange is not None:
            self.exchange.abort()
            self.exchange = None
        self._leave()

    def _leave(self) -> None:
        standing = self.standing
        if standing is not None:
            tenant, self.standing, self.tenant = self.tenant, None, None
            standing.leave(tenant)

    def _finish(self, outcome: Outcome) -> None:
        self._settled = True
        self.exchange = None
        self.outcome = outcome
        if self._tap is not None:
            self.usage = self._tap.usage()
        if self.steps:
            self.usage = total_usage(self.steps)
        self._settle(self)
        self._leave()


def _outcome_of(error: UpstreamError) -> Outcome:
    """How a call ends that no upstream has answered: it may be the caller's fault (ChainCallRefused)."""
    return "refused" if isinstance(error, Refusal) else "failed"


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

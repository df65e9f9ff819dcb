"""A call that quotas meet, on its way: what it reserves as its stream grows, and what it is charged when it ends.

Every ending settles once. What an upstream says of its usage is charged. Where it says nothing, what was sent is
counted so that no token is missed, and what may have been made without anybody hearing of it is charged up to what was
reserved. An upstream that refused did nothing, and one that was never reached saw nothing.
"""

from collections.abc import Callable
from typing import Final

from msgspec import structs

from jotgate.core.audit import Charge, Outcome
from jotgate.core.calls import ResponseHead
from jotgate.core.sse import UnaryTap
from jotgate.core.stream_counts import PlainCount, StreamCount, said_by
from jotgate.errors import JotgateError, QuotaUnavailable, UnitsUnresolved, UpstreamError, UpstreamTorn
from jotgate.gateway.admission import Call
from jotgate.gateway.charging import Heard, charge
from jotgate.gateway.draining import Drain
from jotgate.gateway.headers import content_type, has_coding
from jotgate.gateway.metered_steps import SteppedRelay
from jotgate.gateway.relay import EVENT_STREAM, Relay
from jotgate.gateway.reserving import Reserved, reserve_call
from jotgate.gateway.world import Place
from jotgate.ports import Caller, Clock, UpstreamExchange

_ENCODED: Final = "the upstream's stream has a coding that nobody asked for, and cannot be counted"
_TOO_LONG: Final = "the call waited for longer than what it had reserved was held"


class UncountedRelay(Relay):
    """A call that is let through although nobody can say what is left of its quotas: its route says so."""

    charged = Charge(uncounted=True)


class MeteredRelay(SteppedRelay):
    """A call with a reservation. Mutable, as every Relay.

    A stream whose caller has been told its end is settled when its upstream has ended too, or was listened to for long
    enough.
    """

    __slots__ = (
        "_after",
        "_coded",
        "_drain",
        "_heard_out",
        "_lost",
        "_made",
        "_original",
        "_reached",
        "_silent",
        "_whole",
        "charged",
    )

    def __init__(
        self,
        call: Call,
        caller: Caller,
        clock: Clock,
        *,
        next_attempt: Callable[[Relay], bool],
        settle: Callable[[Relay], None],
        reserved: Reserved,
    ) -> None:
        super().__init__(call, caller, clock, next_attempt=next_attempt, settle=settle)
        self.charged: Charge | None = None
        self.spent = None
        self._original = call
        self._count = None
        self._flows_s = self._covered_s = 0.0
        self._held = self._at_last = self._stepless = False
        self._waiting = 0
        self._ending = None
        self._silent = False  # nothing was heard of the upstream that was asked last
        self._reached = False  # an upstream has seen the call
        self._lost = 0  # so many upstreams may have done all of it, and nobody will hear of it
        self._made = False  # the answer that is passed on is one, and no refusal
        self._coded = False  # it has a coding, so that its bytes are not its text
        self._whole = b""  # an answer that came at once
        self._drain: Drain | None = None  # what is still heard of an upstream whose caller is not there any more
        self._heard_out = False  # the upstream has ended after that
        self._after = 0  # so much may have been under way when nobody listened any more
        self._take(reserved)
        self._write_for(call.world.places[call.route.attempts[0].upstream])

    def may_send(self, place: Place) -> bool:
        """Whether the call may be sent to this upstream now; if not, it has been refused.

        It is asked of all sending but the first, which follows on reserving.
        """
        self._give_up()
        if not self._reserved.reservation.live(self._clock.monotonic_s()) and not self._reserve_anew():
            return False
        self._write_for(place)
        return True

    def attempted(self, place: Place, exchange: UpstreamExchange) -> None:
        """The request is on its way to this upstream."""
        self._silent = True
        super().attempted(place, exchange)

    # What the upstream says, and what becomes of the caller

    def received(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
        """Pass on what came, but for what nobody asked for, and reserve what may come next (ports.UpstreamEvents)."""
        if self._settled:
            self._take_rest(head, piece, complete=complete)
            return
        if head is not None:
            if not self._meet(head):
                return
            if complete:
                self._whole = piece
        count = self._count
        if count is None:
            super().received(head, piece, complete)
            return
        passed = count.take(piece, complete)
        if passed or complete or head is not None:
            super().received(head, passed, complete)
            if isinstance(count, StreamCount):
                self._tap = None  # The count has read all of it, also what was kept back.
        else:
            self._touched_s = self._clock.monotonic_s()
        if not self._settled:
            self._go_on()

    def failed(self, error: UpstreamError, written: bool) -> None:
        """Try the next upstream, or tell the caller (ports.UpstreamEvents)."""
        if self._settled:
            self._end_drain(heard_out=True)
            return
        if self._silent and written:
            self._reached = True
            self._lost += 1
        self._silent = False
        super().failed(error, written)

    def caller_resumed(self) -> None:
        """Let the upstream go on, unless it waits for a step (ports.Running)."""
        if self._held:
            self._paused = False
        else:
            super().caller_resumed()

    def check_deadlines(self, now_s: float) -> None:
        """Give the upstream up when one of its deadlines has passed; it is not silent while it is held.

        So is a call whose connection is still being made when what it has reserved may not be spent any more.
        """
        if self._drain is not None:
            if self._drain.is_over(now_s):
                self._end_drain(heard_out=False)
            return
        if self._held and not self._settled:
            span_s, self._touched_s = now_s - self._touched_s, now_s
            self._look_while_held(span_s)
        connecting = self._silent and self.exchange is not None and not self.exchange.written
        if connecting and not self._settled and not self._reserved.reservation.live(now_s):
            self.refuse(QuotaUnavailable(_TOO_LONG))
        else:
            super().check_deadlines(now_s)

    def refuse(self, error: JotgateError) -> None:
        """The call may not be sent any more, or jotgate failed to send it."""
        if self._settled:
            self._end_drain(heard_out=False)
        else:
            super().refuse(error)

    def cancel(self) -> None:
        """Give the call up because jotgate stops: there is no time to hear what its upstream has sent."""
        if self._settled:
            self._end_drain(heard_out=False)
            return
        self._after = self._margin()
        self._give_up()
        super()._abort_exchange()
        super().cancel()

    # What it is sent with

    def _write_for(self, place: Place) -> None:
        body = self._reserved.body_for(self._original, place.upstream)
        if body is not self.call.body:
            self.call = structs.replace(self.call, body=body)

    def _reserve_anew(self) -> bool:
        """Reserve again, as the leases ran out before the call was sent; if that cannot be, it is refused."""
        refusal: JotgateError = QuotaUnavailable(_TOO_LONG)
        if not self._lost:
            self._reserved.reservation.void()
            try:
                reserved = reserve_call(self._original, self._reserved.quotas, self._clock.monotonic_s())
            except UnitsUnresolved as unresolved:
                refusal = unresolved.verdict
            except JotgateError as found:
                refusal = found
            else:
                if reserved is not None:
                    self._take(reserved)
                    return True
        self.refuse(refusal.with_traceback(None))
        return False

    # How it ends

    def _meet(self, head: ResponseHead) -> bool:
        """See what kind of answer begins; False when it cannot be passed on, and the call has ended."""
        self._hear(head)
        if self._coded and self._count is not None:
            self._made, self._count = False, None
            self._lost += 1
            self._abort_exchange()
            self._fail(UpstreamTorn(_ENCODED), "failed")
            return False
        return True

    def _hear(self, head: ResponseHead) -> None:
        """Begin to count an answer that has to be counted while it comes."""
        self._silent, self._reached = False, True
        self._made = 200 <= head.status < 300
        if not self._made:
            return
        self._coded = has_coding(head.headers)
        before = sum(use.tokens_out for use in self.steps)
        if content_type(head.headers) == EVENT_STREAM:
            # A length that was promised has to be kept.
            hides_usage = not self._reserved.measure.tells_usage and head.length is None
            self._count = StreamCount(hides_usage=hides_usage, before=before)
        elif self._reserved.measure.streams:
            self._count = PlainCount(before=before)
        else:
            return
        self._flows_s = self._clock.monotonic_s()
        self._reserved.reservation.on_news(self._take_news)

    def _give_up(self) -> None:
        """The upstream that was asked last is asked no longer: what it did, if it saw the call, nobody will hear."""
        if self._silent and self.exchange is not None and self.exchange.written:
            self._reached = True
            self._lost += 1
        self._silent = False

    def _abort_exchange(self) -> None:
        """Stop the upstream. What it has sent of a stream is counted before the call is settled."""
        exchange = self.exchange
        comes = self._count is not None or (self._silent and self._reserved.measure.streams)
        if comes and exchange is not None and exchange.written:
            stopping = exchange.stop()
            if stopping != "over":
                self.exchange = None
                self._drain = Drain(exchange, stopping, self._clock.monotonic_s(), self._seen())
                return
        self._give_up()
        super()._abort_exchange()

    def _take_rest(self, head: ResponseHead | None, piece: bytes, *, complete: bool) -> None:
        """Count what comes when the caller is not there any more."""
        drain = self._drain
        if drain is None:
            return
        if head is not None:
            self._hear(head)
        if self._count is not None:
            self._count.take(piece, complete)
        if complete or drain.take(len(piece)):
            self._end_drain(heard_out=complete)

    def _end_drain(self, *, heard_out: bool) -> None:
        """Settle a call whose caller was told its end before; `heard_out`: its upstream has ended."""
        drain, self._drain = self._drain, None
        if drain is None:
            return
        if self._silent or (self._coded and self._count is not None):
            self._silent, self._made = False, False
            self._reached = True
            self._lost += 1
        self._heard_out = heard_out
        if not heard_out:
            drain.close()
            # Whoever goes on sending has sent about as much again.
            self._after = max(self._margin(), self._seen() - drain.seen)
        self._finish(self.outcome)

    def _finish(self, outcome: Outcome) -> None:
        if self._drain is not None:
            self._settled, self.outcome = True, outcome
            return
        if isinstance(self._count, StreamCount):
            self.usage = self._count.usage
        elif self._tap is not None:
            self.usage = self._tap.usage()
        if self.steps or self._reached:
            self.charged = charge(self._reserved, self._heard(whole=outcome == "complete"), self.call.route.metering)
        else:
            self._reserved.reservation.void()
        self._tap, self._whole = None, b""
        super()._finish(outcome)
        del self._reserved  # It names this call: what names one another, only the collector can take away.

    def _heard(self, *, whole: bool) -> Heard:
        said = None
        if whole and self.usage.completion_tokens is None and not (self._coded or isinstance(self._count, StreamCount)):
            text = self._tap.text() if isinstance(self._tap, UnaryTap) else self._whole
            said = said_by(text) or self.bytes_out
        return Heard(
            attempt=self.attempt,
            made=self._made,
            whole=whole,
            lost=self._lost,
            usage=self.usage,
            steps=self.steps,
            count=self._count,
            said=said,
            margin=0 if self._heard_out else self._margin(),
            after=self._after,
        )

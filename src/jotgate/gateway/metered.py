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
from jotgate.core.stream_counts import StreamCount
from jotgate.errors import (
    JotgateError,
    QuotaExceeded,
    QuotaStanding,
    QuotaUnavailable,
    UnitsUnresolved,
    UpstreamError,
    UpstreamTorn,
)
from jotgate.gateway.admission import Call
from jotgate.gateway.headers import content_type, has_coding
from jotgate.gateway.relay import EVENT_STREAM, Relay
from jotgate.gateway.reserving import OUT_OF_REACH, Reserved, refusal_of_step, reserve_call, used_by_steps
from jotgate.gateway.steps import next_step
from jotgate.gateway.world import Place
from jotgate.ports import Caller, Clock, UpstreamExchange
from jotgate.services.meter import PATIENCE_S
from jotgate.services.meter_reservations import Used

UNDER_WAY_SHARE: Final = 8
"""Such a part of its step a stream that ends unheard is charged beside what came: it may have been under way."""

_PACE_KNOWN_S: Final = 1.0
_OF_TOKENS: Final = frozenset({"output_tokens", "total_tokens"})
_ENCODED: Final = "the upstream's stream has a coding that nobody asked for, and cannot be counted"
_TOO_LONG: Final = "the call waited for longer than what it had reserved was held"
_SLOT_LOST: Final = "the call lost its place among those that run at once: nobody could renew it"


class UncountedRelay(Relay):
    """A call that is let through although nobody can say what is left of its quotas: its route says so."""

    charged = Charge(uncounted=True)


class MeteredRelay(Relay):
    """A call with a reservation. Mutable, as every Relay; `spent` is the quota by which it was cut, if it was."""

    __slots__ = (
        "_at_last",
        "_count",
        "_ending",
        "_flows_s",
        "_held",
        "_lost",
        "_made",
        "_original",
        "_reached",
        "_reserved",
        "_silent",
        "_stepless",
        "_waiting",
        "charged",
        "spent",
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
        self.spent: QuotaStanding | None = None
        self._original = call
        self._count: StreamCount | None = None
        self._flows_s = 0.0  # since when the stream comes
        self._silent = False  # nothing was heard of the upstream that was asked last
        self._reached = False  # an upstream has seen the call
        self._lost = 0  # so many upstreams may have done all of it, and nobody will hear of it
        self._made = False  # the answer that is passed on is one, and no refusal
        self._held = False  # the upstream is paused until a step is reserved
        self._waiting = 0  # so large a step is asked for
        self._at_last = False  # all that was left is asked for
        self._stepless = False  # no further step is asked for
        self._ending: JotgateError | None = None  # for what the stream is cut when its last step is used
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
        if self._settled or (head is not None and not self._meet(head)):
            return
        count = self._count
        if count is None:
            super().received(head, piece, complete)
            return
        passed = count.take(piece, complete)
        if passed or complete or head is not None:
            super().received(head, passed, complete)
            self._tap = None  # The count has read all of it, also what was kept back.
        else:
            self._touched_s = self._clock.monotonic_s()
        if not self._settled:
            self._go_on()

    def failed(self, error: UpstreamError, written: bool) -> None:
        """Try the next upstream, or tell the caller (ports.UpstreamEvents)."""
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
        if self._held:
            self._touched_s = now_s
        connecting = self._silent and self.exchange is not None and not self.exchange.written
        if connecting and not self._settled and not self._reserved.reservation.live(now_s):
            self.refuse(QuotaUnavailable(_TOO_LONG))
        else:
            super().check_deadlines(now_s)

    # What it reserves

    def _take(self, reserved: Reserved) -> None:
        self._reserved = reserved
        if reserved.reservation.plan.slotted:
            reserved.reservation.on_slot_lost(self._lose_slot)

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

    def _go_on(self) -> None:
        """Reserve further steps while less than half of one is left, or than comes while one is waited for.

        The upstream is paused when nothing is.
        """
        if not self._waiting:
            self._reserve(self._next_step())
        left = self._left()
        if self._ending is not None and left <= self._margin():
            self._cut(self._ending)
        elif self._waiting and left <= self._margin():
            self._hold()
        else:
            self._release()

    def _next_step(self) -> int:
        """How many tokens are to be reserved now; 0: none. A stream whose caller set a ceiling takes no more."""
        if self._stepless:
            return 0
        step = self.call.route.metering.output_step
        size = next_step(self._reserved.reservation, step, self._left(), self._wait_worth(), self._margin())
        ceiling, reserved = self._reserved.measure.output_tokens, self._reserved.reservation.output_tokens
        hidden = self.call.route.metering.hidden_output
        return size if ceiling is None else max(0, min(size, ceiling + hidden - reserved))

    def _wait_worth(self) -> int:
        """By how much the stream grows while it waits for a step; one that is held goes on upstream, unheard."""
        flowing_s = self._touched_s - self._flows_s
        if self._count is None or flowing_s < _PACE_KNOWN_S:
            return 0
        return self._margin() + int(self._count.seen * PATIENCE_S / flowing_s)

    def _reserve(self, size: int) -> None:
        """Reserve this much, and on until there is enough; what waits is asked for again when there is news."""
        reservation = self._reserved.reservation
        while size:
            became = reservation.extend(size, self._reserved.cost_of_step(size))
            if became == "waiting":
                self._waiting = size
                return
            if became == "granted":
                size = self._next_step()
            elif reservation.unavailable or not (size := self._last_step(size)):
                self._meet_refusal(unavailable=reservation.unavailable)
                return

    def _last_step(self, refused: int) -> int:
        """What is left where a whole step is not, if that is worth a step, once; else 0."""
        standings = self._reserved.reservation.standings()
        left = min((one.limit - one.spent for one in standings if one.unit in _OF_TOKENS), default=refused // 2)
        if self._at_last or not self._margin() < left < refused:
            return 0
        self._at_last = True
        return left

    def _meet_refusal(self, *, unavailable: bool) -> None:
        """Decide what becomes of a stream to which a step was refused."""
        rules = self.call.route.metering
        if not unavailable:
            self._stepless = True
            if rules.quota_spent == "cut":
                self._ending = refusal_of_step(self._reserved.reservation.standings())
        elif rules.quota_outage == "open":
            self._stepless = True
        elif self._left() <= self._margin():  # Before, it is asked again with what comes next: an outage may end.
            self._ending = QuotaUnavailable(OUT_OF_REACH)

    def _left(self) -> int:
        return self._reserved.reservation.output_tokens - (0 if self._count is None else self._count.seen)

    def _margin(self) -> int:
        """What may be under way from an upstream, beside what came."""
        step = self.call.route.metering.output_step
        return min(step, self._reserved.reservation.output_tokens) // UNDER_WAY_SHARE

    def _take_news(self) -> None:
        # Later: whoever tells is in the midst of its work.
        self._reserved.quotas.soon(self._ask_again)

    def _ask_again(self) -> None:
        size, self._waiting = self._waiting, 0
        if size and not self._settled:
            self._reserve(size)
            self._go_on()

    def _lose_slot(self) -> None:
        self._reserved.quotas.soon(self._end_without_slot)

    def _end_without_slot(self) -> None:
        if not self._settled and self.call.route.metering.quota_outage != "open":
            self._cut(QuotaUnavailable(_SLOT_LOST))

    def _hold(self) -> None:
        if not self._held and self.exchange is not None:
            self._held = True
            self.exchange.pause()

    def _release(self) -> None:
        if self._held:
            self._held = False
            self._touched_s = self._clock.monotonic_s()
            if self.exchange is not None and not self._paused:
                self.exchange.resume()

    # How it ends

    def _meet(self, head: ResponseHead) -> bool:
        """See what kind of answer begins; False when it cannot be passed on, and the call has ended."""
        self._silent, self._reached = False, True
        self._made = 200 <= head.status < 300
        if not self._made or content_type(head.headers) != EVENT_STREAM:
            return True
        if has_coding(head.headers):
            self._made = False
            self._lost += 1
            self._abort_exchange()
            self._fail(UpstreamTorn(_ENCODED), "failed")
            return False
        # A length that was promised has to be kept.
        self._flows_s = self._clock.monotonic_s()
        self._reserved.reservation.on_news(self._take_news)
        self._count = StreamCount(
            hides_usage=not self._reserved.measure.tells_usage and head.length is None,
            before=sum(use.tokens_out for use in self.steps),
        )
        return True

    def _cut(self, refusal: JotgateError) -> None:
        self._abort_exchange()
        if isinstance(refusal, QuotaExceeded):
            self.spent = refusal.standing
        self._fail(refusal, "cut")

    def _give_up(self) -> None:
        """The upstream that was asked last is asked no longer: what it did, if it saw the call, nobody will hear."""
        if self._silent and self.exchange is not None and self.exchange.written:
            self._reached = True
            self._lost += 1
        self._silent = False

    def _abort_exchange(self) -> None:
        self._give_up()
        super()._abort_exchange()

    def _finish(self, outcome: Outcome) -> None:
        if self._count is not None:
            self.usage = self._count.usage
        elif self._tap is not None:
            self.usage = self._tap.usage()
        self._tap = None
        self.charged = self._settle_units(whole=outcome == "complete")
        super()._finish(outcome)
        del self._reserved  # It names this call: what names one another, only the collector can take away.

    def _settle_units(self, *, whole: bool) -> Charge | None:
        """Charge what was used, or give everything back when no upstream has seen the call."""
        reservation = self._reserved.reservation
        if self.steps:
            tokens_in, tokens_out, cost = used_by_steps(self.steps)
        elif self._reached:
            tokens_in, tokens_out, cost = self._use(whole=whole)
        else:
            reservation.void()
            return None
        forgiven = 0
        if self.call.route.metering.quota_spent == "soft":
            most_in, most_out = reservation.input_tokens, reservation.output_tokens
            forgiven = max(0, tokens_in - most_in) + max(0, tokens_out - most_out)
            tokens_in, tokens_out, cost = (
                min(tokens_in, most_in),
                min(tokens_out, most_out),
                min(cost, reservation.cost),
            )
        overrun = reservation.settle(Used(input_tokens=tokens_in, output_tokens=tokens_out, cost=cost))
        return Charge(tokens_in, tokens_out, cost, forgiven or overrun, forgiven=forgiven > 0)

    def _use(self, *, whole: bool) -> tuple[int, int, int]:
        """The tokens and nanodollars of the answer, and of what may have been made unheard."""
        reserved = self._reserved
        tokens_in = tokens_out = cost = 0
        if self._made:
            tokens_in, tokens_out = self._answer(whole=whole)
            cost = reserved.cost_at(self.attempt, tokens_in, tokens_out)
        if self._lost:
            most_in, most_out = reserved.measure.input_tokens, reserved.reservation.output_tokens
            tokens_in += self._lost * most_in
            tokens_out += self._lost * most_out
            cost += self._lost * reserved.cost_at(self.attempt, most_in, most_out)
        return tokens_in, tokens_out, cost

    def _answer(self, *, whole: bool) -> tuple[int, int]:
        """The tokens of input and output that the answer has cost."""
        measured, usage, count = self._reserved.measure, self.usage, self._count
        reserved = self._reserved.reservation.output_tokens
        tokens_in = measured.input_tokens if usage.prompt_tokens is None else usage.prompt_tokens
        told = usage.completion_tokens
        if not measured.answers:
            return tokens_in, told or 0
        if count is None:
            if told is None:
                told = min(self.bytes_out, reserved) if whole else reserved
        elif not (whole or count.final):
            # No usage that was told before the end is that of the whole answer.
            told = max(count.seen, min(count.most + self._margin(), reserved))
        elif told is None:
            told = count.most if measured.output_tokens is None else min(count.most, measured.output_tokens)
        return tokens_in, told

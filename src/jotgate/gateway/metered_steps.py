"""What a call that quotas meet reserves as its stream grows: step by step, and what happens where there is none."""

from math import inf
from typing import Final

from jotgate.core.stream_counts import PlainCount, StreamCount
from jotgate.errors import JotgateError, QuotaExceeded, QuotaStanding, QuotaUnavailable
from jotgate.gateway.relay import Relay
from jotgate.gateway.reserving import OUT_OF_REACH, Reserved, refusal_of_step
from jotgate.gateway.steps import next_step
from jotgate.services.meter import PATIENCE_S

UNDER_WAY_SHARE: Final = 8
"""Such a part of its step a stream that ends unheard is charged beside what came: it may have been under way."""

_PACE_KNOWN_S: Final = 1.0
_LOOK_S: Final = 0.3
"""No longer than this it is from one look at the clock to the next."""
_FAST: Final = 400.0
"""Tokens a second. What goes faster fills what lies on the way in moments, and holding it for longer costs no more."""
_FEW: Final = 32
"""So few tokens may have come at once, and say little of how fast their stream is."""
_OF_TOKENS: Final = frozenset({"output_tokens", "total_tokens"})
_SLOT_LOST: Final = "the call lost its place among those that run at once: nobody could renew it"


class SteppedRelay(Relay):
    """A call with a reservation that grows. Mutable, as every Relay; `spent` is the quota by which it was cut."""

    _reserved: Reserved
    _count: StreamCount | PlainCount | None
    _flows_s: float  # since when the stream comes
    _held: bool  # the upstream is paused until a step is reserved
    _covered_s: float  # for so long what it makes on meanwhile is reserved
    _waiting: int  # so large a step is asked for
    _at_last: bool  # all that was left is asked for
    _stepless: bool  # no further step is asked for
    _ending: JotgateError | None  # for what the stream is cut when its last step is used
    spent: QuotaStanding | None
    __slots__ = (
        "_at_last", "_count", "_covered_s", "_ending", "_flows_s", "_held", "_reserved", "_stepless", "_waiting",
        "spent",
    )  # fmt: skip

    def _take(self, reserved: Reserved) -> None:
        self._reserved = reserved
        if reserved.reservation.plan.slotted:
            reserved.reservation.on_slot_lost(self._lose_slot)

    def _go_on(self) -> None:
        """Reserve further steps while less than half of one is left, or than comes while one is waited for.

        The upstream is paused when nothing is.
        """
        if not self._waiting:
            self._reserve(self._next_step())
        close = self._left() <= max(self._margin(), self._pace() * _LOOK_S)
        if self._ending is not None and close:
            self._cut(self._ending)
        elif self._waiting and close:
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
            return min(self.call.route.metering.output_step // 2, int(2 * _LOOK_S * self._pace()))
        return self._margin() + int(self._count.seen * PATIENCE_S / flowing_s)

    def _pace(self) -> float:
        """How many tokens a second its upstream makes, as far as that shows; 0: too many to count by time."""
        seen, flowing_s = self._seen(), self._touched_s - self._flows_s
        pace = seen / flowing_s if flowing_s > 0 else inf
        if seen < _FEW:
            pace = min(pace, _FAST)
        return pace if pace <= _FAST else 0.0

    def _reserve(self, size: int, *, patient: bool = True) -> None:
        """Reserve this much, and on until there is enough; what waits is asked for again when there is news.

        If it is not `patient` any more, what would wait is refused.
        """
        reservation = self._reserved.reservation
        while size:
            became = reservation.extend(size, self._reserved.cost_of_step(size), patient=patient)
            if became == "waiting":
                self._waiting = size
                return
            if became == "granted":
                size = self._next_step()
            elif reservation.unavailable or not (size := self._last_step(size)):
                self._meet_refusal(unavailable=reservation.unavailable, patient=patient)
                return

    def _last_step(self, refused: int) -> int:
        """What is left where a whole step is not, if that is worth a step, once; else 0."""
        standings = self._reserved.reservation.standings()
        left = min((one.limit - one.spent for one in standings if one.unit in _OF_TOKENS), default=refused // 2)
        if self._at_last or not self._margin() < left < refused:
            return 0
        self._at_last = True
        return left

    def _meet_refusal(self, *, unavailable: bool, patient: bool) -> None:
        """Decide what becomes of a stream to which a step was refused."""
        rules = self.call.route.metering
        if not unavailable:
            self._stepless = True
            if rules.quota_spent == "cut":
                self._ending = refusal_of_step(self._reserved.reservation.standings())
        elif rules.quota_outage == "open":
            self._stepless = True
        elif not patient or self._left() <= self._margin():
            self._ending = QuotaUnavailable(OUT_OF_REACH)
        # Before, it is asked again with what comes next: an outage may end.

    def _left(self) -> int:
        return self._reserved.reservation.output_tokens - self._seen()

    def _seen(self) -> int:
        return 0 if self._count is None else self._count.seen

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
            pace = self._pace()
            self._held = True
            self._covered_s = self._left() / pace if pace else inf
            self.exchange.pause()
            if self._seen() < _FEW:  # Little was left for it from the beginning.
                self._look_while_held(0.0)

    def _look_while_held(self, span_s: float) -> None:
        """Wait no longer for a step when what the upstream makes meanwhile may soon be more than is reserved.

        `span_s` after the last look; a worker that was busy for long may have an answer to read first.
        """
        if span_s > 2 * _LOOK_S:
            return
        self._covered_s -= span_s
        if self._waiting and self._covered_s <= _LOOK_S:
            size, self._waiting = self._waiting, 0
            self._reserve(size, patient=False)
            self._go_on()

    def _release(self) -> None:
        if self._held:
            self._held = False
            self._touched_s = self._clock.monotonic_s()
            if self.exchange is not None and not self._paused:
                self.exchange.resume()

    def _cut(self, refusal: JotgateError) -> None:
        self._abort_exchange()
        if isinstance(refusal, QuotaExceeded):
            self.spent = refusal.standing
        self._fail(refusal, "cut")

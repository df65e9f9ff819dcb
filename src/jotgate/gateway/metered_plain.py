"""Counts the requests of faces that are not forwarded: each is one request of every quota that meets it.

The systems that faces stand for limit such requests too. Natively they are not counted.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.calls import Request
from jotgate.errors import JotgateError, QuotaStanding, QuotaUnavailable, UnitsUnresolved
from jotgate.gateway.metered_calls import NO_METERING, MeteredCalls
from jotgate.gateway.plain_answers import Opened, Reply
from jotgate.gateway.unit_waits import Trial
from jotgate.ports import Answer, Caller, Clock, Running, Trail
from jotgate.services.meter_reservations import Need, Reservation, Used

_ONE_REQUEST: Final = Need()
_NOTHING_MORE: Final = Used()

Answering = Callable[[Opened, Caller], Running | None]
"""What answers a request that is decided. Raises JotgateError before it has said anything."""


Looking = Callable[[tuple[QuotaStanding, ...], Opened], Reply]
"""What tells how the quotas of a request stand. Raises JotgateError."""


class Look(Struct, frozen=True):
    """Answers what only asks how quotas stand: it is told that of a request that could be made, and costs nothing.

    `finish` gives the answer of a face's operation (`PlainAnswers.of_face`).
    """

    tell: Looking
    finish: Callable[[Callable[[Opened], Reply], Opened, Caller], None]

    def __call__(self, opened: Opened, caller: Caller) -> Running | None:
        """Answer where no quota meets it."""
        self.finish(partial(self.tell, ()), opened, caller)
        return None

    def at(self, standings: tuple[QuotaStanding, ...]) -> Answering:
        """What answers where they stand so."""
        return replace(self, tell=lambda _, opened: self.tell(standings, opened))


class PlainHub(Protocol):
    """The gateway, in the things that are done with such requests."""

    def judge(self, request: Request, since_s: float) -> Answer:
        """Decide a head anew. Raises JotgateError."""

    def refuse_opened(self, opened: Opened, refusal: JotgateError, caller: Caller) -> None:
        """Tell the caller of a request that is decided no, and record it."""

    def left_opened(self, opened: Opened, refusal: JotgateError) -> None:
        """Record that the caller of such a request left before it was answered."""


class MeteredPlain:
    """Those of one worker. What waits for units waits beside the calls that do."""

    def __init__(self, clock: Clock, hub: PlainHub, trail: Trail, calls: MeteredCalls) -> None:
        self._clock = clock
        self._hub = hub
        self._trail = trail
        self._calls = calls

    def answer(self, run: Answering, opened: Opened, caller: Caller) -> Running | None:
        """Reserve one request and have it answered by `run`, or let it wait. It is charged once that has answered.

        Raises:
            QuotaExceeded, QuotaUnavailable: nothing is left of a quota, or nobody can say how much.
        """
        try:
            answer = self._reserve(run, opened)
        except UnitsUnresolved as refusal:
            trial = Trial(
                partial(self._try_again, run, opened),
                partial(self._end, opened),
                partial(self._hub.left_opened, opened),
            )
            try:
                return self._calls.waits.join(opened.request, trial, refusal, caller)
            except JotgateError as verdict:
                return self._end(opened, verdict.with_traceback(None), caller)
        return answer(caller)

    def _try_again(self, run: Answering, opened: Opened) -> Answer:
        now_s = self._clock.monotonic_s()
        if now_s <= opened.fresh_s and not self._trail.full:
            return self._reserve(run, opened)
        # Its token may have ended meanwhile, or nothing may be let through any more.
        opened.request.stale = False
        return self._hub.judge(opened.request, now_s)

    def _reserve(self, run: Answering, opened: Opened) -> Answer:
        """Reserve; what answers then. Raises JotgateError."""
        quotas = self._calls.quotas
        if quotas is None:
            raise QuotaUnavailable(NO_METERING)
        asked = opened.request.asked
        path = "" if asked is None else asked.name
        reservation = quotas.metering.reserve(
            opened.principal, path, opened.operation.name, _ONE_REQUEST, self._clock.monotonic_s()
        )
        return partial(self._run, run, opened, reservation)

    def _run(self, run: Answering, opened: Opened, reservation: Reservation | None, caller: Caller) -> Running | None:
        """Answer, and charge what was answered; what is refused costs nothing."""
        if isinstance(run, Look) and reservation is not None:
            run = run.at(reservation.standings())
            reservation.void()
            reservation = None
        try:
            running = run(opened, caller)
        except JotgateError as refusal:
            if reservation is not None:
                reservation.void()
            return self._end(opened, refusal.with_traceback(None), caller)
        if reservation is not None:
            reservation.settle(_NOTHING_MORE)
        return running

    def _end(self, opened: Opened, refusal: JotgateError, caller: Caller) -> Running | None:
        self._hub.refuse_opened(opened, refusal, caller)
        return None

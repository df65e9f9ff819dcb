"""Starts the calls that quotas may meet: they reserve, wait for units where that may help, or are refused."""

from collections.abc import Callable, Hashable
from functools import partial
from typing import Final, Protocol

from jotgate.core.calls import Request
from jotgate.errors import JotgateError, QuotaUnavailable, UnitsUnresolved
from jotgate.gateway.admission import Call
from jotgate.gateway.metered import MeteredRelay, UncountedRelay
from jotgate.gateway.relay import Relay
from jotgate.gateway.reserving import Quotas, reserve_call
from jotgate.gateway.unit_waits import Trial, UnitWaits
from jotgate.gateway.waits import Soon
from jotgate.gateway.world import World
from jotgate.ports import Answer, Caller, Clock, Running, Trail
from jotgate.services.meter import Metering

NO_METERING: Final = "this worker has no way to the ledger of quotas"


class Hub(Protocol):
    """The gateway, in the things that are done with calls."""

    def judge(self, request: Request, since_s: float) -> Answer:
        """Decide a head anew. Raises JotgateError."""

    def start(self, relay: Relay) -> Relay:
        """Take a call among those that run, and send it."""

    def attempt_next(self, relay: Relay) -> bool:
        """Send a call to its next upstream; whether there is one."""

    def settle(self, relay: Relay) -> None:
        """Record a call that has ended."""

    def refuse_call(self, call: Call, refusal: JotgateError, caller: Caller) -> None:
        """Tell the caller of an admitted call no, and record it."""

    def left_call(self, call: Call, refusal: JotgateError) -> None:
        """Record that the caller of an admitted call left before it was sent."""

    def failed(self, request: Request, caller: Caller, *, begun: bool) -> None:
        """End a request that met a fault which nobody foresaw; `begun`: the caller has had some of an answer."""


class MeteredCalls:
    """Those of one worker. Mutable: `quotas`, where they reserve (None: nowhere yet), who waits, who listens."""

    def __init__(self, clock: Clock, hub: Hub, trail: Trail, soon: Soon) -> None:
        self._clock = clock
        self._hub = hub
        self._trail = trail
        self._soon = soon
        self.quotas: Quotas | None = None
        self.waits: Final = UnitWaits(clock, hub.failed, soon)
        self._ears: dict[Hashable, list[Callable[[], None]]] = {}

    def reserve_by(self, build: Callable[[Callable[[Hashable], object]], Metering]) -> Metering:
        """Reserve at what `build` makes of the callback by which it tells of news."""
        metering = build(self._told)
        self.quotas = Quotas(metering, self._soon)
        return metering

    def listen(self, key: Hashable, tell: Callable[[], None]) -> None:
        """Tell, once, when it is of use to try again what raised an UnitsUnresolved with this key."""
        self._ears.setdefault(key, []).append(tell)

    def _told(self, key: Hashable) -> None:
        self.waits.told(key)
        for tell in self._ears.pop(key, ()):
            self._soon(tell)

    def enter(self, world: World) -> None:
        """Let calls reserve by what this world says of quotas."""
        if self.quotas is not None:
            self.quotas.metering.enter(metered=world.metered, capacity=world.limits.verified_tokens)

    def tick(self, now_s: float) -> None:
        """Tell the ledger what was spent, and refuse those that have waited for long enough. Four times a second."""
        self.waits.check_deadlines(now_s)
        if self.quotas is not None:
            self.quotas.metering.tick()

    def forward(self, call: Call, caller: Caller, fresh_s: float) -> Running | None:
        """Reserve for a call and send it, or let it wait. Until `fresh_s` it need not be admitted anew.

        Raises:
            QuotaExceeded, QuotaUnavailable, PriceUnknown, RequestMalformed: see `reserve_call`.
        """
        try:
            answer = self._reserve(call)
        except UnitsUnresolved as refusal:
            trial = Trial(
                partial(self._try_again, call, fresh_s), partial(self._end, call), partial(self._hub.left_call, call)
            )
            try:
                return self.waits.join(call.request, trial, refusal, caller)
            except JotgateError as verdict:
                return self._end(call, verdict.with_traceback(None), caller)
        return answer(caller)

    def _try_again(self, call: Call, fresh_s: float) -> Answer:
        now_s = self._clock.monotonic_s()
        if now_s <= fresh_s and not self._trail.full:
            return self._reserve(call)
        # Its token may have ended meanwhile, or nothing may be let through any more.
        call.request.stale = False
        return self._hub.judge(call.request, now_s)

    def _reserve(self, call: Call) -> Answer:
        """Reserve; what sends the call. Raises JotgateError."""
        try:
            if self.quotas is None:
                raise QuotaUnavailable(NO_METERING)
            reserved = reserve_call(call, self.quotas, self._clock.monotonic_s())
        except UnitsUnresolved:
            raise
        except QuotaUnavailable:
            if call.route.metering.quota_outage != "open":
                raise
            return partial(self._send, UncountedRelay, call)
        if reserved is None:
            return partial(self._send, Relay, call)
        return partial(self._send, partial(MeteredRelay, reserved=reserved), call)

    def _send(self, kind: "_Kind", call: Call, caller: Caller) -> Relay:
        hub = self._hub
        return hub.start(kind(call, caller, self._clock, next_attempt=hub.attempt_next, settle=hub.settle))

    def _end(self, call: Call, refusal: JotgateError, caller: Caller) -> Running | None:
        """Answer a call that may wait no longer: it is refused, unless its route lets calls through in outages."""
        if isinstance(refusal, QuotaUnavailable) and call.route.metering.quota_outage == "open":
            return self._send(UncountedRelay, call, caller)
        self._hub.refuse_call(call, refusal, caller)
        return None


class _Kind(Protocol):
    def __call__(
        self,
        call: Call,
        caller: Caller,
        clock: Clock,
        *,
        next_attempt: Callable[[Relay], bool],
        settle: Callable[[Relay], None],
    ) -> Relay: ...

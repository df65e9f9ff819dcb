"""Asks upstreams that have a `health_path` how they are, whether calls come or not."""

from collections.abc import Iterable
from typing import Final

from jotgate.core.calls import Outbound, ResponseHead
from jotgate.core.routes import HEALTH
from jotgate.errors import UpstreamError
from jotgate.gateway.world import Place
from jotgate.ports import Clock, UpstreamExchange

_PATIENCE_S: Final = 5.0
_ASK: Final = Outbound(HEALTH, b"GET", b"", b"", b"")


class Checkup:
    """One check (ports.UpstreamEvents). Mutable: it is under way, or it has ended."""

    __slots__ = ("_clock", "_exchange", "_place", "_until_s", "over")

    def __init__(self, place: Place, clock: Clock) -> None:
        self.over = False
        self._place = place
        self._clock = clock
        self._until_s = clock.monotonic_s() + _PATIENCE_S
        place.standing.running += 1
        self._exchange: UpstreamExchange = place.port.begin(_ASK, self)

    def received(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:  # noqa: ARG002 - the port's
        """Take the status; the connection is kept when the whole answer came with it."""
        if head is not None and not self.over:
            if not complete:
                self._exchange.abort()
            self._end(well=200 <= head.status < 300)

    def failed(self, error: UpstreamError, written: bool) -> None:  # noqa: ARG002 - the port's
        """It cannot be reached, or broke off."""
        if not self.over:
            self._end(well=False)

    def check_deadline(self, now_s: float) -> None:
        """Take silence for an answer."""
        if not self.over and now_s > self._until_s:
            self._exchange.abort()
            self._end(well=False)

    def _end(self, *, well: bool) -> None:
        self.over = True
        self._place.standing.checked(self._clock.monotonic_s(), well=well)
        self._place.standing.leave()


class Checkups:
    """All checks of a worker. Mutable: when each upstream is due, and the checks under way, by name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due_s: dict[str, float] = {}
        self._open: dict[str, Checkup] = {}

    def sweep(self, places: Iterable[Place]) -> None:
        """Begin what is due and end what is silent. Called a few times a second."""
        now_s = self._clock.monotonic_s()
        for name, checkup in tuple(self._open.items()):
            checkup.check_deadline(now_s)
            if checkup.over:
                del self._open[name]
        due_s: dict[str, float] = {}
        for place in places:
            name, health = place.upstream.name, place.upstream.health
            if not health.path:
                continue
            due_s[name] = self._due_s.get(name, now_s)
            # One that is at its bound is not asked: the calls that it answers tell how it is.
            if name not in self._open and now_s >= due_s[name] and place.standing.running < place.standing.bound:
                due_s[name] = now_s + health.interval_s
                self._open[name] = Checkup(place, self._clock)
        self._due_s = due_s

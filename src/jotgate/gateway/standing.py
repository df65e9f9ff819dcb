"""How an upstream stands with this worker: its breaker, its rests, the calls that it answers and those that wait.

The decisions are in core; what they are taken from is kept here. While all is well a call costs two comparisons and
two additions.
"""

from collections import deque
from collections.abc import Callable
from math import ceil
from typing import Final

from jotgate.core.attempts import Condition, rest_s, share_of
from jotgate.core.breakers import CLOSED, Breaker, begin, fail, hold, permits, recover, release, succeed
from jotgate.core.calls import ResponseHead
from jotgate.core.routes import Upstream
from jotgate.ports import Clock, Stopping

# These say that an upstream is not well; a 500 says that of a request, which must not shut the others out.
_FAILURES: Final = frozenset({502, 503, 504})
_LEAVE_ALONE: Final = frozenset({429, 503})
_UNBOUND: Final = 1 << 62

Note = Callable[[str, str], None]
"""Is told an upstream's name and the state that its breaker has just taken."""


class Waiting:
    """A call's place in queues, which stands for its exchange until there is one (ports.UpstreamExchange).

    `wake` is called once it has left them, when there is room, or reason to ask somebody else. `tenant` is whose it is.
    """

    __slots__ = ("_queues", "tenant", "wake")

    def __init__(self, tenant: str, wake: Callable[[], None]) -> None:
        self._queues: list[deque[Waiting]] = []
        self.tenant = tenant
        self.wake = wake

    @property
    def written(self) -> bool:
        """Nothing is sent yet."""
        return False

    def enter(self, queue: "deque[Waiting]") -> None:
        """Wait in this queue too."""
        queue.append(self)
        self._queues.append(queue)

    def abort(self) -> None:
        """Leave every queue."""
        while self._queues:
            self._queues.pop().remove(self)

    def stop(self) -> Stopping:
        """Leave every queue: nothing was sent."""
        self.abort()
        return "over"

    def pause(self) -> None:
        """Nothing comes yet."""

    def resume(self) -> None:
        """Nothing comes yet."""


class Standing:
    """Mutable: the breaker, until when which model rests, how many calls run and of which tenants, the calls that wait.

    `clear`: there is neither trouble nor a rest. `running` and `bound` are calls at once; of a bound that holds for all
    workers together this one has its share. `tenants` are the running calls by tenant; None: nobody asked for a bound
    of these yet.
    """

    __slots__ = (
        "_breaker",
        "_name",
        "_note",
        "_queue",
        "_queue_max",
        "_rests",
        "_rules",
        "_tenant_bound",
        "bound",
        "clear",
        "running",
        "tenants",
    )  # fmt: skip

    def __init__(self, upstream: Upstream, slot: int = 0, workers: int = 1, note: Note | None = None) -> None:
        self._name = upstream.name
        self._note = note
        self._breaker = CLOSED
        self._rests: dict[str, float] = {}
        self._queue: deque[Waiting] = deque()
        self.clear = True
        self.running = 0
        self.tenants: dict[str, int] | None = None
        self.obey(upstream, slot, workers)

    def obey(self, upstream: Upstream, slot: int = 0, workers: int = 1) -> None:
        """Go on under these settings: a reload changes neither what runs nor what is known."""
        bounds = upstream.bounds
        self.bound = share_of(bounds.calls, slot, workers) if bounds.calls else _UNBOUND
        self._tenant_bound = share_of(bounds.of_one_tenant, slot, workers) if bounds.of_one_tenant else _UNBOUND
        if bounds.of_one_tenant and self.tenants is None:
            self.tenants = {}  # Counted from now on, and always: what ends is to be what was counted.
        self._queue_max = share_of(bounds.queued, slot, workers) if bounds.queued else 0
        self._rules = upstream.breaker
        if not self._rules.failures:
            self._become(CLOSED)
        elif not upstream.health.path:
            self._become(release(self._breaker))
        self._wake()

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return len(self._queue)

    @property
    def state(self) -> str:
        """The breaker's state."""
        return self._breaker.state

    def has_room(self, tenant: str) -> bool:
        """Whether a call of this tenant is within the bounds."""
        running = 0 if self.tenants is None else self.tenants.get(tenant, 0)
        return self.running < self.bound and running < self._tenant_bound

    def condition(self, model: str, tenant: str, now_s: float) -> Condition:
        """Whether a call of this tenant for this model may be made now, and if not, why."""
        if not permits(self._breaker, now_s):
            return "suspended"
        if not self.has_room(tenant):
            return "full" if len(self._queue) < self._queue_max else "crowded"
        return "resting" if self._rests and self._rests.get(model, 0.0) > now_s else "free"

    def patience_s(self, now_s: float) -> int:
        """The whole seconds until a suspended upstream may be asked again, at least 1."""
        return max(1, ceil(self._breaker.until_s - now_s))

    # Calls

    def enter(self, tenant: str, clock: Clock) -> str | None:
        """A call of this tenant is sent. Returns under which tenant it is counted, for `leave`."""
        self.running += 1
        if not self.clear:
            now_s = clock.monotonic_s()
            self._rests = {model: until_s for model, until_s in self._rests.items() if until_s > now_s}
            self._become(begin(self._breaker, self._rules, now_s))
        if self.tenants is None:
            return None
        self.tenants[tenant] = self.tenants.get(tenant, 0) + 1
        return tenant

    def leave(self, tenant: str | None = None) -> None:
        """A call is over, or has been taken away; those that wait are let in, or sent elsewhere.

        `tenant` is whose call it was counted as; None: nobody's, as a health check is.
        """
        self.running -= 1
        if tenant is not None and self.tenants is not None:
            left = self.tenants[tenant] = self.tenants[tenant] - 1
            if not left:
                del self.tenants[tenant]
        if self._queue:
            self._wake()

    def wait(self, waiting: Waiting) -> None:
        """Take a call into the queue."""
        waiting.enter(self._queue)

    def _wake(self) -> None:
        while self.running < self.bound:
            first = next((one for one in self._queue if self.has_room(one.tenant)), None)
            if first is None:
                return
            first.abort()
            first.wake()

    # What calls and checks show

    def answered(self, head: ResponseHead, model: str, clock: Clock) -> None:
        """An answer to a call for this model has begun. Need not be told of one below 429 while `clear`."""
        now_s = clock.monotonic_s()
        if head.status in _LEAVE_ALONE:
            for name, value in head.headers:
                if name == b"retry-after" and (span_s := rest_s(value, clock.now_s())) > 0:
                    self._rests[model] = now_s + span_s
        if head.status in _FAILURES:
            self._become(fail(self._breaker, self._rules, now_s))
        else:
            self._become(succeed(self._breaker))

    def failed(self, now_s: float) -> None:
        """A call could not be made, broke off, or was not answered in time."""
        self._become(fail(self._breaker, self._rules, now_s))

    def checked(self, now_s: float, *, well: bool) -> None:
        """A health check has ended."""
        self._become(recover(self._breaker, now_s) if well else hold(self._breaker, self._rules, now_s))

    def _become(self, breaker: Breaker) -> None:
        changed = breaker.state != self._breaker.state
        self._breaker = breaker
        self.clear = breaker is CLOSED and not self._rests
        if changed and self._note is not None:
            self._note(self._name, breaker.state)

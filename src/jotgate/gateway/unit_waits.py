"""Calls that wait for units of their quotas, or for control to say which quotas meet them, before they are sent.

They are told by what they wait for, and try again in the order in which they came. Who has waited for long enough is
told what stands against it.
"""

from collections import deque
from collections.abc import Callable, Hashable
from functools import partial
from typing import Final

from msgspec import Struct

from jotgate.core.calls import Request
from jotgate.errors import JotgateError, UnitsUnresolved
from jotgate.gateway.waits import WAITING_BYTES_MAX, WAITING_MAX, Failed, Soon, Waiting
from jotgate.ports import Answer, Caller, Clock, Running
from jotgate.services.meter_attention import Attention

PATIENCE_S: Final = 2.5
"""How long a call waits at most, however often it tries."""
LATE_S: Final = 2.5
"""So much longer it waits while the ledger has enough for it and only its answers are late."""


class Trial(Struct, frozen=True):
    """How a call that waits goes on.

    `again` reserves, and says what answers the call then; it raises what stands against it. `end` answers a call that
    may wait no longer, or is refused; `left` is told when its caller is gone.
    """

    again: Callable[[], Answer]
    end: Callable[[JotgateError, Caller], Running | None]
    left: Callable[[JotgateError], None]


class UnitWaits:
    """All that wait in one worker. Mutable: who waits, for what, who is to try again, and for how long it looked on.

    Deadlines are by `Attention`: nobody is refused for want of an answer that is there and has not been read. `failed`
    ends a request that met a fault which nobody foresaw; `soon` is as for `Waits`.
    """

    def __init__(self, clock: Clock, failed: Failed, soon: Soon) -> None:
        self._attention = Attention()
        self._attention.look(clock.monotonic_s())
        self._failed = failed
        self._soon = soon
        self._live: dict[Waiting[Hashable], tuple[Trial, UnitsUnresolved]] = {}
        self._by_key: dict[Hashable, dict[Waiting[Hashable], None]] = {}
        self._told: deque[Waiting[Hashable]] = deque()

    def __len__(self) -> int:
        return len(self._live)

    def join(self, request: Request, trial: Trial, refusal: UnitsUnresolved, caller: Caller) -> Running:
        """Let a call wait.

        Raises:
            JotgateError: the verdict on it, when too many wait, or it has waited for long enough.
        """
        try:
            now_s = self._attention.s
            request.units_by_s = request.units_by_s or now_s + PATIENCE_S
            waiting = Waiting(request, refusal.key, request.units_by_s, gone=self._left, failed=self._failed)
            size = sum(one.size for one in self._live) + waiting.size
            if request.units_by_s <= now_s or len(self._live) >= WAITING_MAX or size > WAITING_BYTES_MAX:
                raise refusal.verdict
            waiting.answer(caller)
            self._keep(waiting, trial, refusal)
            return waiting
        finally:
            del refusal  # Its traceback names this frame: what names one another, only the collector can take away.

    def told(self, key: Hashable) -> None:
        """It is of use that those who wait for this try again; they do so in coming turns of the event loop."""
        for waiting in self._by_key.get(key, ()):
            self._told.append(waiting)
            self._soon(self._try_next)

    def check_deadlines(self, now_s: float) -> None:
        """Have those try a last time who have waited for long enough: what stands against them is known by now, or not.

        Called a few times a second; `now_s` is monotonic.
        """
        self._attention.look(now_s)
        for waiting in tuple(self._live):
            if waiting.deadline_s <= self._attention.s:
                self._told.append(waiting)
                self._soon(self._try_next)

    def cancel_all(self) -> None:
        """Refuse all that wait: jotgate stops."""
        for waiting, (trial, refusal) in tuple(self._live.items()):
            self._settle(waiting, partial(trial.end, refusal.verdict))

    def _try_next(self) -> None:
        waiting = self._told.popleft()
        if waiting not in self._live:
            return
        trial, _ = self._live[waiting]
        answer: Answer | None = partial(self._failed, waiting.request, begun=False)
        try:
            answer = self._find_answer(waiting, trial)
        finally:  # A fault that nobody foresaw goes on to the event loop; the caller has its answer by then.
            if answer is not None:
                self._settle(waiting, answer)

    def _find_answer(self, waiting: Waiting[Hashable], trial: Trial) -> Answer | None:
        """What answers a call that tries again; None: it waits on."""
        try:
            return trial.again()
        except UnitsUnresolved as refusal:
            if waiting.deadline_s <= self._attention.s:
                if not refusal.late or waiting.deadline_s > waiting.request.units_by_s:
                    return partial(trial.end, refusal.verdict)
                waiting.deadline_s += LATE_S
            self._forget(waiting)
            waiting.key = refusal.key
            self._keep(waiting, trial, refusal)
            return None
        except JotgateError as refusal:
            return partial(trial.end, refusal.with_traceback(None))

    def _settle(self, waiting: Waiting[Hashable], answer: Answer) -> None:
        self._forget(waiting)
        waiting.settle(answer)

    def _left(self, waiting: Waiting[Hashable]) -> None:
        found = self._live.get(waiting)
        if found is not None:
            trial, refusal = found
            self._forget(waiting)
            trial.left(refusal.verdict)

    def _keep(self, waiting: Waiting[Hashable], trial: Trial, refusal: UnitsUnresolved) -> None:
        self._live[waiting] = (trial, refusal.with_traceback(None))
        self._by_key.setdefault(waiting.key, {})[waiting] = None

    def _forget(self, waiting: Waiting[Hashable]) -> None:
        self._live.pop(waiting, None)
        same = self._by_key.get(waiting.key)
        if same is not None:
            same.pop(waiting, None)
            if not same:
                del self._by_key[waiting.key]

"""The calls that run at Coze in a worker, and what is said there for those that have ended."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from jotgate.core.coze_codes import CozeFault
from jotgate.core.coze_events import CozeEvent
from jotgate.core.owned_objects import ObjectAnswer, ObjectOrder
from jotgate.errors import UpstreamError
from jotgate.gateway.waits import Soon
from jotgate.ports import Clock, Entropy
from jotgate.services.object_desk import ObjectDesk
from jotgate.upstreams.coze_call import CozeCall, Line
from jotgate.upstreams.coze_modes import CozeAnswer, CozeOrder

FAREWELL_S: Final = 10.0
"""For so long Coze is asked to stop what nobody wants."""
FAREWELLS_MAX: Final = 1_024


class Watched(Protocol):
    """What is to see what time it is."""

    def check(self, now_s: float) -> None:
        """See what time it is; monotonic."""


class CozeRuns:
    """The calls that run at Coze in a worker. Mutable: these, and what is said there for those that have ended."""

    def __init__(self, clock: Clock, entropy: Entropy, soon: Soon) -> None:
        self.clock: Final = clock
        self.entropy: Final = entropy
        self.soon: Final = soon
        self._objects: ObjectDesk | None = None
        self.live: Final[set[Watched]] = set()
        self.leaving: Final[set[Watched]] = set()

    def keep_in(self, objects: ObjectDesk) -> None:
        """Ask for owned objects there. Before, nothing is known of any."""
        self._objects = objects

    def keep(self, order: ObjectOrder, then: Callable[[ObjectAnswer | None], None]) -> Callable[[], None]:
        """Ask something of the owned objects; what is returned lets go of the answer."""
        if self._objects is not None:
            return self._objects.ask(order, then)
        self.soon(lambda: then(None))
        return _let_go

    def check_deadlines(self) -> None:
        """Let every run see what time it is. Called a few times a second."""
        now_s = self.clock.monotonic_s()
        for run in (*self.live, *self.leaving):
            run.check(now_s)

    def take_leave(self, order: CozeOrder, session: str, line: Line) -> None:
        """Ask Coze to stop something, whatever it answers; not if too much is being stopped already."""
        if len(self.leaving) < FAREWELLS_MAX:
            farewell = Farewell(self)
            farewell.call = CozeCall(order, session, line, self.clock, farewell)
            self.leaving.add(farewell)
            farewell.call.begin()


class Farewell:
    """Asks Coze to stop something (coze_modes.Hearing). Mutable: the request, until when its answer is waited for."""

    def __init__(self, runs: CozeRuns) -> None:
        self.call: CozeCall | None = None
        self._runs = runs
        self._until_s = runs.clock.monotonic_s() + FAREWELL_S

    def check(self, now_s: float) -> None:
        """See what time it is."""
        if now_s > self._until_s:
            self.ended()

    def answered(self, answer: CozeAnswer) -> None:  # noqa: ARG002 - whatever it says
        """It stops."""
        self.ended()

    def heard(self, events: Sequence[CozeEvent]) -> None:
        """Such an answer has none."""

    def refused(self, fault: CozeFault) -> None:  # noqa: ARG002 - there is nobody to tell
        """It had ended already, most likely."""
        self.ended()

    def lost(self, error: UpstreamError) -> None:  # noqa: ARG002 - there is nobody to tell
        """Nobody knows, and nobody asks again."""
        self.ended()

    def ended(self) -> None:
        """It is over."""
        self._runs.leaving.discard(self)
        if self.call is not None:
            self.call.drop()


def _let_go() -> None:
    """There is nothing to let go of."""

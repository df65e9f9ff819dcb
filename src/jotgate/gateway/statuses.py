"""What issuers say of tokens in their status lists, as a worker has it: asked of control, and kept as long as it says.

A request whose token has a status that is not held waits, and is decided anew. A token counts only while its status is
known to be VALID: where a list cannot be had, nobody can know.
"""

from collections.abc import Callable
from typing import Final

from jotgate.core.calls import Request
from jotgate.core.principals import Principal
from jotgate.core.status_lists import VALID
from jotgate.core.status_references import StatusFound, StatusQuestion
from jotgate.errors import JotgateError, StatusUnresolved, TokenRevoked
from jotgate.gateway.waits import Desk, Soon, Waits
from jotgate.ports import Answer, Clock

PATIENCE_S: Final = 12.0
"""How long a request waits at most: for a list that is fetched from elsewhere."""
HELD_MAX: Final = 65_536
"""So many statuses a worker holds, in two generations."""

_ASKS_MAX: Final = 2
_UNKNOWN: Final = "the status list that the token names cannot be had now"


class Statuses:
    """Those of one worker. Mutable: what it holds, and who waits for which. `ask` puts a question to control."""

    def __init__(self, clock: Clock, desk: Desk, *, ask: Callable[[StatusQuestion], object], soon: Soon) -> None:
        self._clock = clock
        self._waits: Waits[StatusQuestion, bool] = Waits(
            clock, desk, ask=ask, judge=_judge, soon=soon, patience_s=PATIENCE_S
        )
        self._young: dict[StatusQuestion, tuple[int, float]] = {}
        self._old: dict[StatusQuestion, tuple[int, float]] = {}
        self.ask_again = self._waits.ask_again
        self.cancel_all = self._waits.cancel_all
        self.check_deadlines = self._waits.check_deadlines

    def require(self, principal: Principal) -> None:
        """Refuse a token whose issuer says that it counts no longer.

        Raises:
            TokenRevoked: it says so.
            StatusUnresolved: control has to be asked.
        """
        place = principal.status
        if place is None:
            return
        question = StatusQuestion(principal.issuer, place.uri, place.index)
        status, good_until_s = self._young.get(question) or self._old.get(question) or (VALID, 0.0)
        if self._clock.monotonic_s() >= good_until_s:
            raise StatusUnresolved((question.issuer, question.uri, question.index), _UNKNOWN)
        if status != VALID:
            raise TokenRevoked("the token's issuer says in its status list that it does not count").showing(
                "status", str(VALID), status
            )

    def join(self, request: Request, refusal: StatusUnresolved) -> Answer:
        """Let a request wait; what is returned answers it, once its body is read.

        Raises:
            StatusUnresolved: it cannot be known now, or too many wait.
        """
        try:
            if self._waits.is_reopened(request):
                raise refusal
            return self._waits.join(request, refusal, StatusQuestion(*refusal.place))
        finally:
            del refusal  # Its traceback names this frame: what names one another, only the collector can take away.

    def answered(self, question: StatusQuestion, found: StatusFound | None) -> None:
        """Control's answer; None: it cannot be known now."""
        if found is not None:
            if len(self._young) >= HELD_MAX // 2:
                self._old, self._young = self._young, {}
            self._young[question] = found.status, self._clock.monotonic_s() + found.good_s
        self._waits.answered(question, found is not None)


def _judge(refusal: JotgateError, outcome: bool | None, asks: int) -> JotgateError | None:
    """What is said where it is still not held: it may have been good for a moment only."""
    if isinstance(refusal, StatusUnresolved) and outcome and asks < _ASKS_MAX:
        return None
    return refusal

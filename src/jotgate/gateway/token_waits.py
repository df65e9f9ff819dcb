"""Requests with a personal token that is not held, while control is asked about it.

There is one question for each token under way. Who makes up tokens cannot make jotgate ask without end: so many
questions are put in a second, and so many for one address whose tokens turn out to be nobody's.
"""

import math
from collections.abc import Callable
from typing import Final

from jotgate.core.calls import Request
from jotgate.errors import JotgateError, TokenUnresolved
from jotgate.gateway.waits import Desk, Soon, Waits
from jotgate.ports import Answer, Clock

PATIENCE_S: Final = 5.0
"""How long a request waits at most."""
QUESTIONS_PER_S: Final = 512
"""So many questions a worker puts in one second."""
QUESTIONS_PER_ADDRESS: Final = 128
"""So many of them for one address, those not counted whose token was good."""

_WINDOW_S: Final = 1.0
_ASKS_MAX: Final = 2


class TokenWaits:
    """All that wait in one worker. Mutable: who waits for which token, and the questions of this second by address.

    `ask` asks control about the token with a digest; `desk` and `soon` are as for `Waits`.
    """

    def __init__(self, clock: Clock, desk: Desk, *, ask: Callable[[bytes], object], soon: Soon) -> None:
        self._clock = clock
        self._waits: Waits[bytes, bool] = Waits(clock, desk, ask=ask, judge=_judge, soon=soon, patience_s=PATIENCE_S)
        self._window_s = -math.inf
        self._questions = 0
        self._charged: dict[str, int] = {}
        self._askers: dict[bytes, str] = {}
        self.ask_again = self._waits.ask_again
        self.cancel_all = self._waits.cancel_all

    def __len__(self) -> int:
        return len(self._waits)

    def join(self, request: Request, refusal: TokenUnresolved) -> Answer:
        """Let a request wait; what is returned answers it, once its body is read.

        Raises:
            TokenUnresolved: it cannot be known now, or too many ask, or wait.
        """
        try:
            if self._waits.is_reopened(request) or not self._may_ask(refusal.digest, request.peer):
                raise refusal
            return self._waits.join(request, refusal, refusal.digest)
        finally:
            del refusal  # Its traceback names this frame: what names one another, only the collector can take away.

    def answered(self, digest: bytes, *, reached: bool, good: bool) -> None:
        """Control's answer, which is in use; `reached`: it could say something, `good`: that the token counts."""
        asker = self._askers.pop(digest, None)
        if asker is not None and good and self._charged.get(asker):
            self._charged[asker] -= 1
        self._waits.answered(digest, reached)

    def check_deadlines(self, now_s: float) -> None:
        """Refuse those that have waited for long enough. Called a few times a second."""
        self._waits.check_deadlines(now_s)
        for digest in [one for one in self._askers if not self._waits.is_asked(one)]:
            del self._askers[digest]

    def _may_ask(self, digest: bytes, peer: str) -> bool:
        """Whether a question about this token may be put, or is under way; it is counted."""
        if self._waits.is_asked(digest):
            return True
        now_s = self._clock.monotonic_s()
        if now_s - self._window_s >= _WINDOW_S:
            self._window_s, self._questions = now_s, 0
            self._charged.clear()
        charged = self._charged.get(peer, 0)
        if self._questions >= QUESTIONS_PER_S or charged >= QUESTIONS_PER_ADDRESS:
            return False
        self._questions += 1
        self._charged[peer] = charged + 1
        self._askers[digest] = peer
        return True


def _judge(refusal: JotgateError, outcome: bool | None, asks: int) -> JotgateError | None:
    """What is said of a token that is still not held: it may have changed while the answer was on its way."""
    if isinstance(refusal, TokenUnresolved) and outcome and asks < _ASKS_MAX:
        return None
    return refusal

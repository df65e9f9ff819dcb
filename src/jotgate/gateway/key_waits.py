"""Requests whose token names a key that is not held, while control fetches the keys of the token's issuer.

When the answer is there, each token is verified anew, in the newest world. For as long as control says that asking is
of no use, nobody waits: an issuer that was reached and does not publish the key makes it a 401, one that was not
reached a 503, for then the answer cannot be known.
"""

import math
from collections.abc import Callable
from typing import Final

from jotgate.core.calls import Request
from jotgate.core.key_fetches import KeysOutcome
from jotgate.errors import JotgateError, KeyUnpublished
from jotgate.gateway.waits import Desk, Soon, Waits
from jotgate.ports import Answer, Clock
from jotgate.services.key_seeking import may_ask_again, refusal_for

PATIENCE_S: Final = 12.0
"""How long a request waits at most: two fetches of the usual time, and a moment."""

_UNREACHED: Final = KeysOutcome(reached=False, useless_s=1.0)


class KeyWaits:
    """All that wait in one worker. Mutable: who waits for which issuer, and until when asking is of no use.

    `ask` has the keys of an issuer fetched; `desk` and `soon` are as for `Waits`.
    """

    def __init__(self, clock: Clock, desk: Desk, *, ask: Callable[[str], object], soon: Soon) -> None:
        self._clock = clock
        self._waits: Waits[str, KeysOutcome] = Waits(
            clock, desk, ask=ask, judge=_judge, soon=soon, patience_s=PATIENCE_S
        )
        self._known: dict[str, tuple[float, KeysOutcome]] = {}
        self.ask_again = self._waits.ask_again
        self.check_deadlines = self._waits.check_deadlines
        self.cancel_all = self._waits.cancel_all

    def __len__(self) -> int:
        return len(self._waits)

    def join(self, request: Request, refusal: KeyUnpublished) -> Answer:
        """Let a request wait; what is returned answers it, once its body is read.

        Raises:
            KeyUnpublished: its issuer does not publish the key, as far as may be known now.
            IssuerUnavailable: that cannot be known now, or too many wait.
        """
        try:
            if self._waits.is_reopened(request):
                raise refusal
            now_s = self._clock.monotonic_s()
            until_s, known = self._known.get(refusal.issuer, (-math.inf, _UNREACHED))
            if now_s < until_s:
                raise refusal_for(refusal, KeysOutcome(known.reached, until_s - now_s))
            return self._waits.join(request, refusal, refusal.issuer)
        finally:
            del refusal  # Its traceback names this frame: what names one another, only the collector can take away.

    def answered(self, issuer: str, outcome: KeysOutcome) -> None:
        """Control's answer; the keys that it speaks of are in the newest world."""
        self._known[issuer] = self._clock.monotonic_s() + outcome.useless_s, outcome
        self._waits.answered(issuer, outcome)


def _judge(refusal: JotgateError, outcome: KeysOutcome | None, asks: int) -> JotgateError | None:
    """What is said of a key that is still not held: the fetch that has ended may have begun before it was there."""
    if not isinstance(refusal, KeyUnpublished):
        return refusal
    outcome = _UNREACHED if outcome is None else outcome
    return None if may_ask_again(outcome, asks) else refusal_for(refusal, outcome)

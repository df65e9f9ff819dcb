"""Time as a worker has looked at it: by this it gives up waiting for what others say."""

from math import inf
from typing import Final

STRIDE_S: Final = 0.3
"""By so much it goes on at most from one look to the next; a worker looks four times a second."""


class Attention:
    """Seconds in which the worker was there to hear an answer. Mutable: `s`, and when it looked last.

    While its event loop was busy, or stood still, answers may lie there unread: such time is not silence of others.
    """

    __slots__ = ("_looked_s", "s")

    def __init__(self) -> None:
        self.s = 0.0
        self._looked_s = inf

    def look(self, now_s: float) -> None:
        """Look, at this time (monotonic); a few times a second."""
        self.s += min(max(0.0, now_s - self._looked_s), STRIDE_S)
        self._looked_s = now_s

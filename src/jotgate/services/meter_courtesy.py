"""Whose turn it is when workers want the same places of calls that run at once."""

from math import inf
from typing import Final

SOUGHT_S: Final = 0.5
"""So long after others said that they wait, the next place that is free is theirs."""
WAY_S: Final = 0.35
"""So long whoever gave one to others asks for none: they ask once in this time."""
WAY_AGAIN_S: Final = 1.0
"""One is given in this time at most: whoever says that others wait need not speak the truth."""


class Courtesy:
    """Of one worker towards those that want what it wants. Mutable: when others were heard of, and when it gave way.

    All times are monotonic.
    """

    __slots__ = ("_gave_way_s", "_sought_s")

    def __init__(self) -> None:
        self._sought_s = self._gave_way_s = -inf

    def sought(self, now_s: float) -> None:
        """Others have said that they wait."""
        self._sought_s = now_s

    def is_theirs(self, now_s: float) -> bool:
        """Whether a place that is free now is for others, even if somebody waits for it here."""
        return now_s < self._sought_s + SOUGHT_S and now_s >= self._gave_way_s + WAY_AGAIN_S

    def give_way(self, now_s: float) -> None:
        """It was given to them."""
        self._gave_way_s = now_s

    def holds_back(self, now_s: float) -> bool:
        """Whether it is for others to ask now."""
        return now_s < self._gave_way_s + WAY_S

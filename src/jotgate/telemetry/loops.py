"""Watches how long an event loop stands still: a tick that comes late says for how long nothing else could run."""

import asyncio
from typing import Final

_TICK_S: Final = 0.05
_PERIOD_S: Final = 30.0


class LoopWatch:
    """The longest delay of a tick in the last half to whole minute. Mutable.

    A block is seen as far as it lies over a tick, so one shorter than 50 ms may be missed; wall time counts, also that
    in which the machine ran something else.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due_s = 0.0
        self._period_ends_s = loop.time() + _PERIOD_S
        self._longest_s = 0.0
        self._before_s = 0.0

    @property
    def longest_s(self) -> float:
        """The longest block lately, in seconds."""
        return max(self._longest_s, self._before_s)

    def start(self) -> None:
        """Tick from now on."""
        self._due_s = self._loop.time() + _TICK_S
        self._loop.call_later(_TICK_S, self._tick)

    def _tick(self) -> None:
        now_s = self._loop.time()
        self._longest_s = max(self._longest_s, now_s - self._due_s)
        if now_s >= self._period_ends_s:
            self._before_s, self._longest_s = self._longest_s, 0.0
            self._period_ends_s = now_s + _PERIOD_S
        self.start()

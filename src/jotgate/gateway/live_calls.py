"""Running calls by what can end their token, so that finding those of an ended token costs what it finds.

A name is a revocation's (core.revocations), or a tuple for what ends without one: an account that changes, a key that
is gone. Calls are also kept by the moment in which their token ends by itself.
"""

from collections.abc import Collection, Hashable, Iterable
from math import ceil, floor, inf
from typing import Final, Generic, TypeVar

from msgspec import Struct

TICKS_PER_S: Final = 4
"""Moments are told apart so finely."""

Name = str | tuple[str, ...]
One = TypeVar("One", bound=Hashable)
_Key = TypeVar("_Key", bound=Hashable)


class Life(Struct, frozen=True):
    """What can end a token: the names that it is met by, and from when on it is to be looked at (NumericDate)."""

    names: tuple[Name, ...]
    ends_s: float = inf


class Watch:
    """Where a call stands in the index. Immutable. `tick` None: its token has no end."""

    __slots__ = ("names", "tick")

    def __init__(self, names: tuple[Name, ...], tick: int | None) -> None:
        self.names: Final = names
        self.tick: Final = tick


UNWATCHED: Final = Watch((), None)
"""Stands for that of a call which nothing ends."""


class LiveCalls(Generic[One]):
    """The index. Mutable: what is in it, by name and by moment, and up to which moment it was asked."""

    __slots__ = ("_by_name", "_by_tick", "_tick")

    def __init__(self) -> None:
        self._by_name: dict[Name, dict[One, None]] = {}
        self._by_tick: dict[int, dict[One, None]] = {}
        self._tick = 0

    def add(self, one: One, life: Life) -> Watch:
        """Take a call, which is not in it; what is returned takes it out again."""
        tick = None if life.ends_s == inf else max(ceil(life.ends_s * TICKS_PER_S), self._tick + 1)
        for name in life.names:
            known = self._by_name.get(name)
            if known is None:
                self._by_name[name] = {one: None}
            else:
                known[one] = None
        if tick is not None:
            self._by_tick.setdefault(tick, {})[one] = None
        return Watch(life.names, tick)

    def remove(self, one: One, watch: Watch) -> None:
        """Let go of a call."""
        for name in watch.names:
            _let_go(self._by_name, name, one)
        if watch.tick is not None:
            _let_go(self._by_tick, watch.tick, one)

    def named(self, name: Name) -> Collection[One]:
        """The calls that this can end, those that came first before the others."""
        return self._by_name.get(name, ())

    def take_ending(self, now_s: float) -> list[One]:
        """The calls whose moment has come, each once; they stay in the index by their names."""
        tick = floor(now_s * TICKS_PER_S)
        due: Iterable[int] = range(self._tick + 1, tick + 1)
        if tick - self._tick > len(self._by_tick):
            due = sorted(one for one in self._by_tick if one <= tick)
        self._tick = tick
        return [one for moment in due for one in self._by_tick.pop(moment, ())]


def _let_go(groups: dict[_Key, dict[One, None]], key: _Key, one: One) -> None:
    group = groups.get(key)
    if group is not None:
        group.pop(one, None)
        if not group:
            del groups[key]

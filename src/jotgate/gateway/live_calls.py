"""Running calls by what can end their token, so that finding those of an ended token costs what it finds.

A name is a revocation's (core.revocations), or a tuple for what may end a token without one: an account that changes.
Calls are also kept by the moment in which their token ends by itself.
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


class Life(Struct, frozen=True, gc=False):
    """What can end a token: the names that it is met by, and from when on it is to be looked at (NumericDate)."""

    names: tuple[Name, ...]
    ends_s: float = inf


class Watch(Struct, frozen=True, gc=False):
    """Where a call stands in the index. `tick` None: its token has no end."""

    names: tuple[Name, ...]
    tick: int | None


UNWATCHED: Final = Watch((), None)
"""Stands for that of a call which nothing ends."""


class _Group(dict[One, None]):
    """Several calls, in the order in which they came."""


class LiveCalls(Generic[One]):
    """The index. Mutable: what is in it, by name and by moment, and up to which moment it was asked."""

    __slots__ = ("_by_name", "_by_tick", "_tick")

    def __init__(self) -> None:
        # Most names are one call's alone, and thousands of small dictionaries would wait for the cyclic collector.
        self._by_name: dict[Name, One | _Group[One]] = {}
        self._by_tick: dict[int, One | _Group[One]] = {}
        self._tick = 0

    def add(self, one: One, life: Life) -> Watch:
        """Take a call, which is not in it; what is returned takes it out again."""
        tick = None if life.ends_s == inf else max(ceil(life.ends_s * TICKS_PER_S), self._tick + 1)
        for name in life.names:
            _put(self._by_name, name, one)
        if tick is not None:
            _put(self._by_tick, tick, one)
        return Watch(life.names, tick)

    def remove(self, one: One, watch: Watch) -> None:
        """Let go of a call."""
        for name in watch.names:
            _let_go(self._by_name, name, one)
        if watch.tick is not None:
            _let_go(self._by_tick, watch.tick, one)

    def named(self, name: Name) -> Collection[One]:
        """The calls that this can end, those that came first before the others."""
        return _all(self._by_name.get(name))

    def take_ending(self, now_s: float) -> list[One]:
        """The calls whose moment has come, each once; they stay in the index by their names."""
        tick = floor(now_s * TICKS_PER_S)
        due: Iterable[int] = range(self._tick + 1, tick + 1)
        if tick - self._tick > len(self._by_tick):
            due = sorted(one for one in self._by_tick if one <= tick)
        self._tick = tick
        return [one for moment in due for one in _all(self._by_tick.pop(moment, None))]


def _all(known: One | _Group[One] | None) -> Collection[One]:
    if known is None:
        return ()
    return known if isinstance(known, _Group) else (known,)


def _put(groups: dict[_Key, One | _Group[One]], key: _Key, one: One) -> None:
    known = groups.get(key)
    if isinstance(known, _Group):
        known[one] = None
    elif known is None:
        groups[key] = one
    elif known is not one:
        groups[key] = _Group({known: None, one: None})


def _let_go(groups: dict[_Key, One | _Group[One]], key: _Key, one: One) -> None:
    known = groups.get(key)
    if isinstance(known, _Group):
        known.pop(one, None)
        if not known:
            del groups[key]
    elif known is one:
        del groups[key]

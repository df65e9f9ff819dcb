"""Which policies fit the circumstances of a call: a set of their places, found in steps that do not grow with them.

A set of places is a whole number with a bit for each. What cannot be known is told by `unknown`: then all that ask for
it fit, or none of them.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from ipaddress import ip_network
from itertools import accumulate
from math import floor
from operator import or_
from typing import Final

from jotgate.core.circumstances import Circumstances, find_address, is_open
from jotgate.core.policy_values import Policy

_ADDRESSES_MAX: Final = 8_192


class Conditions:
    """The conditions of policies.

    Mutable: what fits some addresses that have called, and what fits this second.
    """

    __slots__ = ("_addressed", "_aged", "_older", "_second", "_seen", "_timed", "_timely", "_younger", "_zones", "any")

    def __init__(self, policies: Sequence[Policy], zones: Mapping[str, tzinfo]) -> None:
        self._zones = zones
        self._addressed = _Networks(policies)
        self._seen: dict[str, int | None] = {}
        self._timed = [(1 << place, policy) for place, policy in enumerate(policies) if policy.times]
        self._second = -1
        self._timely: tuple[int, int] = (0, 0)
        self._older = _Steps((policy.older_s, 1 << place) for place, policy in enumerate(policies))
        self._younger = _Steps((policy.younger_s, 1 << place) for place, policy in enumerate(policies))
        self._aged: Final = self._older.all | self._younger.all
        self.any: Final = self._addressed.all | sum(bit for bit, _ in self._timed) | self._aged
        """Those that have any."""

    def fit(self, asked: int, now: Circumstances, age_s: float | None, *, unknown: bool) -> int:
        """Those of the places asked about that fit. `age_s` is the token's, None where it is not known."""
        if asked & self._addressed.all:
            held = self._holding(now.address)
            if held is not None or not unknown:
                asked &= ~self._addressed.all | (held or 0)
        if self._timed:
            asked &= self._open(now.now_s)[unknown]
        if asked & self._aged:
            if age_s is None:
                asked &= -1 if unknown else ~self._aged
            else:
                asked &= ~self._older.all | self._older.up_to(age_s)
                asked &= ~self._younger.up_to(age_s)
        return asked

    def _holding(self, address: str) -> int | None:
        """Those one of whose networks holds an address; None: it is none."""
        if address not in self._seen:
            if len(self._seen) >= _ADDRESSES_MAX:
                self._seen.clear()
            self._seen[address] = self._addressed.find(address)
        return self._seen[address]

    def _open(self, now_s: float) -> tuple[int, int]:
        """Those without windows, and those with one that is open: where a zone is unknown, without it and with it."""
        second = floor(now_s)  # No clock on a wall goes on in between.
        if second != self._second:
            self._second, self._timely = (
                second,
                (~self._closed(second, unknown=False), ~self._closed(second, unknown=True)),
            )
        return self._timely

    def _closed(self, now_s: float, *, unknown: bool) -> int:
        """Those with windows of which none is open."""
        return sum(bit for bit, policy in self._timed if not is_open(policy.times, self._zones, now_s, unknown=unknown))


class _Networks:
    """The networks of all policies; those that hold an address are found in a look for each length there is."""

    __slots__ = ("_by_length", "all")

    def __init__(self, policies: Sequence[Policy]) -> None:
        self._by_length: dict[tuple[int, int], dict[int, int]] = {}
        self.all = 0
        for place, policy in enumerate(policies):
            for network in map(ip_network, policy.addresses):
                shift = network.max_prefixlen - network.prefixlen
                heads = self._by_length.setdefault((network.version, shift), {})
                head = int(network.network_address) >> shift
                heads[head] = heads.get(head, 0) | 1 << place
                self.all |= 1 << place

    def find(self, text: str) -> int | None:
        """The policies one of whose networks holds an address; None: the text is none."""
        address = find_address(text)
        if address is None:
            return None
        number, found = int(address), 0
        for (version, shift), heads in self._by_length.items():
            if version == address.version:
                found |= heads.get(number >> shift, 0)
        return found


class _Steps:
    """Bounds on an age, each with the policy that has it."""

    __slots__ = ("_bounds", "_found", "all")

    def __init__(self, bounds: Iterable[tuple[int | None, int]]) -> None:
        known = sorted((bound, bit) for bound, bit in bounds if bound is not None)
        self._bounds = [bound for bound, _ in known]
        self._found: list[int] = [0, *accumulate((bit for _, bit in known), or_)]
        self.all: Final = self._found[-1]

    def up_to(self, age_s: float) -> int:
        """The policies whose bound is not beyond an age."""
        return self._found[bisect_right(self._bounds, age_s)]

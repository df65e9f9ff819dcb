"""What is another at each call of the same caller: address, time and the age of the token; and what policies say of it.

What cannot be known is told by `unknown`, which is what the answer then is.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from msgspec import Struct

from jotgate.core.policy_values import Window


class Circumstances(Struct, frozen=True):
    """What is another at each call: the address of its caller and the time (NumericDate)."""

    address: str
    now_s: float


class Networks:
    """Addresses and networks, of which one that holds an address is found in a look for each length there is."""

    __slots__ = ("_by_length",)

    def __init__(self, networks: Iterable[str]) -> None:
        found: dict[tuple[int, int], set[int]] = {}
        for one in map(ip_network, networks):
            shift = one.max_prefixlen - one.prefixlen
            found.setdefault((one.version, shift), set()).add(int(one.network_address) >> shift)
        self._by_length = [(version, shift, frozenset(heads)) for (version, shift), heads in found.items()]

    def hold(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether one of them holds this address."""
        number, kind = int(address), address.version
        return any(version == kind and number >> shift in heads for version, shift, heads in self._by_length)


@lru_cache(maxsize=1_024)
def find_networks(addresses: tuple[str, ...]) -> Networks:
    """Those of a policy. Raises ValueError: one of them is none."""
    return Networks(addresses)


@lru_cache(maxsize=8_192)
def is_within(networks: Networks, address: str, *, unknown: bool) -> bool:
    """Whether an address is in one of them; an IPv4 address that is written as IPv6 is that IPv4 address."""
    found = _parse(address)
    return unknown if found is None else networks.hold(found)


def is_open(windows: Iterable[Window], zones: Mapping[str, tzinfo], now_s: float, *, unknown: bool) -> bool:
    """Whether a time (NumericDate) is in one of these windows."""
    for one in windows:
        zone = zones.get(one.zone)
        if unknown if zone is None else _holds(one, datetime.fromtimestamp(now_s, zone)):
            return True
    return False


def is_of_age(age_s: float | None, older_s: int | None, younger_s: int | None, *, unknown: bool) -> bool:
    """Whether an age in seconds, None where it is not known, is `older_s` or more and less than `younger_s`."""
    if older_s is None and younger_s is None:
        return True
    if age_s is None:
        return unknown
    return (older_s is None or age_s >= older_s) and (younger_s is None or age_s < younger_s)


def _parse(address: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(address)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _holds(window: Window, local: datetime) -> bool:
    minute, day = local.hour * 60 + local.minute, local.weekday()
    if window.begin < window.end:
        return day in window.days and window.begin <= minute < window.end
    before = (day - 1) % 7
    return (day in window.days and minute >= window.begin) or (before in window.days and minute < window.end)

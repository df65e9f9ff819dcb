"""What is another at each call of the same caller, and what policies say of it.

What cannot be known is told by `unknown`, which is what the answer then is.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo
from ipaddress import IPv4Address, IPv6Address, ip_address

from msgspec import Struct

from jotgate.core.policy_values import Window


class Circumstances(Struct, frozen=True):
    """What is another at each call: the address of its caller and the time (NumericDate)."""

    address: str
    now_s: float


def is_open(windows: Iterable[Window], zones: Mapping[str, tzinfo], now_s: float, *, unknown: bool) -> bool:
    """Whether a time (NumericDate) is in one of these windows."""
    for one in windows:
        zone = zones.get(one.zone)
        if unknown if zone is None else _holds(one, datetime.fromtimestamp(now_s, zone)):
            return True
    return False


def find_address(address: str) -> IPv4Address | IPv6Address | None:
    """The address that a text is, one of IPv4 that is written as IPv6 as itself; None: it is none."""
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

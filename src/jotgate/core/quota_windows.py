"""The windows in which limits count: when the one of now began, and when it ends.

Days and months are those of a zone's clock, whose rules the caller has; minutes and hours are those of UTC. A window is
all the time from its beginning to that of the next one, however the clock of its zone jumps meanwhile: midnight that
comes twice begins a day when it comes first, and one that is left out when the clock jumps over it.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta, tzinfo
from typing import Final

from msgspec import Struct

from jotgate.core.quotas import Limit

_DAY: Final = timedelta(days=1)
_SECONDS: Final = {"minute": 60, "hour": 3_600}


class Window(Struct, frozen=True):
    """When a window began, and when it ends (NumericDates); None: never."""

    starts_s: int = 0
    ends_at_s: int | None = None


ENDLESS: Final = Window()
"""That of lifetimes, rates, and calls at once."""


def find_window(limit: Limit, now_s: float, zone_of: Callable[[str], tzinfo | None]) -> Window | None:
    """The window of a limit at `now_s`; None: its zone is one that nobody here knows."""
    seconds = _SECONDS.get(limit.window)
    if seconds is not None:
        starts_s = int(now_s // seconds) * seconds
        return Window(starts_s, starts_s + seconds)
    if limit.window not in {"day", "month"}:
        return ENDLESS
    zone = zone_of(limit.zone)
    if zone is None:
        return None
    following = _next_day if limit.window == "day" else _next_month
    return _find(datetime.fromtimestamp(now_s, zone).date(), now_s, following, zone)


def _find(today: date, now_s: float, following: Callable[[date, int], date], zone: tzinfo) -> Window:
    """The window that has `now_s` in it. A clock that goes back over midnight shows the day before once more."""
    first = following(today, 0)
    while _midnight_s(first, zone) > now_s:
        first = following(first, -1)
    while (ends_at_s := _midnight_s(following(first, 1), zone)) <= now_s:
        first = following(first, 1)
    return Window(_midnight_s(first, zone), ends_at_s)


def _next_day(first: date, steps: int) -> date:
    return first + steps * _DAY


def _next_month(first: date, steps: int) -> date:
    months = first.year * 12 + first.month - 1 + steps
    return date(months // 12, months % 12 + 1, 1)


def _midnight_s(day: date, zone: tzinfo) -> int:
    """When a day begins: at the first of two midnights, or when the clock jumps over it (PEP 495, fold 0)."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())

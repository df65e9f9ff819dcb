"""Windows of quotas: every moment is in exactly one, whatever clocks do at midnight."""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jotgate.core.quota_windows import ENDLESS, Window, find_window
from jotgate.core.quotas import Limit, WindowKind

ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Beirut",
    "America/St_Johns", "Atlantic/Azores", "America/Havana", "Asia/Kathmandu", "Pacific/Chatham",
)  # fmt: skip


def zone_of(name: str) -> tzinfo | None:
    """The clocks of this machine."""
    return None if name == "Nowhere/Land" else ZoneInfo(name)


def find(window: WindowKind, text: str, zone: str = "UTC") -> tuple[str, str]:
    """When the window of a moment begins and ends, in UTC."""
    found = find_window(Limit("requests", 1, window, zone), datetime.fromisoformat(text).timestamp(), zone_of)
    assert found is not None
    assert found.ends_at_s is not None
    begin, end = (datetime.fromtimestamp(one, UTC) for one in (found.starts_s, found.ends_at_s))
    return begin.strftime("%Y-%m-%d %H:%M"), end.strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("window", "zone", "now", "begin", "end"),
    [
        ("minute", "UTC", "2027-01-15 08:00:59.999+00:00", "2027-01-15 08:00", "2027-01-15 08:01"),
        ("minute", "UTC", "2027-01-15 08:01+00:00", "2027-01-15 08:01", "2027-01-15 08:02"),
        ("hour", "Asia/Kolkata", "2027-01-15 08:40+00:00", "2027-01-15 08:00", "2027-01-15 09:00"),
        ("day", "UTC", "2027-01-15 08:40+00:00", "2027-01-15 00:00", "2027-01-16 00:00"),
        ("day", "Asia/Kolkata", "2027-01-15 18:30+00:00", "2027-01-15 18:30", "2027-01-16 18:30"),
        # The day on which clocks go forward has 23 hours, that on which they go back 25.
        ("day", "Europe/Berlin", "2027-03-28 12:00+00:00", "2027-03-27 23:00", "2027-03-28 22:00"),
        ("day", "Europe/Berlin", "2027-10-31 12:00+00:00", "2027-10-30 22:00", "2027-10-31 23:00"),
        ("month", "UTC", "2027-12-31 23:59+00:00", "2027-12-01 00:00", "2028-01-01 00:00"),
        ("month", "Europe/Berlin", "2027-03-31 22:00+00:00", "2027-03-31 22:00", "2027-04-30 22:00"),
        ("month", "Europe/Berlin", "2027-03-31 21:59+00:00", "2027-02-28 23:00", "2027-03-31 22:00"),
        # In Beirut the clock jumps over midnight.
        ("day", "Asia/Beirut", "2022-03-27 12:00+00:00", "2022-03-26 22:00", "2022-03-27 21:00"),
        # In Havana midnight comes twice: the day begins with the first.
        ("day", "America/Havana", "2023-11-05 04:30+00:00", "2023-11-05 04:00", "2023-11-06 05:00"),
        ("day", "America/Havana", "2023-11-05 05:30+00:00", "2023-11-05 04:00", "2023-11-06 05:00"),
        # Samoa left out a whole day.
        ("day", "Pacific/Apia", "2011-12-30 09:59+00:00", "2011-12-29 10:00", "2011-12-30 10:00"),
        ("day", "Pacific/Apia", "2011-12-30 10:00+00:00", "2011-12-30 10:00", "2011-12-31 10:00"),
        # In Newfoundland the clock went back into the day before, a minute after midnight.
        ("day", "America/St_Johns", "2010-11-07 02:30:30+00:00", "2010-11-07 02:30", "2010-11-08 03:30"),
        ("day", "America/St_Johns", "2010-11-07 02:45+00:00", "2010-11-07 02:30", "2010-11-08 03:30"),
    ],
)
def test_a_window_is_that_of_its_clock(window: WindowKind, zone: str, now: str, begin: str, end: str) -> None:
    assert find(window, now, zone) == (begin, end)


@pytest.mark.parametrize("window", ["lifetime", "rate", "now"])
def test_some_windows_never_end(window: WindowKind) -> None:
    assert find_window(Limit("requests", 1, window), 1e9, zone_of) == ENDLESS == Window(0, None)


def test_a_zone_that_nobody_knows_has_no_window_where_its_clock_matters() -> None:
    found = {
        window: find_window(Limit("requests", 1, window, "Nowhere/Land"), 1e9, zone_of)
        for window in ("hour", "day", "month", "lifetime")
    }
    assert [name for name, one in found.items() if one is None] == ["day", "month"]


@given(
    now_s=st.integers(1_100_000_000, 2_200_000_000),
    zone=st.sampled_from(ZONES),
    window=st.sampled_from(["minute", "hour", "day", "month"]),
)
def test_windows_follow_one_another_without_gaps(now_s: int, zone: str, window: WindowKind) -> None:
    limit = Limit("requests", 1, window, zone)
    found = find_window(limit, now_s, zone_of)
    assert found is not None
    assert found.ends_at_s is not None
    assert found.starts_s <= now_s < found.ends_at_s
    edges = (found.starts_s, (found.starts_s + found.ends_at_s) // 2, found.ends_at_s - 0.001)
    assert {find_window(limit, edge, zone_of) for edge in edges} == {found}
    after = find_window(limit, found.ends_at_s, zone_of)
    assert after is not None
    assert after.starts_s == found.ends_at_s


def test_a_day_that_was_left_out_is_no_window() -> None:
    limit, seen, now = Limit("requests", 1, "day", "Pacific/Apia"), set(), datetime(2011, 12, 28, tzinfo=UTC)
    for hours in range(96):
        seen.add(find_window(limit, (now + timedelta(hours=hours)).timestamp(), zone_of))
    assert {one.ends_at_s - one.starts_s for one in seen if one and one.ends_at_s} == {86_400}

"""Windows of time: what is inside, what is at the edge, and what cannot be known."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from jotgate.core.circumstances import is_open
from jotgate.core.policy_values import Window

WEEK = (0, 1, 2, 3, 4)
BERLIN = "Europe/Berlin"


def opened(window: Window, local: str, zone: str = "UTC") -> bool:
    """Whether a window is open at a local time."""
    place = ZoneInfo(zone)
    return is_open(
        (window,), {zone: place}, datetime.fromisoformat(local).replace(tzinfo=place).timestamp(), unknown=False
    )


@pytest.mark.parametrize(
    ("local", "open_then"),
    [
        ("2027-01-04T07:59:59", False),
        ("2027-01-04T08:00:00", True),
        ("2027-01-04T17:59:59", True),
        ("2027-01-04T18:00:00", False),
        ("2027-01-08T12:00:00", True),
        ("2027-01-09T12:00:00", False),
    ],
)
def test_a_window_opens_and_closes_to_the_minute_on_its_days(local: str, open_then: bool) -> None:
    assert opened(Window(WEEK, 480, 1_080, "UTC"), local) is open_then


@pytest.mark.parametrize(
    ("local", "open_then"),
    [
        ("2027-01-04T05:59", False),  # Monday: it would have begun on Sunday
        ("2027-01-04T22:00", True),
        ("2027-01-05T05:59", True),
        ("2027-01-05T06:00", False),
        ("2027-01-09T05:59", True),  # Saturday: it began on Friday
        ("2027-01-09T22:00", False),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_began(local: str, open_then: bool) -> None:
    assert opened(Window(WEEK, 1_320, 360, "UTC"), local) is open_then


def test_whole_days() -> None:
    whole = Window((5, 6), 0, 1_440, "UTC")
    assert opened(whole, "2027-01-09T00:00")
    assert opened(whole, "2027-01-10T23:59:59")
    assert not opened(whole, "2027-01-11T00:00")


def test_a_window_goes_by_the_clock_on_its_own_wall() -> None:
    morning = Window(WEEK, 480, 540, BERLIN)
    zones = {BERLIN: ZoneInfo(BERLIN)}
    for moment, open_then in (
        (datetime(2027, 1, 4, 7, 30, tzinfo=UTC), True),
        (datetime(2027, 7, 5, 7, 30, tzinfo=UTC), False),
        (datetime(2027, 7, 5, 6, 30, tzinfo=UTC), True),
    ):
        assert is_open((morning,), zones, moment.timestamp(), unknown=True) is open_then


@pytest.mark.parametrize("unknown", [True, False])
def test_a_window_of_an_unknown_zone_is_unknown_unless_another_is_open(unknown: bool) -> None:
    known, other = Window((0,), 0, 1_440, "UTC"), Window((0,), 0, 1_440, "Nowhere")
    monday = datetime(2027, 1, 4, 12, tzinfo=UTC).timestamp()
    assert is_open((other,), {"UTC": UTC}, monday, unknown=unknown) is unknown
    assert is_open((other, known), {"UTC": UTC}, monday, unknown=unknown) is True

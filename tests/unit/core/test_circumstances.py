"""Address, time and age of a token: what is inside, what is at the edge, and what cannot be known."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from jotgate.core.circumstances import Networks, is_of_age, is_open, is_within
from jotgate.core.policy_values import Window

NETWORKS = Networks(("10.0.0.0/8", "192.0.2.7", "2001:db8::/32"))
WEEK = (0, 1, 2, 3, 4)
BERLIN = "Europe/Berlin"


@pytest.mark.parametrize("unknown", [True, False])
@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.0.0.0", True),
        ("10.255.255.255", True),
        ("11.0.0.0", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:11.1.2.3", False),
        ("::a00:1", False),  # the number of 10.0.0.1, as an IPv6 address
    ],
)
def test_an_address_is_in_a_network_or_not(address: str, inside: bool, unknown: bool) -> None:
    assert is_within(NETWORKS, address, unknown=unknown) is inside


@pytest.mark.parametrize("unknown", [True, False])
@pytest.mark.parametrize("address", ["", "unix", "10.0.0.1:80", "10.0.0"])
def test_what_is_no_address_is_unknown(address: str, unknown: bool) -> None:
    assert is_within(NETWORKS, address, unknown=unknown) is unknown


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


@pytest.mark.parametrize(
    ("age_s", "older_s", "younger_s", "fits"),
    [
        (59.9, 60, None, False),
        (60.0, 60, None, True),
        (59.9, None, 60, True),
        (60.0, None, 60, False),
        (90.0, 60, 120, True),
        (-1.0, None, 60, True),
    ],
)
def test_an_age_is_over_from_its_bound_on_and_under_before(
    age_s: float, older_s: int | None, younger_s: int | None, fits: bool
) -> None:
    assert is_of_age(age_s, older_s, younger_s, unknown=not fits) is fits


@pytest.mark.parametrize("unknown", [True, False])
def test_an_unknown_age_matters_only_where_one_is_asked_for(unknown: bool) -> None:
    assert is_of_age(None, 60, None, unknown=unknown) is unknown
    assert is_of_age(None, None, 60, unknown=unknown) is unknown
    assert is_of_age(None, None, None, unknown=unknown) is True

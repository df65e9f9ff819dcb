"""Clocks of zones, from the rules of this machine."""

from datetime import UTC, datetime, timedelta

import pytest

from jotgate.stores.zone_rules import zone_of


def test_a_zone_is_found_by_its_name() -> None:
    zone = zone_of("Europe/Berlin")
    assert datetime(2027, 7, 1, tzinfo=zone).utcoffset() == timedelta(hours=2)
    assert zone_of("UTC") is UTC


@pytest.mark.parametrize("name", ["Nowhere/Land", "", "Europe", "../../etc/passwd", "/etc/passwd", "a\0b"])
def test_what_is_no_zone_is_none(name: str) -> None:
    assert zone_of(name) is None

"""The way to a claim: read, written, and refused where it is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jotgate.core.claim_paths import parse_path, write_path
from jotgate.core.times import parse_time_s

_NAMES = st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp")), min_size=1)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", ()),
        ("sub", ("sub",)),
        ("realm_access.roles", ("realm_access", "roles")),
        ('"https://app.example/roles"', ("https://app.example/roles",)),
        ('resource_access."my.client".roles', ("resource_access", "my.client", "roles")),
        ('"a\\"b\\\\c"', ('a"b\\c',)),
        ("urn:x:roles", ("urn:x:roles",)),
        ("$type", ("$type",)),
    ],
)
def test_a_path_is_read(text: str, path: tuple[str, ...]) -> None:
    assert parse_path(text) == path


@pytest.mark.parametrize(
    "text", [".", "a.", ".a", "a..b", "a b", '"a', '"a"b', '""', "a\0", '"a\0"', '"a\u202eb"', "ä", "a.b.c.d.e.f.g.h.i"]
)
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not the way to a claim"):
        parse_path(text)


@given(st.lists(_NAMES, min_size=1, max_size=8).map(tuple))
def test_every_name_can_be_written(path: tuple[str, ...]) -> None:
    assert parse_path(write_path(path)) == path


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:01z", 1),
        ("1970-01-01T01:00:00.999+01:00", 0),
        ("2027-01-15T08:00:00Z", 1_800_000_000),
    ],
)
def test_a_time_is_that_of_rfc_3339(text: str, seconds: int) -> None:
    assert parse_time_s(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "2027-01-15",
        "2027-01-15T08:00:00",
        "2027-13-15T08:00:00Z",
        "2027-01-15 08:00:00Z",
        "2027-W01-1T00:00:00Z",
    ]
    + ["20270115T080000Z", "2027-01-15T24:00:00Z", "2027-01-15T08:00:00+25:00", "٢٠٢٧-01-15T08:00:00Z", "x" * 9999],
)
def test_what_is_no_such_time_is_none(text: str) -> None:
    assert parse_time_s(text) is None

"""Rate limits as frameworks write them, read as limits."""

import pytest

from jotgate.core.limit_texts import read_limit
from jotgate.core.rate_texts import read_rates
from jotgate.errors import CommandError


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("10/minute", ("10 requests/minute",)),
        ("100/hour", ("100 requests/hour",)),
        ("10 per 1 minute", ("10 requests/minute",)),
        ("5 Per 2 Hours", ("5 requests/7200s",)),
        ("7/second", ("7 requests/1s",)),
        ("3/5minutes; 100/day", ("3 requests/300s", "100 requests/day")),
        ("0/month", ("0 requests/month",)),
    ],
)
def test_a_rate_is_a_limit(text: str, limits: tuple[str, ...]) -> None:
    assert read_rates(text) == limits
    assert all(read_limit(one).unit == "requests" for one in limits)


@pytest.mark.parametrize(
    "text", ["", "ten/minute", "10", "10/fortnight", "10/year", "-1/minute", "10/minute;", "2 per 2 months"]
)
def test_what_is_no_rate_is_refused_with_one_that_is(text: str) -> None:
    with pytest.raises(CommandError) as caught:
        read_rates(text)
    assert caught.value.hint

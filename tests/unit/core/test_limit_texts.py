"""Limits as texts: what each form means, that a written one reads back as the same, and what is said of the others."""

import pytest

from jotgate.core.limit_texts import (
    AMOUNT_MAX,
    LIMITS_MAX,
    check_zones,
    read_limit,
    read_limits,
    write_amount,
    write_limit,
)
from jotgate.core.quotas import Limit
from jotgate.errors import CommandError

READ = {
    "1000 requests": Limit("requests", 1000),
    "1000 requests/lifetime": Limit("requests", 1000),
    "0 requests": Limit("requests", 0),
    "1 request/minute": Limit("requests", 1, "minute"),
    "1_000_000 tokens/hour": Limit("total_tokens", 1_000_000, "hour"),
    "7 total_tokens": Limit("total_tokens", 7),
    "7 input_tokens/day": Limit("input_tokens", 7, "day"),
    "7 output_tokens/month": Limit("output_tokens", 7, "month"),
    "7 tool_calls/day": Limit("tool_calls", 7, "day"),
    "5 USD/month in Europe/Berlin": Limit("cost", 5_000_000_000, "month", "Europe/Berlin"),
    "2.5 USD": Limit("cost", 2_500_000_000),
    "0.000000001 usd": Limit("cost", 1),
    "60 requests/60s burst 10": Limit("requests", 60, "rate", period_s=60, burst=10),
    "60 requests/1m": Limit("requests", 60, "rate", period_s=60),
    "60 requests/60s burst 60": Limit("requests", 60, "rate", period_s=60),
    "1 USD/1h burst 0.25": Limit("cost", 1_000_000_000, "rate", period_s=3_600, burst=250_000_000),
    "4 concurrent": Limit("concurrent", 4, "now"),
    "5 requests/day in UTC": Limit("requests", 5, "day"),
    "5  requests / day  in UTC": Limit("requests", 5, "day"),
}


@pytest.mark.parametrize("text", READ)
def test_a_limit_means_what_it_says_and_is_written_as_it_is_read(text: str) -> None:
    limit = read_limit(text)
    assert limit == READ[text]
    assert read_limit(write_limit(limit)) == limit


def test_a_limit_has_one_way_in_which_it_is_written() -> None:
    assert write_limit(read_limit("1_000 request/lifetime")) == "1000 requests"
    assert write_limit(read_limit("2.50 usd / month in UTC")) == "2.5 USD/month"
    assert write_limit(read_limit("60 requests/1m burst 10")) == "60 requests/60s burst 10"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no limit"),
        ("1000", "is no limit"),
        ("requests", "is no limit"),
        ("1000 requests/day please", "is no limit"),
        ("5 requests/day in", "is no limit"),
        ("5 requests\n", "is no limit"),
        ("-1 requests", "is no whole number"),
        ("1.5 requests", "is no whole number"),
        ("1e3 requests", "is no whole number"),
        ("٣ requests", "is no whole number"),
        ("1__0 requests", "is no whole number"),
        (f"{AMOUNT_MAX + 1} requests", "is more than a limit can be"),
        ("9999999999 USD", "is more than a limit can be"),
        ("1.0000000001 USD", "at most nine decimal places"),
        ("1_000 USD", "at most nine decimal places"),
        ("nan USD", "at most nine decimal places"),
        ("5 calls", "counts no unit that there is"),
        ("5 reqests", "did you mean 'requests'"),
        ("5 requests/days", "did you mean 'day'"),
        ("5 requests/week", "has no window that there is"),
        ("5 requests/0s", "has no window that there is"),
        ("5 requests/5w", "a span of more than 31 days"),
        ("0 requests/60s", "is a rate of nothing"),
        ("4 concurrent/day", "counted now"),
        ("4 concurrent/lifetime", "counted now"),
        ("5 requests/hour in Europe/Berlin", "days and months alone begin"),
        ("5 requests in UTC", "days and months alone begin"),
        ("5 requests/day in ../etc/passwd", "no name of a time zone"),
        ("5 requests/day in a/b/c/d", "no name of a time zone"),
        (f"5 requests/day in {'a' * 65}", "no name of a time zone"),
        ("5 requests/day burst 2", "rates alone have"),
        ("5 requests/60s burst 0", "would let nothing through"),
        ("5 requests/60s burst x", "is no whole number"),
    ],
)
def test_what_is_no_limit_is_refused_with_how_one_is_written(text: str, why: str) -> None:
    with pytest.raises(CommandError, match=why) as caught:
        read_limit(text)
    assert '"1000 requests/day"' in caught.value.hint


def test_several_are_read_once_each_and_not_more_than_may_be() -> None:
    assert read_limits(["1 request", "4 concurrent", "1 requests"]) == (
        Limit("requests", 1),
        Limit("concurrent", 4, "now"),
    )
    with pytest.raises(CommandError, match=f"more than {LIMITS_MAX} limits"):
        read_limits(f"{number} requests" for number in range(LIMITS_MAX + 1))


def test_amounts_are_written_for_people() -> None:
    assert [write_amount(one, "cost") for one in (0, 1, 2_500_000_000, -1, -2_000_000_000)] == [
        "0",
        "0.000000001",
        "2.5",
        "-0.000000001",
        "-2",
    ]
    assert write_amount(1_000_000, "total_tokens") == "1000000"


def test_a_zone_has_to_be_known() -> None:
    limits = read_limits(["1 request/day in Europe/Berlin"])
    check_zones(limits, {"Europe/Berlin"}.__contains__)
    with pytest.raises(CommandError, match="'1 requests/day in Europe/Berlin' names a time zone that this machine"):
        check_zones(limits, {"UTC"}.__contains__)

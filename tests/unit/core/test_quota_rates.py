"""Rates: over any span at most the burst and what the time is worth, and never one refused that has been waited for."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jotgate.core.quota_rates import available, burst_of, share_us, wait_s
from jotgate.core.quotas import Limit

NOW_US = 1_800_000_000_000_000


def rate(amount: int, period_s: int, burst: int = 0) -> Limit:
    """So many requests in a period."""
    return Limit("requests", amount, "rate", period_s=period_s, burst=burst)


@pytest.mark.parametrize("amount", [1, 3, 7, 60, 999_983])
def test_an_idle_rate_has_its_whole_burst(amount: int) -> None:
    assert available(rate(amount, 60), 0, NOW_US) == amount
    assert available(rate(amount, 60, burst=1), 0, NOW_US) == 1
    assert burst_of(rate(amount, 60)) == amount


def test_a_rate_of_nothing_grants_nothing() -> None:
    none = rate(0, 60, burst=5)
    assert (available(none, 0, NOW_US), share_us(none, 3), wait_s(none, 1, 0, NOW_US)) == (0, 0, inf)


def test_a_unit_may_come_when_its_share_of_the_period_is_over() -> None:
    limit = rate(60, 60, burst=2)
    arrival_us = NOW_US + share_us(limit, 2)
    assert available(limit, arrival_us, NOW_US) == 0
    assert wait_s(limit, 1, arrival_us, NOW_US) == 1.0
    assert available(limit, arrival_us, NOW_US + 999_999) == 0
    assert available(limit, arrival_us, NOW_US + 1_000_000) == 1
    assert wait_s(limit, 3, arrival_us, NOW_US) == inf


takes = st.lists(st.tuples(st.integers(0, 30_000_000), st.integers(1, 20)), min_size=1, max_size=40)


@given(takes=takes, amount=st.integers(1, 50), period_s=st.integers(1, 60), burst=st.integers(0, 20))
def test_no_span_has_more_than_its_bound(takes: list[tuple[int, int]], amount: int, period_s: int, burst: int) -> None:
    limit = rate(amount, period_s, burst)
    now_us, arrival_us = NOW_US, 0
    granted: list[tuple[int, int]] = []
    for after_us, want in takes:
        now_us += after_us
        units = min(want, available(limit, arrival_us, now_us))
        if units:
            arrival_us = max(arrival_us, now_us) + share_us(limit, units)
            granted.append((now_us, units))
        else:
            wait_us = round(wait_s(limit, 1, arrival_us, now_us) * 1e6)
            assert available(limit, arrival_us, now_us + wait_us) >= 1
            assert wait_us == 0 or available(limit, arrival_us, now_us + wait_us - 1) == 0
    for first, (begin_us, _) in enumerate(granted):
        for last in range(first, len(granted)):
            span_s = (granted[last][0] - begin_us) / 1e6
            total = sum(units for _, units in granted[first : last + 1])
            assert total <= burst_of(limit) + span_s * amount / period_s + 1e-3

"""Rates (GCRA): so much in each period, and at most a burst at once, from one number, the theoretical arrival time.

Each unit moves that time by its share of the period. What may come at once is what lies between it and now plus the
burst's share. Times are whole microseconds; rounding refuses rather than grants.
"""

from typing import Final

from jotgate.core.quotas import Limit

_SPAN_MAX_US: Final = 2**60


def available(limit: Limit, arrival_us: int, now_us: int) -> int:
    """How many units may come now."""
    room_us = now_us + share_us(limit, burst_of(limit)) - max(arrival_us, now_us)
    return min(burst_of(limit), max(0, room_us) * limit.amount // _period_us(limit))


def share_us(limit: Limit, units: int) -> int:
    """By how much so many units move the arrival time."""
    return -(-units * _period_us(limit) // limit.amount) if limit.amount else 0


def wait_s(limit: Limit, units: int, arrival_us: int, now_us: int) -> float:
    """In how many seconds so many units may come; infinite: never, as they are more than the burst."""
    if units > burst_of(limit):
        return float("inf")
    free_at_us = max(arrival_us, now_us) + share_us(limit, units) - share_us(limit, burst_of(limit))
    return max(0, free_at_us - now_us) / 1e6


def burst_of(limit: Limit) -> int:
    """How many units may come at once: no more than 36,000 years are worth, so that a database can hold the times."""
    if limit.amount <= 0:
        return 0
    return min(limit.burst or limit.amount, max(1, _SPAN_MAX_US * limit.amount // _period_us(limit)))


def _period_us(limit: Limit) -> int:
    return max(1, limit.period_s) * 1_000_000

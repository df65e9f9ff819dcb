"""The sizes of a run."""

from dataclasses import replace

import pytest

from bench.candidates import CANDIDATES, Part
from bench.plan import FULL, QUICK, Plan, Stream
from bench.rounds import SETTLE_S

TINY = replace(
    FULL,
    paced=Stream(connections=8, rounds=1, chunks=20, interval_us=2_000),
    blast=Stream(connections=4, rounds=1, chunks=500, interval_us=0),
)


def test_a_stream_expects_every_event_of_every_round() -> None:
    assert Stream(connections=3, rounds=2, chunks=50, interval_us=0).expected == 300


@pytest.mark.parametrize("plan", [FULL, QUICK], ids=lambda plan: plan.name)
def test_a_median_of_rounds_is_a_round(plan: Plan) -> None:
    """An odd number of rounds: the median is a figure that was measured."""
    assert plan.rounds % 2 == 1


def test_the_whole_run_stays_under_twenty_minutes() -> None:
    """Loads and settling of every visit, a blast of a second; starts, memory, reloads and audit logs have the rest."""
    plan = FULL
    paced_s = plan.paced.rounds * plan.paced.chunks * plan.paced.interval_us / 1e6
    parts_s: dict[Part, float] = {
        "closed": plan.closed_laps * (plan.closed_s + SETTLE_S),
        "tokens": plan.closed_laps * (plan.closed_s + SETTLE_S),
        "rate": plan.rate_s,
        "paced": paced_s + SETTLE_S,
        "blast": 1.0 + SETTLE_S,
        "large": plan.large_s + SETTLE_S,
        "fresh": plan.fresh_s + SETTLE_S,
        "steady": plan.steady_s + SETTLE_S,
    }
    visits_s = sum(plan.warm_s + sum(parts_s[part] for part in parts) for parts in CANDIDATES.values())

    assert plan.rounds * visits_s < 1_000
    assert plan.reloads * 0.5 < 15


def test_latency_is_taken_as_it_was_promised() -> None:
    assert (FULL.rounds >= 7, FULL.rate_rps, FULL.rate_s) == (True, 500, 10)


def test_workers_are_compared_as_it_was_promised() -> None:
    assert FULL.steady_rps == 2_000

"""The sizes of a run."""

from dataclasses import replace

import pytest

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


def test_the_whole_run_stays_under_five_minutes() -> None:
    """Loads and settling of three candidates, a blast of a second each; starts and the audit log have the rest."""
    paced_s = FULL.paced.rounds * FULL.paced.chunks * FULL.paced.interval_us / 1e6
    visit_s = FULL.warm_s + FULL.closed_s + FULL.rate_s + paced_s + 3 * SETTLE_S + 1.0

    assert FULL.rounds * visit_s * 3 < 270

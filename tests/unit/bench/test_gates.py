"""The gates: where exactly they break, and that what was not measured never counts as held."""

import pytest

from bench.gates import GATES, Gate, Verdict, judge
from bench.starting import Starts
from bench.summary import Summary


def summary(median: float) -> Summary:
    return Summary(median, median / 2, median * 2)


@pytest.mark.parametrize(
    ("median", "standing"),
    [(1.79, "goal reached"), (1.8, "goal reached"), (1.81, "holds"), (2.2, "holds"), (2.21, "BROKEN")],
)
def test_a_median_stands_to_limit_and_goal(median: float, standing: str) -> None:
    gate = Gate("request_cpu_us", "CPU per request", "x", 2.2, 1.8)

    assert Verdict(gate, summary(median)).standing == standing


def test_without_a_goal_there_is_only_the_limit() -> None:
    gate = Gate("help_s", "help", "s", 0.2)

    assert Verdict(gate, summary(0.01)).standing == "holds"


def test_what_was_not_measured_does_not_hold() -> None:
    assert [verdict.standing for verdict in judge({}, None)] == ["not measured"] * len(GATES)


def test_every_gate_is_judged_by_the_median_of_its_own_samples() -> None:
    starts = Starts(first_s=[0.9, 2.5, 1.0], again_s=[2.1, 0.5, 2.2], help_s=[0.1, 0.15])

    verdicts = judge({"request_cpu_us": summary(2.0), "chunk_cpu_us": summary(1.9)}, starts)

    assert {verdict.gate.key: verdict.standing for verdict in verdicts} == {
        "request_cpu_us": "holds",
        "chunk_cpu_us": "BROKEN",
        "first_s": "holds",
        "again_s": "BROKEN",
        "help_s": "holds",
    }


def test_the_limits_are_those_that_were_promised() -> None:
    assert {gate.key: (gate.limit, gate.goal) for gate in GATES} == {
        "request_cpu_us": (2.2, 1.8),
        "chunk_cpu_us": (1.8, 1.4),
        "first_s": (2.0, None),
        "again_s": (2.0, None),
        "help_s": (0.2, None),
    }

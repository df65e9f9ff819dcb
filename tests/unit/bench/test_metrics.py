"""How figures follow from counts and nanoseconds."""

import json

import pytest

from bench.load import LoadResult, parse_result
from bench.metrics import (
    METRICS,
    Spent,
    blast_figures,
    closed_figures,
    cost_figures,
    paced_figures,
    rate_figures,
    straight_figures,
    token_figures,
)
from tests.unit.bench.test_load import PRINTED


def result(**fields: object) -> LoadResult:
    return parse_result(json.dumps(json.loads(PRINTED) | fields))


def spent(candidate_ns: int = 0, mock_ns: int = 0, core_ns: int = 0, elapsed_ns: int = 1) -> Spent:
    return Spent(candidate_ns, mock_ns, core_ns, elapsed_ns)


def test_cpu_is_counted_per_answered_request() -> None:
    closed = result(sent=20_000, ok=20_000, seconds=2.0, cpu_s=0.5)

    figures = closed_figures(closed, spent(800_000_000, 300_000_000, 1_050_000_000, 2_500_000_000))

    assert figures == {
        "request_cpu_us": pytest.approx(40.0),
        "requests_per_s": 10_000.0,
        "candidate_busy_pct": pytest.approx(40.0),
        "others_busy_pct": pytest.approx(10.0),
        "load_busy_pct": pytest.approx(40.0),
    }


def test_ticks_that_round_below_the_candidates_own_time_mean_nobody_else() -> None:
    assert closed_figures(result(ok=1), spent(candidate_ns=105, core_ns=100))["others_busy_pct"] == 0.0


def test_the_mock_upstream_straight_has_no_cost_of_its_own() -> None:
    figures = straight_figures(result(ok=10, seconds=1.0, cpu_s=0.25), spent(7, 500_000_000))

    assert figures == {"requests_per_s": 10.0, "load_busy_pct": pytest.approx(75.0)}


def test_no_answer_gives_no_cost() -> None:
    assert "request_cpu_us" not in closed_figures(result(ok=0), spent(5, 5))


def test_a_cost_is_counted_per_answered_request_and_nothing_else_is_told() -> None:
    assert cost_figures("large_cpu_us", result(ok=100), spent(7_000_000)) == {"large_cpu_us": 70.0}
    assert cost_figures("large_cpu_us", result(ok=0), spent(7_000_000)) == {}


def test_latency_is_the_load_generators() -> None:
    assert rate_figures(result()) == {"latency_p50_us": 98.0, "latency_p99_us": 304.1}


def test_nothing_answered_has_no_latency() -> None:
    assert rate_figures(result(latency_us=None)) == {}


def test_cpu_is_counted_per_chunk_that_arrived() -> None:
    chunks = {"p50": 80.0, "p90": 90.0, "p99": 400.0, "max": 500.0}
    streamed = result(chunks=20_000, chunk_us=chunks)

    assert paced_figures(streamed, spent(400_000_000)) == {
        "chunk_cpu_us": pytest.approx(20.0),
        "chunk_delay_p50_us": 80.0,
        "chunk_delay_p99_us": 400.0,
    }
    assert blast_figures(streamed, spent(400_000_000)) == {"blast_cpu_us": pytest.approx(20.0)}


def test_no_chunk_gives_no_cost() -> None:
    assert paced_figures(result(chunk_us=None), spent(5)) == {}
    assert blast_figures(result(chunks=0), spent(5)) == {}


def test_a_token_costs_its_share_of_all_processes() -> None:
    figures = token_figures(result(ok=1_000, seconds=2.0), spent(500_000_000))
    assert figures == {"token_cpu_us": 500.0, "tokens_per_cpu_s": 2_000.0, "tokens_per_s": 500.0}
    assert token_figures(result(ok=0), spent(5)) == {}


def test_laps_are_summed_up() -> None:
    laps = [spent(1, 2, 3, 4), spent(10, 20, 30, 40)]
    assert Spent.sum_of(laps) == spent(11, 22, 33, 44)
    both = LoadResult.sum_of([result(ok=5, sent=6, seconds=1.0), result(ok=7, sent=7, seconds=1.5)])
    assert (both.ok, both.sent, both.seconds) == (12, 13, 2.5)
    assert both.fault() is not None


def test_every_figure_has_a_row_in_the_table() -> None:
    chunks = {"p50": 80.0, "p90": 90.0, "p99": 400.0, "max": 500.0}
    some = result(chunks=10, chunk_us=chunks)
    made = {
        *closed_figures(some, spent()),
        *rate_figures(some),
        *paced_figures(some, spent()),
        *blast_figures(some, spent()),
        *token_figures(some, spent(5)),
        *("added_p50_us", "added_p99_us"),
        *("large_cpu_us", "fresh_cpu_us", "steady_cpu_us"),
    }

    assert made == {metric.key for metric in METRICS}

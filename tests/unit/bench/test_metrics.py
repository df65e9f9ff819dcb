"""How figures follow from counts and nanoseconds."""

import json

import pytest

from bench.load import LoadResult, parse_result
from bench.metrics import METRICS, blast_figures, closed_figures, paced_figures, rate_figures
from tests.unit.bench.test_load import PRINTED


def result(**fields: object) -> LoadResult:
    return parse_result(json.dumps(json.loads(PRINTED) | fields))


def test_cpu_is_counted_per_answered_request() -> None:
    closed = result(sent=20_000, ok=20_000, seconds=2.0, cpu_s=0.5)

    figures = closed_figures(closed, candidate_ns=800_000_000, mock_ns=300_000_000)

    assert figures == {
        "request_cpu_us": pytest.approx(40.0),
        "requests_per_s": 10_000.0,
        "candidate_busy_pct": pytest.approx(40.0),
        "load_busy_pct": pytest.approx(40.0),
    }


def test_the_mock_upstream_straight_has_no_cost_of_its_own() -> None:
    figures = closed_figures(result(ok=10, seconds=1.0), candidate_ns=None, mock_ns=0)

    assert figures.keys() == {"requests_per_s", "load_busy_pct"}


def test_no_answer_gives_no_cost() -> None:
    assert "request_cpu_us" not in closed_figures(result(ok=0), candidate_ns=5, mock_ns=5)


def test_latency_is_the_load_generators() -> None:
    assert rate_figures(result()) == {"latency_p50_us": 98.0, "latency_p99_us": 304.1}


def test_nothing_answered_has_no_latency() -> None:
    assert rate_figures(result(latency_us=None)) == {}


def test_cpu_is_counted_per_chunk_that_arrived() -> None:
    chunks = {"p50": 80.0, "p90": 90.0, "p99": 400.0, "max": 500.0}
    streamed = result(chunks=20_000, chunk_us=chunks)

    assert paced_figures(streamed, 400_000_000) == {
        "chunk_cpu_us": pytest.approx(20.0),
        "chunk_delay_p50_us": 80.0,
        "chunk_delay_p99_us": 400.0,
    }
    assert blast_figures(streamed, 400_000_000) == {"blast_cpu_us": pytest.approx(20.0)}


def test_no_chunk_gives_no_cost() -> None:
    assert paced_figures(result(chunk_us=None), 5) == {}
    assert blast_figures(result(chunks=0), 5) == {}


def test_every_figure_has_a_row_in_the_table() -> None:
    chunks = {"p50": 80.0, "p90": 90.0, "p99": 400.0, "max": 500.0}
    some = result(chunks=10, chunk_us=chunks)
    made = {
        *closed_figures(some, 1, 1),
        *rate_figures(some),
        *paced_figures(some, 1),
        *blast_figures(some, 1),
        *("added_p50_us", "added_p99_us"),
    }

    assert made == {metric.key for metric in METRICS}

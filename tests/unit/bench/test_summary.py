"""Medians, ratios and added latency over visits."""

import pytest

from bench.candidates import OVER_NGINX
from bench.rounds import Visit
from bench.summary import Summary, medians, ratios, summarise, with_added


def visit(candidate: str, number: int, **figures: float) -> Visit:
    return Visit(candidate, number, figures, ())


def test_a_summary_is_median_least_and_greatest() -> None:
    assert summarise([9.0, 1.0, 4.0]) == Summary(4.0, 1.0, 9.0)


def test_an_even_number_of_samples_has_the_middle_between_two() -> None:
    assert summarise([1.0, 4.0, 2.0, 9.0]) == Summary(3.0, 1.0, 9.0)


def test_no_samples_have_no_summary() -> None:
    assert summarise([]) is None


def test_medians_are_kept_apart_by_candidate_and_metric() -> None:
    found = medians(
        [
            visit("nginx", 1, request_cpu_us=20.0, chunk_cpu_us=5.0),
            visit("jotgate", 1, request_cpu_us=40.0),
            visit("nginx", 2, request_cpu_us=22.0, chunk_cpu_us=7.0),
        ]
    )

    assert found == {
        "nginx": {"request_cpu_us": Summary(21.0, 20.0, 22.0), "chunk_cpu_us": Summary(6.0, 5.0, 7.0)},
        "jotgate": {"request_cpu_us": Summary(40.0, 40.0, 40.0)},
    }


def test_ratios_are_taken_round_by_round() -> None:
    """The second round was disturbed for both: each round says 2, which a ratio of sums would not."""
    found = ratios(
        [
            visit("nginx", 1, request_cpu_us=20.0),
            visit("jotgate", 1, request_cpu_us=35.0),
            visit("jotgate", 2, request_cpu_us=120.0),
            visit("nginx", 2, request_cpu_us=60.0),
            visit("nginx", 3, request_cpu_us=20.0),
            visit("jotgate", 3, request_cpu_us=45.0),
        ],
        OVER_NGINX,
    )

    assert found["request_cpu_us"] == Summary(2.0, 1.75, 2.25)


def test_a_round_without_a_positive_yardstick_gives_no_ratio() -> None:
    found = ratios(
        [
            visit("nginx", 1, chunk_cpu_us=0.0),
            visit("jotgate", 1, chunk_cpu_us=9.0),
            visit("nginx", 2, chunk_cpu_us=5.0),
            visit("jotgate", 2, chunk_cpu_us=10.0),
            visit("jotgate", 3, chunk_cpu_us=10.0),
        ],
        OVER_NGINX,
    )

    assert found == {"chunk_cpu_us": Summary(2.0, 2.0, 2.0)}


@pytest.mark.parametrize(
    ("yard", "ratio"),
    [((150.0, 200.0, 900.0), Summary(1.5, 0.5, 2.0)), ((-3.0, 20.0, 400.0), Summary(3.0, 1.0, 4.0))],
)
def test_added_latency_is_compared_by_medians_and_a_yardstick_of_at_least_100_us(
    yard: tuple[float, ...], ratio: Summary
) -> None:
    mine = (100.0, 400.0, 300.0)
    visits = [visit("nginx", number, added_p99_us=us) for number, us in enumerate(yard)]
    visits += [visit("jotgate", number, added_p99_us=us) for number, us in enumerate(mine)]

    assert ratios(visits, OVER_NGINX) == {"added_p99_us": ratio}


def test_metrics_whose_ratio_says_nothing_have_none() -> None:
    found = ratios([visit("nginx", 1, load_busy_pct=50.0), visit("jotgate", 1, load_busy_pct=25.0)], OVER_NGINX)

    assert found == {}


def test_added_latency_is_what_the_same_round_took_beyond_straight() -> None:
    visits = with_added(
        [
            visit("straight", 1, latency_p50_us=100.0, latency_p99_us=300.0),
            visit("straight", 2, latency_p50_us=140.0, latency_p99_us=900.0),
            visit("nginx", 2, latency_p50_us=240.0, latency_p99_us=1_000.0),
            visit("nginx", 1, latency_p50_us=150.0, latency_p99_us=310.0),
        ]
    )

    assert [v.figures.get("added_p50_us") for v in visits] == [None, None, 100.0, 50.0]
    assert [v.figures.get("added_p99_us") for v in visits] == [None, None, 100.0, 10.0]


def test_nothing_is_added_where_straight_was_not_measured() -> None:
    [only] = with_added([visit("nginx", 1, latency_p50_us=240.0, latency_p99_us=1_000.0)])

    assert only.figures == {"latency_p50_us": 240.0, "latency_p99_us": 1_000.0}

"""How the latencies of a flood are held against those of calm."""

import pytest

from bench.soak.flood import FloodFindings, median_p99, p99


@pytest.mark.parametrize(("count", "value"), [(1, 1), (100, 99), (101, 100), (1000, 990)])
def test_the_p99_is_what_99_in_100_do_not_exceed(count: int, value: int) -> None:
    assert p99([float(number) for number in range(count, 0, -1)]) == value


def test_one_disturbed_round_decides_nothing() -> None:
    found = FloodFindings(calm=[[0.001], [0.001], [9.0]], flooded=[[0.0015], [9.0], [0.0014]])
    assert median_p99(found.calm) == 0.001
    assert found.ratio == pytest.approx(1.5)

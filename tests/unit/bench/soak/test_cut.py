"""What the soak of cuts says of its times."""

import pytest

from bench.soak.cut import CutFindings, percentile, render_cuts


@pytest.mark.parametrize(("share", "value"), [(0.5, 50.0), (0.99, 99.0), (0.999, 100.0), (1.0, 100.0), (0.0, 1.0)])
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(share: float, value: float) -> None:
    assert percentile([float(one) for one in range(100, 0, -1)], share) == value


def test_the_page_says_the_longest_time_and_the_faults() -> None:
    found = CutFindings(trials=2, after_s=[0.0, 0.4], since_s=[0.2, 0.7], faults=["x"])
    page = render_cuts(found, "2027-01-01")
    assert page.startswith("# 2 streams of revoked tokens: the last one cut after 400 ms\n")
    assert "| 0 ms, 400 ms, 400 ms, 400 ms |" in page
    assert "| 200 ms, 700 ms, 700 ms, 700 ms |" in page
    assert "taken afterwards | 1 |" in page

"""What policies cost: each way admits the calls, and the gate gets its own figure."""

import pytest

from bench.admission import MANY, NONE, POLICIES, WAYS, Admissions, _policies, measure_admission


def test_each_way_gives_a_figure_in_each_round() -> None:
    found = measure_admission(rounds=2, calls=3)
    assert list(found.us) == list(WAYS)
    assert all(len(us) == 2 and min(us) > 0 for us in found.us.values())


def test_there_are_as_many_policies_as_is_said_and_none_is_about_the_callers_but_the_last() -> None:
    found = _policies()
    assert len(found) == POLICIES == len({one.name for one in found})
    assert {one.effect for one in found[:-1]} == {"allow", "deny"}


def test_the_ratio_is_taken_round_by_round() -> None:
    found = Admissions({NONE: [10.0, 20.0, 5.0], MANY: [11.0, 21.0, 6.0]})
    figure = found.summaries()["policies_over_none"]
    assert figure is not None
    assert (figure.low, figure.median, figure.high) == pytest.approx((1.05, 1.1, 1.2))

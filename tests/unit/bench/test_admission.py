"""What policies cost: each way admits the calls, and the gate gets its own figure."""

import time

import pytest

from bench.admission import (
    FIRST,
    MANY,
    NONE,
    POLICIES,
    WAYS,
    Admissions,
    _circumstantial,
    _policies,
    measure_admission,
)
from bench.gates import GATES
from jotgate.core.policies import Policies, Verdict
from jotgate.core.principals import Principal


def test_each_way_gives_a_figure_in_each_round() -> None:
    found = measure_admission(rounds=2, calls=3)
    assert list(found.us) == list(WAYS)
    assert all(len(us) == 2 and min(us) > 0 for us in found.us.values())


def test_there_are_as_many_policies_as_is_said_and_none_is_about_the_callers_but_the_last() -> None:
    found = _policies()
    assert len(found) == POLICIES == len({one.name for one in found})
    assert {one.effect for one in found[:-1]} == {"allow", "deny"}


def test_each_of_those_about_circumstances_looks_at_one() -> None:
    found = _circumstantial(time.time())
    assert len(found) == POLICIES
    assert all(bool(one.addresses) + bool(one.times) + (one.older_s is not None) == 1 for one in found[:-1])


def test_the_ratios_are_taken_round_by_round() -> None:
    found = Admissions({NONE: [10.0, 20.0, 5.0], MANY: [11.0, 21.0, 6.0], FIRST: [20.0, 60.0, 20.0]})
    figure, first = (found.summaries()[name] for name in ("policies_over_none", "policies_first_look"))
    assert figure is not None
    assert first is not None
    assert (figure.low, figure.median, figure.high) == pytest.approx((1.05, 1.1, 1.2))
    assert (first.low, first.median, first.high) == pytest.approx((2.0, 3.0, 4.0))


def test_a_dear_verdict_fails_the_gate_of_the_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the warm path each verdict is remembered, so that the gate on that path cannot tell."""
    limit = next(gate.limit for gate in GATES if gate.key == "policies_first_look")
    verdict = Policies.verdict

    def one_by_one(self: Policies, principal: Principal, operation: str, model: str) -> Verdict:
        spin_until = time.thread_time() + 0.001  # what a thousand policies take that are read one after the other
        while time.thread_time() < spin_until:
            pass
        return verdict(self, principal, operation, model)

    monkeypatch.setattr(Policies, "verdict", one_by_one)
    summaries = measure_admission(rounds=2, calls=5).summaries()
    figure, warm = summaries["policies_first_look"], summaries["policies_over_none"]
    assert figure is not None
    assert warm is not None
    assert figure.low > limit > warm.low

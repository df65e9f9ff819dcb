"""What a verification costs: each way takes the good tokens, and the gates get their own figures."""

from collections.abc import Iterable

import pytest

from bench.errors import BenchError
from bench.gates import GATES
from bench.summary import Summary
from bench.verifier import BARE, COLD, GROWN, UNREVOKED, WARM, WAYS, Verification, measure_verifier
from jotgate.core.principals import Principal
from jotgate.services.revocation import RevokedSet


def test_each_way_gives_a_figure_in_each_round() -> None:
    found = measure_verifier(rounds=2, cold=3, warm=4)

    assert found.tokens == 4
    assert list(found.us) == list(WAYS)
    assert all(len(us) == 2 and min(us) > 0 for us in found.us.values())


def test_ratios_are_taken_round_by_round() -> None:
    us = {BARE: [50.0, 100.0, 10.0], COLD: [60.0, 130.0, 11.0], WARM: [1.0, 2.0, 3.0], UNREVOKED: [1.0, 1.0, 2.0]}
    us[GROWN] = [2.0, 3.0, 2.0]
    found = Verification(1, us, {})

    cold = found.summaries()["verify_cold"]
    assert cold is not None
    assert (cold.low, cold.median, cold.high) == pytest.approx((1.1, 1.2, 1.3))
    assert found.summaries()["verify_warm_us"] == Summary(2.0, 1.0, 3.0)
    assert found.summaries()["verify_revoked"] == Summary(1.5, 1.0, 2.0)
    assert found.summaries()["verify_first_look"] == Summary(2.0, 1.0, 3.0)


def test_a_dear_look_up_fails_the_gate_of_the_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the warm path who was spared is remembered, so that the gate on that path cannot tell."""
    limit = next(gate.limit for gate in GATES if gate.key == "verify_first_look")
    check = RevokedSet.check

    def one_by_one(self: RevokedSet, principal: Principal, names: Iterable[str], leeway_s: float) -> None:
        found = [name for name in self._ends if name in names]  # as if there were no index
        check(self, principal, found, leeway_s)

    monkeypatch.setattr("bench.verifier.REVOKED", 1_000)
    monkeypatch.setattr(RevokedSet, "check", one_by_one)
    summaries = measure_verifier(rounds=2, cold=1, warm=20).summaries()
    figure, warm = summaries["verify_first_look"], summaries["verify_revoked"]
    assert figure is not None
    assert warm is not None
    assert figure.median > limit
    assert figure.median > 2 * warm.median


def test_a_cache_that_forgets_is_no_warm_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.verifier.KEPT_FOR_EACH", 0)
    with pytest.raises(BenchError, match="forgot"):
        measure_verifier(rounds=1, cold=1, warm=4)

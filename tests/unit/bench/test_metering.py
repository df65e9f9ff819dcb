"""What quotas cost: every call reserves of all four quotas and is charged, and the gate gets its figure."""

from bench.metering import LIMITS, Meterings, measure_metering
from bench.summary import Summary


def test_each_round_gives_a_figure() -> None:
    found = measure_metering(rounds=2, calls=5)
    assert found.calls == 5
    assert len(found.us) == 2
    assert min(found.us) > 0


def test_the_limits_are_on_token_principal_tenant_and_model() -> None:
    assert [level for level, _ in LIMITS] == ["token", "principal", "tenant", "model"]


def test_the_gate_stands_on_the_median() -> None:
    assert Meterings(5, [1.5, 2.5, 2.0]).summaries() == {"metering_us": Summary(2.0, 1.5, 2.5)}

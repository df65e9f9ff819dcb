"""What is waited before a step is tried again grows, is spread by chance, and has an end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jotgate.core.chain_retries import CHANCE_BYTES, delay_s
from jotgate.core.chains import Retries

_RULES = Retries(tries=5, backoff_s=1.0, backoff_max_s=30.0)


@pytest.mark.parametrize(("failed", "least_s"), [(1, 0.5), (2, 1.0), (3, 2.0), (5, 8.0), (6, 15.0), (1_000, 15.0)])
def test_the_wait_doubles_up_to_its_bound(failed: int, least_s: float) -> None:
    assert delay_s(_RULES, failed, bytes(CHANCE_BYTES)) == least_s
    assert delay_s(_RULES, failed, b"\xff" * CHANCE_BYTES) == pytest.approx(2 * least_s, rel=1e-4)


@given(st.integers(1, 100), st.binary(min_size=CHANCE_BYTES, max_size=CHANCE_BYTES), st.floats(0, 1e6))
def test_no_wait_is_beyond_its_bounds(failed: int, chance: bytes, asked_s: float) -> None:
    assert 0.5 <= delay_s(_RULES, failed, chance, asked_s) <= 30.0


def test_what_the_upstream_asks_for_is_waited() -> None:
    assert delay_s(_RULES, 1, bytes(CHANCE_BYTES), 7.0) == 7.0
    assert delay_s(_RULES, 1, bytes(CHANCE_BYTES), 3600.0) == 30.0

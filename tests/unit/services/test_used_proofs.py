"""The memory of used proofs: nothing is forgotten that could be shown again, and nothing is kept for ever."""

import pytest

from jotgate.errors import Code, StoreUnavailable
from jotgate.services.used_proofs import KEPT_S, UsedProofs


def test_a_proof_is_taken_once() -> None:
    used = UsedProofs()
    assert used.take(b"a", b"one", 1_000.0)
    assert not used.take(b"a", b"other", 1_000.0)
    assert used.take(b"b", b"other", 1_000.0)


def test_whoever_asks_again_about_the_same_use_is_told_the_same() -> None:
    used = UsedProofs()
    assert used.take(b"a", b"one", 1_000.0)
    assert used.take(b"a", b"one", 1_001.0)


@pytest.mark.parametrize("begun_s", [0.0, 0.3, 0.6, 0.99])
def test_a_proof_is_remembered_for_as_long_as_it_counts_and_forgotten_then(begun_s: float) -> None:
    used, start_s = UsedProofs(), 1_000_000.0
    used.take(b"first", b"x", start_s)
    at_s = start_s + begun_s * KEPT_S
    assert used.take(b"a", b"one", at_s)
    for step in range(1, 11):
        assert not used.take(b"a", b"other", at_s + step * KEPT_S / 10 - 0.001)
    used.take(b"c", b"x", at_s + 2 * KEPT_S)
    used.take(b"d", b"x", at_s + 3 * KEPT_S)
    assert len(used) <= 2


def test_a_full_memory_takes_nothing_and_knows_what_it_has() -> None:
    used = UsedProofs(capacity=2)
    assert used.take(b"a", b"one", 1_000.0)
    assert used.take(b"b", b"one", 1_000.0)
    with pytest.raises(StoreUnavailable) as refused:
        used.take(b"c", b"one", 1_000.0)
    assert refused.value.code is Code.STORE_UNAVAILABLE
    assert not used.take(b"a", b"other", 1_000.0)
    assert used.take(b"c", b"one", 1_000.0 + 2 * KEPT_S)

"""The memory of used proofs: nothing is forgotten that could be shown again, and nothing is kept for ever."""

import pytest

from jotgate.services.used_proofs import KEPT_S, UsedProofs


def test_a_proof_is_taken_once() -> None:
    used = UsedProofs()
    assert used.take(b"a", b"one", "app", 1_000.0) == "fresh"
    assert used.take(b"a", b"other", "app", 1_000.0) == "used"
    assert used.take(b"b", b"other", "app", 1_000.0) == "fresh"


def test_whoever_asks_again_about_the_same_use_is_told_the_same() -> None:
    used = UsedProofs()
    assert used.take(b"a", b"one", "app", 1_000.0) == "fresh"
    assert used.take(b"a", b"one", "app", 1_001.0) == "fresh"


@pytest.mark.parametrize("begun_s", [0.0, 0.3, 0.6, 0.99])
def test_a_proof_is_remembered_for_as_long_as_it_counts_and_forgotten_then(begun_s: float) -> None:
    used, start_s = UsedProofs(), 1_000_000.0
    used.take(b"first", b"x", "app", start_s)
    at_s = start_s + begun_s * KEPT_S
    assert used.take(b"a", b"one", "app", at_s) == "fresh"
    for step in range(1, 11):
        assert used.take(b"a", b"other", "app", at_s + step * KEPT_S / 10 - 0.001) == "used"
    used.take(b"c", b"x", "app", at_s + 2 * KEPT_S)
    used.take(b"d", b"x", "app", at_s + 3 * KEPT_S)
    assert len(used) <= 2


def fill(used: UsedProofs, holder: str, at_s: float = 1_000.0) -> int:
    """Use proofs of a holder until no more are taken. Returns how many were."""
    taken = 0
    while used.take(f"{holder} {taken} {at_s}".encode(), b"one", holder, at_s) == "fresh":
        taken += 1
    return taken


def test_one_holder_cannot_fill_the_memory_for_others() -> None:
    used = UsedProofs(capacity=1_000)
    assert fill(used, "greedy") == 500
    assert used.take(b"p", b"one", "modest", 1_000.0) == "fresh"
    assert used.take(b"p", b"other", "modest", 1_000.0) == "used"
    assert fill(used, "as greedy") == 250
    for number in range(100):
        assert used.take(b"n%d" % number, b"one", f"modest {number}", 1_000.0) == "fresh"
    assert used.take(b"greedy 0 1000.0", b"other", "greedy", 1_000.0) == "used", "nothing that it has is forgotten"
    assert len(used) < 1_000


def test_a_holder_has_room_again_when_its_own_are_forgotten() -> None:
    used = UsedProofs(capacity=100)
    assert fill(used, "app") == 50
    assert fill(used, "app", 1_000.0 + KEPT_S) == 0, "they could still be shown"
    assert fill(used, "app", 1_000.0 + 2 * KEPT_S) == 50


def test_a_full_memory_takes_nothing_and_knows_what_it_has() -> None:
    used = UsedProofs(capacity=3)
    for number in range(3):
        assert used.take(b"%d" % number, b"one", f"app {number}", 1_000.0) == "fresh"
    assert used.take(b"c", b"one", "new", 1_000.0) == "crowded"
    assert used.take(b"0", b"other", "new", 1_000.0) == "used"
    assert used.take(b"c", b"one", "new", 1_000.0 + 2 * KEPT_S) == "fresh"

"""When a DPoP proof counts, and what happens to proofs that could have been used before a memory was lost."""

import pytest

from jotgate.core.dpop_nonces import NONCE_LIFE_S
from jotgate.core.proof_times import CLOCK_ERROR_MAX_S, LEEWAY_S, Judged, ProofRules, judge_time

NOW_S = 1_790_000_000.0
LONG_AGO_S = NOW_S - 86_400
RULES = ProofRules(age_s=60)


def judged(iat: float, nonce_at_s: float | None = None, epoch_s: float = LONG_AGO_S, rules: ProofRules = RULES) -> str:
    return judge_time(iat, nonce_at_s, NOW_S, epoch_s, rules).word


@pytest.mark.parametrize(
    ("iat", "word"),
    [
        (NOW_S, "fresh"),
        (NOW_S - 59, "fresh"),
        (NOW_S - 60, "nonce"),
        (NOW_S + LEEWAY_S, "fresh"),
        (NOW_S + LEEWAY_S + 1, "nonce"),
        (NOW_S - CLOCK_ERROR_MAX_S, "nonce"),
        (NOW_S - CLOCK_ERROR_MAX_S - 1, "late"),
        (NOW_S + CLOCK_ERROR_MAX_S + 1, "late"),
        (float("inf"), "late"),
        (-1, "late"),
    ],
)
def test_DP_11_a_proof_without_a_nonce_counts_for_a_while_after_its_iat(iat: float, word: str) -> None:
    assert judged(iat) == word


@pytest.mark.parametrize(
    ("age_s", "word"),
    [
        (0, "fresh"),
        (NONCE_LIFE_S - 1, "fresh"),
        (NONCE_LIFE_S, "nonce"),
        (-LEEWAY_S, "fresh"),
        (-LEEWAY_S - 1, "nonce"),
    ],
)
def test_DP_10_a_nonce_counts_for_a_while_whatever_the_clock_of_its_user_says(age_s: float, word: str) -> None:
    for iat in (NOW_S, NOW_S - CLOCK_ERROR_MAX_S, NOW_S + CLOCK_ERROR_MAX_S):
        assert judged(iat, NOW_S - age_s) == word


def test_a_nonce_is_demanded_of_every_proof_where_that_is_set() -> None:
    rules = ProofRules(age_s=60, nonce_required=True)
    assert judged(NOW_S, rules=rules) == "nonce"
    assert judged(NOW_S, NOW_S - 1, rules=rules) == "fresh"


def test_after_a_loss_nothing_is_taken_that_could_have_been_used_before_it() -> None:
    epoch_s = NOW_S - 1
    assert judged(NOW_S, epoch_s=epoch_s) == "nonce", "its maker's clock may be ahead, so it may be from before"
    assert judged(epoch_s + LEEWAY_S + 0.5, epoch_s=epoch_s) == "fresh"
    assert judged(NOW_S, epoch_s - 0.001, epoch_s=epoch_s) == "nonce", "a nonce of before the loss"
    assert judged(NOW_S, epoch_s, epoch_s=epoch_s) == "fresh", "a nonce since: so the proof was made since"


def test_a_proof_is_remembered_for_as_long_as_it_could_be_shown_again() -> None:
    for iat, nonce_at_s in [(NOW_S, None), (NOW_S - 30, None), (NOW_S + LEEWAY_S, None), (NOW_S, NOW_S - 10)]:
        found = judge_time(iat, nonce_at_s, NOW_S, LONG_AGO_S, RULES)
        assert found.word == "fresh"
        assert judge_time(iat, nonce_at_s, found.until_s, LONG_AGO_S, RULES).word == "nonce"
        assert judge_time(iat, nonce_at_s, found.until_s - 0.001, LONG_AGO_S, RULES) == Judged("fresh", found.until_s)

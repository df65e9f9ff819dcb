"""DPoP nonces: whoever has the key knows them, and nobody else can make one."""

import pytest

from jotgate.core.dpop_nonces import KEY_LIFE_S, make_nonce, period_of, read_nonce

KEY = bytes(range(32))
NOW_S = 1_790_000_000.25


def test_a_nonce_says_when_it_was_made_to_whoever_has_the_key() -> None:
    nonce = read_nonce(make_nonce(KEY, NOW_S))
    assert nonce is not None
    assert (nonce.at_s, nonce.period) == (NOW_S, period_of(NOW_S))
    assert nonce.is_made_with(KEY)
    assert not nonce.is_made_with(bytes(32))


def test_DP_18_no_nonce_can_be_told_from_another_or_made_without_the_key() -> None:
    made = [make_nonce(KEY, NOW_S + step / 1_000) for step in range(200)]
    assert len(set(made)) == len(made)
    assert len({text[11:] for text in made}) == len(made), "the codes have nothing in common"
    for text in made[:20]:
        later = make_nonce(bytes(32), NOW_S + 60)
        moved = read_nonce(later[:10] + text[10:])
        assert moved is None or not moved.is_made_with(KEY), "a time of one with the code of another"


@pytest.mark.parametrize("text", ["", "x", "?" * 32, "A" * 31, "A" * 33, "A" * 256, "ä" * 32, "AAAA=" * 6])
def test_what_is_no_nonce_is_none(text: str) -> None:
    assert read_nonce(text) is None


def test_each_day_has_its_key() -> None:
    day = period_of(NOW_S)
    assert period_of(day * KEY_LIFE_S) == day
    assert period_of((day + 1) * KEY_LIFE_S) == day + 1
    assert period_of((day + 1) * KEY_LIFE_S - 0.001) == day

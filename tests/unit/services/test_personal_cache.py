"""What a worker holds of personal tokens: bounded, checked on each use, and let go of when control says so."""

from contextlib import suppress
from hashlib import sha256
from typing import Final

import pytest

from jotgate.core.accounts import AccountChange, AccountKind, TokenUse
from jotgate.core.durable import Revocation, RevocationKind
from jotgate.core.opaque import Mark, make_opaque
from jotgate.core.personal_tokens import AccountNews, PersonalFinding
from jotgate.errors import Code, JotgateError, TokenUnresolved
from jotgate.services.personal_cache import REFUSAL_S, REFUSALS_MAX, USES_MAX, PersonalTokens
from jotgate.services.revocation import RevokedSet
from tests.personal import GOOD, ISSUER, finding

NOW_S: Final = 1_800_000_000.0


@pytest.fixture
def revoked() -> RevokedSet:
    return RevokedSet()


@pytest.fixture
def tokens(revoked: RevokedSet) -> PersonalTokens:
    made = PersonalTokens(revoked)
    made.limit(100)
    return made


def text(number: int) -> bytes:
    """A text of the right form for each number."""
    return make_opaque(Mark.PERSONAL, ((1 << 128) + number).to_bytes(32, "big")).reveal().encode()


def learn(tokens: PersonalTokens, token: bytes, found: PersonalFinding, now_s: float = NOW_S) -> None:
    tokens.learn(sha256(token).digest(), found, now_s)


def code_of(tokens: PersonalTokens, token: bytes, now_s: float = NOW_S) -> Code | None:
    """Why a token is refused; None: it is not."""
    try:
        tokens.resolve(token, now_s, "::1")
    except JotgateError as error:
        return error.code
    return None


def is_held(tokens: PersonalTokens, token: bytes) -> bool:
    """Whether control need not be asked."""
    misses = tokens.misses
    with suppress(TokenUnresolved):
        tokens.resolve(token, NOW_S, "::1")
    return tokens.misses == misses


def news(version: int, *changes: tuple[AccountKind, str], everything: bool = False) -> AccountNews:
    return AccountNews(version, tuple(AccountChange(*change, version) for change in changes), everything)


def test_what_is_not_held_has_to_be_asked_for(tokens: PersonalTokens) -> None:
    with pytest.raises(TokenUnresolved) as caught:
        tokens.resolve(GOOD, NOW_S, "::1")
    assert caught.value.digest == sha256(GOOD).digest()
    learn(tokens, GOOD, finding())
    assert tokens.resolve(GOOD, NOW_S, "::1").subject == "alice"
    assert (tokens.lookups, tokens.misses) == (2, 1)


@pytest.mark.parametrize("wrong", [GOOD[:-1], GOOD + b"A", GOOD[:-1] + b"9", GOOD[:6], GOOD + b" ", b"jot_p_\xff" * 7])
def test_F07_what_has_not_the_whole_form_is_refused_without_a_question(tokens: PersonalTokens, wrong: bytes) -> None:
    learn(tokens, wrong, finding())
    assert code_of(tokens, wrong) is Code.TOKEN_MALFORMED
    assert tokens.lookups == 0


def test_F07_nothing_is_found_by_a_part_of_a_digest_or_text(tokens: PersonalTokens) -> None:
    learn(tokens, GOOD, finding())
    assert not any(is_held(tokens, text(number)) for number in range(50))
    assert not is_held(tokens, GOOD[:-2] + b"B8")


def test_time_is_looked_at_on_each_use(tokens: PersonalTokens) -> None:
    learn(tokens, GOOD, finding(until_s=int(NOW_S) + 10))
    assert code_of(tokens, GOOD, NOW_S + 9.9) is None
    assert code_of(tokens, GOOD, NOW_S + 10) is Code.TOKEN_UNKNOWN
    assert code_of(tokens, GOOD, 1_900_000_000.0) is Code.TOKEN_EXPIRED


def test_revocation_is_looked_at_on_each_use(tokens: PersonalTokens, revoked: RevokedSet) -> None:
    learn(tokens, GOOD, finding("t-7"))
    assert code_of(tokens, GOOD) is None
    row = Revocation(RevocationKind.TOKEN, f"{ISSUER} t-7", int(NOW_S), number=1)
    revoked.take_rows([row])
    assert code_of(tokens, GOOD) is Code.TOKEN_REVOKED


@pytest.mark.parametrize("change", [("personal_token", "t-1"), ("principal", "alice"), ("tenant", "acme")])
def test_a_change_of_the_token_its_owner_or_tenant_takes_the_answer_away(
    tokens: PersonalTokens, change: tuple[AccountKind, str]
) -> None:
    learn(tokens, text(1), finding("t-1", tenant="acme"))
    learn(tokens, text(2), finding("t-2", subject="bob", tenant="other"))
    tokens.forget(news(5, change))
    assert not is_held(tokens, text(1))
    assert is_held(tokens, text(2))
    assert tokens.version == 5


def test_changes_of_others_take_nothing_away(tokens: PersonalTokens) -> None:
    learn(tokens, GOOD, finding())
    tokens.forget(news(6, ("client", "alice"), ("principal", "t-1"), ("tenant", "alice"), ("personal_token", "alice")))
    assert is_held(tokens, GOOD)


def test_a_change_reaches_both_generations(tokens: PersonalTokens) -> None:
    learn(tokens, text(0), finding("t-0"))
    for number in range(1, 60):
        learn(tokens, text(number), finding(f"t-{number}"))
    tokens.resolve(text(0), NOW_S, "::1")  # It is in the young generation now, too.
    tokens.forget(news(7, ("personal_token", "t-0")))
    assert not is_held(tokens, text(0))
    tokens.forget(news(8, ("principal", "alice")))
    assert len(tokens) == 0


def test_when_more_has_changed_than_is_told_nothing_is_held(tokens: PersonalTokens) -> None:
    learn(tokens, GOOD, finding())
    tokens.forget(news(9, everything=True))
    assert len(tokens) == 0
    assert not is_held(tokens, GOOD)


def test_it_never_holds_more_than_it_may_and_keeps_what_is_used(tokens: PersonalTokens) -> None:
    learn(tokens, GOOD, finding("used"))
    for number in range(1_000):
        learn(tokens, text(number), finding(f"t-{number}"))
        assert is_held(tokens, GOOD)
        assert len(tokens) <= 100


def test_what_is_learnt_again_and_again_takes_no_more_room(tokens: PersonalTokens) -> None:
    """Whether it is in use or lost by a change of its owner each time."""
    for version in range(1_000):
        learn(tokens, GOOD, finding())
        tokens.forget(news(version, ("principal", "alice")))
    marks = sum(len(one) for place in (tokens._young, tokens._old) for one in place.about.values())
    assert marks <= 200
    assert len(tokens) == 0


def test_a_refusal_is_remembered_for_a_moment(tokens: PersonalTokens) -> None:
    learn(tokens, GOOD, PersonalFinding(version=1, reason="disabled"))
    assert code_of(tokens, GOOD, NOW_S + REFUSAL_S - 0.1) is Code.TOKEN_REVOKED
    with pytest.raises(TokenUnresolved):
        tokens.resolve(GOOD, NOW_S + REFUSAL_S, "::1")


def test_news_of_accounts_end_all_refusals(tokens: PersonalTokens) -> None:
    learn(tokens, GOOD, PersonalFinding(version=1))
    assert code_of(tokens, GOOD) is Code.TOKEN_UNKNOWN
    tokens.forget(news(2))
    assert not is_held(tokens, GOOD)


def test_refusals_are_bounded(tokens: PersonalTokens) -> None:
    for number in range(REFUSALS_MAX * 2 + 10):
        learn(tokens, text(number), PersonalFinding(version=1))
        assert len(tokens._refusals) <= REFUSALS_MAX


def test_the_last_use_of_each_is_told_once(tokens: PersonalTokens) -> None:
    learn(tokens, text(1), finding("t-1"))
    learn(tokens, text(2), finding("t-2"))
    tokens.resolve(text(1), NOW_S, "192.0.2.1")
    tokens.resolve(text(1), NOW_S + 1.7, "192.0.2.2")
    tokens.resolve(text(2), NOW_S + 2, "::1")
    assert tokens.take_uses() == [
        TokenUse("t-1", int(NOW_S) + 1, "192.0.2.2"),
        TokenUse("t-2", int(NOW_S) + 2, "::1"),
    ]
    assert tokens.take_uses() == []


def test_uses_that_nobody_takes_are_bounded() -> None:
    tokens = PersonalTokens(RevokedSet())
    tokens.limit(USES_MAX * 4)
    for number in range(USES_MAX + 50):
        learn(tokens, text(number), finding(f"t-{number}"))
        tokens.resolve(text(number), NOW_S, "::1")
    tokens.resolve(text(3), NOW_S + 5, "::1")
    uses = {use.token_id: use.used_at_s for use in tokens.take_uses()}
    assert len(uses) == USES_MAX
    assert uses["t-3"] == NOW_S + 5


def test_a_refused_use_is_no_use(tokens: PersonalTokens, revoked: RevokedSet) -> None:
    learn(tokens, GOOD, finding(until_s=int(NOW_S)))
    assert code_of(tokens, GOOD) is not None
    assert tokens.take_uses() == []

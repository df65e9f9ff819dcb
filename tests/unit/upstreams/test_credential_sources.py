"""Which token Coze is sent: one of two static keys, or one that control gets; and when another is tried."""

from collections.abc import Callable

import pytest

from jotgate.core.routes import Upstream
from jotgate.core.upstream_tokens import NO_REFUSAL, TokenFound, TokenLacking, digest_of
from jotgate.core.values import Secret
from jotgate.testing.ports import ManualClock, at_once
from jotgate.upstreams.credential_sources import DOUBT_S, Credentials, ExchangedTokens, StaticKeys, credentials_of
from jotgate.upstreams.credentials import UpstreamTokens, ask_nobody

ONE, OTHER = Secret("pat_one"), Secret("pat_other")
UPSTREAM = Upstream("coze", "coze", "https://api.coze.com", credential=ONE, other_credential=OTHER)


def given(credentials: Credentials, refused: bytes = NO_REFUSAL) -> TokenFound | TokenLacking:
    told: list[TokenFound | TokenLacking] = []
    assert credentials.need("s", told.append, refused) is None
    (only,) = told
    return only


def found(credentials: Credentials, refused: bytes = NO_REFUSAL) -> TokenFound:
    token = given(credentials, refused)
    assert isinstance(token, TokenFound)
    return token


def test_of_two_keys_the_other_stands_in_and_the_one_that_was_taken_goes_first() -> None:
    keys = StaticKeys(UPSTREAM)
    first = found(keys)
    assert first.token == ONE
    assert keys.replaces("s", first, certain=True)
    second = found(keys, first.digest)
    assert second.token == OTHER
    keys.took(second)
    assert found(keys).token == OTHER
    keys.took(second)
    assert found(keys, second.digest).token == ONE


def test_one_key_has_nothing_to_stand_in_for_it() -> None:
    keys = StaticKeys(Upstream("coze", "coze", credential=ONE))
    assert not keys.replaces("s", found(keys), certain=True)
    assert found(keys).token == ONE


def test_without_a_key_there_is_none() -> None:
    lacking = given(StaticKeys(Upstream("coze", "coze")))
    assert isinstance(lacking, TokenLacking)
    assert lacking.lack == "unconfigured"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def exchanged(clock: ManualClock) -> ExchangedTokens:
    return ExchangedTokens(UpstreamTokens(clock, ask_nobody, at_once), "coze", clock)


TOKEN = TokenFound(Secret("czs_x"), digest_of(Secret("czs_x")), 2e9)
NEXT = TokenFound(Secret("czs_y"), digest_of(Secret("czs_y")), 2e9)


def test_a_refused_token_is_replaced_whenever_coze_says_so_of_it(exchanged: ExchangedTokens) -> None:
    assert all(exchanged.replaces("s", TOKEN, certain=True) for _ in range(5))


def test_a_doubtful_refusal_gets_another_token_once_a_minute_for_each_session(
    exchanged: ExchangedTokens, clock: ManualClock
) -> None:
    assert exchanged.replaces("s", TOKEN, certain=False)
    assert not exchanged.replaces("s", NEXT, certain=False)
    assert exchanged.replaces("other", NEXT, certain=False)
    clock.advance(DOUBT_S + 1)
    assert exchanged.replaces("s", NEXT, certain=False)


def test_calls_that_are_refused_with_the_same_token_share_the_next_one(exchanged: ExchangedTokens) -> None:
    assert all(exchanged.replaces("s", TOKEN, certain=False) for _ in range(5))
    assert not exchanged.replaces("s", NEXT, certain=False)
    assert exchanged.replaces("s", TOKEN, certain=False), "also those that hear of it late"


def test_the_settings_say_which_it_is(clock: ManualClock) -> None:
    tokens = UpstreamTokens(clock, ask_nobody, at_once)
    wanted: list[tuple[bool, Callable[..., object]]] = [(False, StaticKeys), (True, ExchangedTokens)]
    for exchanged, kind in wanted:
        assert type(credentials_of(Upstream("coze", "coze", exchanged=exchanged), tokens, clock)) is kind

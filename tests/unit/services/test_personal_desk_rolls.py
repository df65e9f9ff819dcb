"""What becomes of that which was traded for a personal token when its secret is replaced."""

import pytest

from jotgate.core.accounts import PrincipalRecord
from jotgate.core.grants import ACCESS_TOKEN_URN, TokenResponse
from jotgate.errors import IssuanceHeld, OAuthRefused, TokenRevoked
from tests.trading import TradingFloor


@pytest.fixture
def floor() -> TradingFloor:
    return TradingFloor()


def roll(floor: TradingFloor, overlap_s: int) -> str:
    """The new secret of alice's personal token, made a second after the last."""
    floor.clock.advance(1)
    return floor.personal("roll", overlap_s=overlap_s)


def session(floor: TradingFloor, secret: str) -> TokenResponse:
    """What is got for a secret, a refresh token too."""
    return floor.trade(secret, scope="ai offline_access")


def lives(floor: TradingFloor, answer: TokenResponse) -> bool:
    """Whether a token counts and its refresh token as well: it is never one of them alone."""
    try:
        floor.principal(answer.access_token)
    except TokenRevoked:
        with pytest.raises(OAuthRefused):
            floor.grant("refresh_token", refresh_token=answer.refresh_token)
        return False
    again = floor.grant("refresh_token", refresh_token=answer.refresh_token)
    return floor.principal(again.access_token).subject == "alice"


def test_F19_a_roll_without_an_overlap_ends_what_the_old_secret_was_traded_for(floor: TradingFloor) -> None:
    leaked = floor.personal("create")
    child = session(floor, leaked)
    grandchild = session(floor, child.access_token)
    new = roll(floor, 0)
    assert not lives(floor, child)
    assert not lives(floor, grandchild)
    after = session(floor, new)
    assert lives(floor, after)
    assert lives(floor, session(floor, after.access_token))
    again = roll(floor, 0)
    assert not lives(floor, after)
    assert lives(floor, session(floor, again))


def test_F19_what_acts_by_the_old_secret_ends_with_it(floor: TradingFloor) -> None:
    secret = floor.personal("create")
    floor.put(PrincipalRecord(name="bob", scopes=("ai",)))
    child = floor.trade(floor.made("bob").token, actor_token=secret, actor_token_type=ACCESS_TOKEN_URN)
    roll(floor, 0)
    with pytest.raises(TokenRevoked):
        floor.principal(child.access_token)


def test_with_an_overlap_nothing_ends_until_a_roll_without_one(floor: TradingFloor) -> None:
    first = session(floor, floor.personal("create"))
    second = session(floor, roll(floor, 3_600))
    floor.clock.advance(100)
    third = session(floor, roll(floor, 3_600))  # By now the first secret counts no longer.
    for one in (first, second, third):
        assert floor.principal(one.access_token).subject == "alice"
    newest = roll(floor, 0)
    assert [lives(floor, one) for one in (first, second, third)] == [False] * 3
    assert lives(floor, session(floor, newest))


def test_a_secret_of_this_very_second_is_not_replaced_without_an_overlap(floor: TradingFloor) -> None:
    secret = floor.personal("create")
    with pytest.raises(IssuanceHeld):
        floor.personal("roll", overlap_s=0)
    assert floor.trade(secret).access_token

"""What tells of an event is no token that lets anybody in, whatever it is typed as."""

from typing import Any

import pytest

from jotgate.core.logout import EVENT
from jotgate.errors import ClaimRefused, OAuthRefused
from tests.trading import TradingFloor

ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"


@pytest.fixture
def floor() -> TradingFloor:
    floor = TradingFloor()
    floor.trusts(floor.terms(types=("JWT", "at+jwt", "logout+jwt", "secevent+jwt")))
    return floor


@pytest.mark.parametrize(
    ("typ", "claims"),
    [
        ("JWT", {"events": {EVENT: {}}}),
        ("at+jwt", {"events": {EVENT: {}, "urn:example:other": {}}}),
        ("JWT", {"events": {"urn:example:other": {}}}),
        ("logout+jwt", {}),
        ("application/LOGOUT+jwt", {}),
        ("secevent+jwt", {}),
    ],
)
def test_C10_D12_an_event_is_no_bearer_token_and_is_not_traded(
    floor: TradingFloor, typ: str, claims: dict[str, Any]
) -> None:
    token = floor.job(typ=typ, **claims)
    with pytest.raises(ClaimRefused) as caught:
        floor.principal(token)
    assert "event" in caught.value.message
    for kind in ({}, {"subject_token_type": ID_TOKEN}):
        with pytest.raises(OAuthRefused):
            floor.trade(token, **kind)
    with pytest.raises(OAuthRefused):
        floor.trade(floor.made().token, actor_token=token, actor_token_type=ID_TOKEN)
    with pytest.raises(OAuthRefused):
        floor.present(token)
    assert floor.issued <= 1


def test_C10_a_token_without_events_is_taken(floor: TradingFloor) -> None:
    assert floor.trade(floor.job(), subject_token_type=ID_TOKEN).access_token
    assert floor.principal(floor.job(events=["a claim of its own"])).issuer == floor.ci.issuer

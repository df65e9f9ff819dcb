"""A secret for the Realtime API is a child of its caller's token: of one model and scope, and of no other client."""

import asyncio
from typing import Any

import pytest

from jotgate.core.accounts import PrincipalRecord
from jotgate.core.limit_texts import read_limit
from jotgate.core.lineage import Confirmation
from jotgate.core.principals import Principal
from jotgate.core.quotas import TokenLimit
from jotgate.core.realtime_secrets import SecretOrder
from jotgate.errors import AuthorizationDetailsRefused, ClaimRefused, GrantRefused, JotgateError, ScopeRefused
from jotgate.services.realtime_secrets import SecretMinter
from jotgate.services.standing import stands
from tests.callers import NAME
from tests.trading import JOB, TradingFloor

ORDER = SecretOrder("talk", 60)


@pytest.fixture
def floor() -> TradingFloor:
    return TradingFloor()


def mint(floor: TradingFloor, token: str) -> Principal:
    minter = SecretMinter(tokens=floor.presented, access=floor.access, issuer=floor.issuer, clock=floor.clock)
    return floor.principal(asyncio.run(minter.mint(token, ORDER)).token)


def test_it_may_nothing_but_talk_with_its_model_and_names_its_parent(floor: TradingFloor) -> None:
    held = Confirmation("x5t#S256", "A" * 43)
    limit = TokenLimit(read_limit("5 requests"))
    parent = floor.made(
        client_id="app",
        models=("talk", "b"),
        audiences=(NAME, "https://files.example"),
        limits=(limit,),
        confirmation=held,
    )
    found = mint(floor, parent.token)
    assert (found.subject, found.client_id) == ("alice", "app")
    assert found.scopes == {"realtime"}
    assert found.models == frozenset({"talk"})
    assert found.audiences == {NAME}
    assert found.ancestors == (parent.token_id,)
    assert found.expires_at_s == floor.clock.now_s() + 60
    assert found.confirmation == held
    assert found.limits == (TokenLimit(limit.limit, f"{NAME} {parent.token_id}"),)
    assert mint(floor, floor.made(ttl_s=20).token).expires_at_s == floor.clock.now_s() + 20


def test_who_has_no_client_of_ours_gets_one_that_is_nobodys(floor: TradingFloor) -> None:
    found = mint(floor, floor.personal("create"))
    assert (found.subject, found.client_id) == ("alice", "jotgate-realtime")
    assert stands(floor.store, found)
    found = mint(floor, floor.job(client_id="jotgate-cli"))
    assert (found.subject, found.client_id) == (f"ci/{JOB}", "jotgate-realtime")
    floor.change(PrincipalRecord, f"ci/{JOB}", enabled=False)
    assert not stands(floor.store, found)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"scopes": ("chat.completions",)}, ScopeRefused),
        ({"models": ("other",)}, AuthorizationDetailsRefused),
        ({"audiences": ("https://files.example",)}, ClaimRefused),
        ({"client_id": "gone"}, GrantRefused),
    ],
)
def test_it_is_refused_where_the_token_may_less(
    floor: TradingFloor, changes: dict[str, Any], refusal: type[JotgateError]
) -> None:
    token = floor.made(**changes).token
    before = floor.issued
    with pytest.raises(refusal):
        mint(floor, token)
    assert floor.issued == before

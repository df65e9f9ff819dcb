"""What a family yields: never a role that it was not given, and in the tenant and for the client of then."""

import pytest

from jotgate.core.accounts import ClientRecord, PrincipalRecord, Role, TenantRecord
from jotgate.core.grants import TokenResponse
from jotgate.core.principals import Principal
from tests.trading import TradingFloor


@pytest.fixture
def floor() -> TradingFloor:
    """In `acme`, where there are two roles, there are the client `tool` and bob, who has both."""
    floor = TradingFloor()
    floor.put(TenantRecord(name="acme", roles=(Role("dev", ()), Role("ops", ()))))
    floor.put(
        ClientRecord(name="tool", authentication="none", grants=tuple(floor.grants), scopes=("ai",), tenant="acme")
    )
    floor.put(PrincipalRecord(name="bob", scopes=("ai",), tenant="acme", roles=("dev", "ops")))
    return floor


def refresh(floor: TradingFloor, before: TokenResponse) -> tuple[Principal, TokenResponse]:
    """Whom the next access token speaks for, and the answer that it came with."""
    answer = floor.grant("refresh_token", "tool", refresh_token=before.refresh_token)
    return floor.principal(answer.access_token), answer


@pytest.mark.parametrize("had", [(), ("dev",), ("dev", "ops")])
def test_a_refresh_gives_the_roles_of_the_narrowed_token_alone(floor: TradingFloor, had: tuple[str, ...]) -> None:
    parent = floor.made("bob", tenant="acme", roles=had).token
    first = floor.trade(parent, "tool", scope="ai offline_access")
    assert floor.principal(first.access_token).roles == frozenset(had)
    found, second = refresh(floor, first)
    assert found.roles == frozenset(had)
    assert (found.tenant, found.client_id, found.subject) == ("acme", "tool", "bob")
    assert refresh(floor, second)[0].roles == frozenset(had)


def test_a_role_that_was_lost_is_gone_at_the_next_refresh_and_one_that_was_won_does_not_come(
    floor: TradingFloor,
) -> None:
    parent = floor.made("bob", tenant="acme", roles=("dev",)).token
    first = floor.trade(parent, "tool", scope="ai offline_access")
    floor.change(PrincipalRecord, "bob", roles=("ops",))
    found, second = refresh(floor, first)
    assert found.roles == frozenset()
    floor.change(PrincipalRecord, "bob", roles=("dev",))
    assert refresh(floor, second)[0].roles == {"dev"}

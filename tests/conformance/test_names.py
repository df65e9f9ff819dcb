"""CF-01: no principal and client share a name, on any store, however many are made at once on however many machines."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from jotgate.core.account_values import PrincipalValues
from jotgate.core.accounts import ClientRecord, PrincipalRecord, TenantRecord
from jotgate.errors import RecordExists
from jotgate.ports import StoreAccess
from jotgate.services.administration import create_principal
from jotgate.services.client_administration import create_client
from jotgate.store_ports import Store
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.opening import open_access
from tests.administering import MACHINE, terms
from tests.loops import on_loop

ROUNDS = 20
AT_ONCE = 4


def test_CF_01_a_name_is_one_kinds_until_it_is_free(store: Store) -> None:
    client, principal = ClientRecord(name="ann"), PrincipalRecord(name="ann")
    version = store.put_account(principal)
    assert version is not None
    assert store.put_account(client) is None
    assert store.account(ClientRecord, "ann") is None
    # Whoever has the name may be changed, and a tenant is nobody's `sub`.
    version = store.put_account(PrincipalRecord(name="ann", version=version))
    assert version is not None
    assert store.put_account(TenantRecord(name="ann")) is not None
    assert store.drop_account(PrincipalRecord, "ann", version)
    assert store.put_account(client) is not None
    assert store.put_account(principal) is None


@pytest.fixture
def machines(address: StoreAddress) -> Iterator[tuple[StoreAccess, StoreAccess]]:
    """Two ways to one database."""
    opened = open_access(address), open_access(address)
    yield opened
    for one in opened:
        one.close()


def new_principal(name: str) -> Callable[[Store], object]:
    """Makes a principal."""
    return lambda store: create_principal(store, terms(), name, PrincipalValues())


def new_client(name: str) -> Callable[[Store], object]:
    """Makes a client."""
    return lambda store: create_client(store, terms(), name, MACHINE)


def holders(name: str) -> Callable[[Store], int]:
    """Counts those who have a name."""
    return lambda store: sum(
        one is not None for one in (store.account(PrincipalRecord, name), store.account(ClientRecord, name))
    )


@on_loop
async def test_CF_01_of_many_who_take_a_name_at_once_one_gets_it(machines: tuple[StoreAccess, StoreAccess]) -> None:
    """Principals on one machine, clients on the other; either may win, and only one does."""
    for turn in range(ROUNDS):
        name, one, other = f"n{turn}", machines[turn % 2], machines[1 - turn % 2]
        orders: list[Awaitable[object]] = []
        for _ in range(AT_ONCE):
            orders += [one.run(new_principal(name)), other.run(new_client(name))]
        results = await asyncio.gather(*orders, return_exceptions=True)
        assert sum(isinstance(result, RecordExists) for result in results) == 2 * AT_ONCE - 1
        assert await one.run(holders(name)) == 1

"""The stores that the suite runs against: the reference in memory, SQLite, and a real PostgreSQL."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jotgate.store_ports import Store
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.memory import MemoryStore
from jotgate.stores.opening import open_store
from tests.databases import Postgres, postgres

DATABASES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """One PostgreSQL for all tests."""
    with postgres() as found:
        yield found


@pytest.fixture
def make_address(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], StoreAddress]:
    """Makes an empty database of a kind."""

    def make(kind: str) -> StoreAddress:
        if kind == "sqlite":
            return StoreAddress(file=tmp_path / "private" / "store.db")
        server: Postgres = request.getfixturevalue("server")
        return server.make_database()

    return make


@pytest.fixture(params=DATABASES)
def address(request: pytest.FixtureRequest, make_address: Callable[[str], StoreAddress]) -> StoreAddress:
    """An empty database of each kind."""
    return make_address(request.param)


@pytest.fixture(params=("memory", *DATABASES))
def store(request: pytest.FixtureRequest, make_address: Callable[[str], StoreAddress]) -> Iterator[Store]:
    """An empty store of each kind."""
    opened: Store = MemoryStore() if request.param == "memory" else open_store(make_address(request.param))
    yield opened
    opened.close()

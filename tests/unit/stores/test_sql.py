"""Rows that are no records any more are named, and one damaged key does not cost the others."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text, update

from jotgate.core.durable import DamagedKey, IssuerRecord, KeyState
from jotgate.errors import KeyRefused, StoreRefused
from jotgate.services.keyring import Keyring
from jotgate.store_ports import Store
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.engines import make_engine
from jotgate.stores.opening import open_store
from jotgate.stores.schema import KEYS
from jotgate.testing.ports import ManualClock
from tests.parts import MemoryParts


class Bench:
    """A store with its first key and a pending one."""

    def __init__(self, address: StoreAddress) -> None:
        self.store: Store = open_store(address)
        self.engine: Engine = make_engine(address)
        self.keyring = Keyring(self.store, MemoryParts(seals=True), ManualClock())
        self.keyring.open("ES256")
        self.keyring.make("ES256", lambda _, new: (new,))
        keys = self.store.key_ring().keys
        (self.active,) = [key.kid for key in keys if key.state is KeyState.ACTIVE]
        (self.pending,) = [key.kid for key in keys if key.state is KeyState.PENDING]

    def spoil(self, kid: str, column: str, value: object) -> None:
        with self.engine.begin() as connection:
            connection.execute(update(KEYS).where(KEYS.c.kid == kid).values({column: value}))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(StoreAddress(file=tmp_path / "private" / "store.db"))
    yield made
    made.store.close()
    made.engine.dispose()


@pytest.mark.parametrize(
    ("column", "value", "state"),
    [
        ("state", "bogus", "bogus"),
        ("created_at_s", "soon", "pending"),
        ("public_jwk", b"[]", "pending"),
        ("public_jwk", b"\xff", "pending"),
        ("public_jwk", b'{"kid":"another"}', "pending"),
    ],
)
def test_a_damaged_key_that_does_not_sign_does_not_count(bench: Bench, column: str, value: object, state: str) -> None:
    bench.spoil(bench.pending, column, value)
    ring = bench.store.key_ring()
    assert [key.kid for key in ring.keys] == [bench.active]
    assert ring.damaged == (DamagedKey(bench.pending, state),)
    assert bench.keyring.open("ES256").events == ()


def test_no_key_is_made_in_the_place_of_damaged_ones_and_the_error_names_them(bench: Bench) -> None:
    for kid in (bench.active, bench.pending):
        bench.spoil(kid, "state", "bogus")
    with pytest.raises(KeyRefused, match=bench.active):
        bench.keyring.open("ES256")
    assert len(bench.store.key_ring().damaged) == 2


def test_any_other_damaged_row_is_named_with_its_table(bench: Bench) -> None:
    bench.store.put_issuer(IssuerRecord("google", b"{}"))
    with bench.engine.begin() as connection:
        connection.execute(text("UPDATE jotgate_issuers SET updated_at_s = 'soon'"))
    with pytest.raises(StoreRefused, match="the row 'google' of the table jotgate_issuers cannot be read"):
        bench.store.issuers()

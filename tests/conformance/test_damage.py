"""Rows of the token service that are no records any more are refused, and named with their table."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, text

from jotgate.core.accounts import ClientRecord, PrincipalRecord, TenantRecord
from jotgate.core.durable import Mark
from jotgate.errors import Code, StoreRefused
from jotgate.store_ports import Store
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.engines import make_engine
from jotgate.stores.opening import open_store
from tests.conformance import sample

DAMAGES: dict[str, tuple[str, Callable[[Store], object]]] = {
    "tenants SET roles = '[{\"name\":5}]'": ("acme", lambda store: store.account(TenantRecord, "acme")),
    "principals SET scopes = 'ai'": ("ann", lambda store: store.account(PrincipalRecord, "ann")),
    "principals SET models = '{}'": ("ann", lambda store: store.accounts(PrincipalRecord, "", 10)),
    "principals SET roles = ''": ("ann", lambda store: store.accounts(PrincipalRecord, "", 10, tenant="acme")),
    "clients SET authentication = 'trust'": ("cli", lambda store: store.account(ClientRecord, "cli")),
    "clients SET grants = '[\"password\"]'": ("cli", lambda store: store.account(ClientRecord, "cli")),
    'clients SET secrets = \'[{"digest":"%"}]\'': ("cli", lambda store: store.account(ClientRecord, "cli")),
    "account_changes SET kind = 'robot' WHERE name = 'ann'": ("robot ann", lambda store: store.accounts_after(0, 10)),
    "personal_tokens SET secrets = '{'": ("pt", lambda store: store.personal_token("pt")),
    "personal_tokens SET secrets = '\"\"'": ("pt", lambda store: store.find_personal_token(b"\x02" * 32)),
    "personal_tokens SET models = '[null]'": ("pt", lambda store: store.personal_tokens("ann", "", 10)),
    "families SET scopes = 'null' WHERE family_id = 'f'": ("f", lambda store: store.family("f")),
    "families SET audiences = '7' WHERE family_id = 'f'": ("f", lambda store: store.families("", "", "", 10)),
    "families SET models = '[[]]' WHERE family_id = 'f'": (
        "f",
        lambda store: store.find_family(sample.USED.digest),
    ),
    "endless_tokens SET names = '{}'": (sample.ENDLESS.digest, lambda store: store.endless_tokens("", "", 10)),
}
"""What happens to a table, the keys of the row that suffers, and a call that meets it."""

UNTYPED: dict[str, tuple[str, Callable[[Store], object]]] = {
    "refresh_tokens SET generation = 'one' WHERE generation = 1": (
        sample.SUCCESSOR.digest.hex(),
        lambda store: store.find_family(sample.SUCCESSOR.digest),
    ),
    "refresh_tokens SET expires_at_s = 'late' WHERE generation = 1": (
        sample.SUCCESSOR.digest.hex(),
        lambda store: store.find_family(sample.USED.digest),
    ),
    "marks SET content = 7": (
        f"jti {sample.MARK.handle}",
        lambda store: store.mark(Mark("jti", sample.MARK.handle, 4_000_000_001), 1),
    ),
    "objects SET version = 'last'": (
        f"{sample.OBJECT.owner} coze coze.conversation {sample.OBJECT.name}",
        lambda store: store.owned_object(sample.OBJECT.key, 44),
    ),
}
"""What only SQLite lets happen, whose columns take values of any type."""


@pytest.fixture
def outside(address: StoreAddress) -> Iterator[Engine]:
    """A way past the store to its database."""
    engine = make_engine(address)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_row_is_named_with_its_table(address: StoreAddress, outside: Engine, damage: str) -> None:
    check(address, outside, damage, *DAMAGES[damage])


@pytest.mark.parametrize("damage", UNTYPED)
@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
def test_a_row_of_other_types_is_named_with_its_table(address: StoreAddress, outside: Engine, damage: str) -> None:
    check(address, outside, damage, *UNTYPED[damage])


def check(address: StoreAddress, outside: Engine, damage: str, keys: str, call: Callable[[Store], object]) -> None:
    """Keep everything, do the damage, and make the call."""
    store = open_store(address)
    sample.fill(store)
    with outside.begin() as connection:
        assert connection.execute(text(f"UPDATE jotgate_{damage.replace(':', chr(92) + ':')}")).rowcount == 1
    with pytest.raises(StoreRefused) as caught:
        call(store)
    assert caught.value.code is Code.STORE_REFUSED
    table = f"jotgate_{damage.partition(' ')[0]}"
    assert caught.value.message == f"the row '{keys}' of the table {table} cannot be read"
    assert caught.value.debug
    store.close()


def test_a_token_whose_family_is_gone_is_nobodys(address: StoreAddress, outside: Engine) -> None:
    store = open_store(address)
    sample.fill(store)
    with outside.begin() as connection:
        connection.execute(text("DELETE FROM jotgate_families"))
    assert store.find_family(sample.SUCCESSOR.digest) is None
    store.close()

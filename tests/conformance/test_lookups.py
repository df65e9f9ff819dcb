"""No lookup walks through a whole table: what SQLite says it does for each statement of the ports."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, Engine, event

from jotgate.core.accounts import ClientRecord, PrincipalRecord, TokenUse
from jotgate.core.durable import IssuanceQuery, Revocation, RevocationKind
from jotgate.store_ports import Store
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.engines import make_engine
from jotgate.stores.opening import open_store
from jotgate.stores.sql import SqlStore
from tests.conformance import sample

REVOKED = Revocation(RevocationKind.TOKEN, "h", 1, 100)
QUERY = IssuanceQuery(live_at_s=1)

_Given = tuple[object, ...] | list[tuple[object, ...]]

LOOKUPS: dict[str, Callable[[Store], object]] = {
    "account": lambda store: store.account(ClientRecord, "cli"),
    "accounts": lambda store: store.accounts(PrincipalRecord, "a", 10),
    "accounts of a tenant": lambda store: store.accounts(PrincipalRecord, "a", 10, tenant="acme"),
    "put_account": lambda store: store.put_account(replace(sample.ACCOUNTS[2], version=3)),
    "drop_account": lambda store: store.drop_account(ClientRecord, "cli", 3),
    "accounts_after": lambda store: store.accounts_after(1, 10),
    "personal_token": lambda store: store.personal_token("pt"),
    "find_personal_token": lambda store: store.find_personal_token(b"\x02" * 32),
    "personal_tokens": lambda store: store.personal_tokens("", "a", 10),
    "personal_tokens of an owner": lambda store: store.personal_tokens("ann", "a", 10),
    "put_personal_token": lambda store: store.put_personal_token(replace(sample.PERSONAL_TOKEN, version=4)),
    "drop_personal_token": lambda store: store.drop_personal_token("pt", 4, REVOKED),
    "touch_personal_tokens": lambda store: store.touch_personal_tokens([TokenUse("pt", 99, "")]),
    "drop_personal_tokens": lambda store: store.drop_personal_tokens(4_000_000_000, 10),
    "endless_tokens": lambda store: store.endless_tokens("", "5", 10),
    "known_endless_tokens": lambda store: store.known_endless_tokens([sample.ENDLESS.digest, "6"]),
    "family": lambda store: store.family("f"),
    "find_family": lambda store: store.find_family(sample.USED.digest),
    "rotate_family": lambda store: store.rotate_family(
        replace(sample.FAMILY, version=1),
        replace(sample.SUCCESSOR, used_at_s=99),
        replace(sample.SUCCESSOR, digest=b"6"),
    ),
    "end_family": lambda store: store.end_family("f", 99, REVOKED),
    "families": lambda store: store.families("", "", "a", 10),
    "families of a client": lambda store: store.families("cli", "", "a", 10),
    "families of a subject": lambda store: store.families("", "ann", "a", 10),
    "families of a client and a subject": lambda store: store.families("cli", "ann", "a", 10),
    "erase_successors": lambda store: store.erase_successors(99, 10),
    "last_family_end": lambda store: store.last_family_end(),
    "drop_families": lambda store: store.drop_families(4_000_000_000, 10),
    "mark": lambda store: store.mark(sample.MARK, 1),
    "fill_mark": lambda store: store.fill_mark("jti", sample.MARK.handle, b""),
    "drop_mark": lambda store: store.drop_mark("jti", sample.MARK.handle),
    "drop_marks": lambda store: store.drop_marks(4_000_000_000, 10),
    "issuance": lambda store: store.issuance("token"),
    "issuances of a family": lambda store: store.count_issuances(replace(QUERY, family="f")),
    "issuances of a parent": lambda store: store.count_issuances(replace(QUERY, parent="token")),
    "issuances of a client": lambda store: store.count_issuances(replace(QUERY, client_id="cli")),
    "issuances of a subject": lambda store: store.count_issuances(replace(QUERY, subject="ann")),
    "drop_issuances": lambda store: store.drop_issuances(4_000_000_000, 10),
    "drop_revocations": lambda store: store.drop_revocations(4_000_000_000, 10),
    "revoke": lambda store: store.revoke([REVOKED]),
    "revocations_after": lambda store: store.revocations_after(1, 10),
}


class Watched:
    """A filled store, and what SQLite says of each statement that it is given. Mutable."""

    def __init__(self, engine: Engine) -> None:
        self.store = SqlStore(engine)
        self.plans: list[str] = []
        event.listen(engine, "before_cursor_execute", self._explain)

    def _explain(self, connection: Connection, _cursor: object, statement: str, given: _Given, *_: object) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "INSERT")):
            one = given[0] if isinstance(given, list) else given
            rows = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", one).fetchall()
            self.plans += [f"{row[3]} for {' '.join(statement.split())}" for row in rows]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    address = StoreAddress(file=tmp_path / "private" / "store.db")
    filled = open_store(address)
    sample.fill(filled)
    filled.close()
    made = Watched(make_engine(address))
    yield made
    made.store.close()


@pytest.mark.parametrize("lookup", LOOKUPS)
def test_a_lookup_goes_by_an_index(watched: Watched, lookup: str) -> None:
    assert LOOKUPS[lookup](watched.store) not in (False, 0), "the call found nothing to do"
    assert watched.plans
    walks = [plan for plan in watched.plans if plan.startswith("SCAN") and "SUBQUERY" not in plan]
    assert walks == []


def test_what_walks_is_seen(watched: Watched) -> None:
    """All issuers are read whenever one has changed, and that is seen here."""
    watched.store.issuers()
    assert watched.plans[0].startswith("SCAN jotgate_issuers")

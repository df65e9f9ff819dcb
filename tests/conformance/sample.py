"""What each revision's fixture holds, and `python -m tests.conformance.sample`, which writes those of the newest.

A fixture is a database as that revision left it, as SQL: `revisions/REVISION.sqlite.sql` and `…postgresql.sql`. It is
written once, when the revision comes, and never again: it stands for the databases that are out there.
"""

import sqlite3
import tempfile
from pathlib import Path
from typing import Final

import psycopg

from jotgate.core.durable import (
    Issuance,
    IssuerRecord,
    KeyRecord,
    KeyState,
    Revocation,
    RevocationKind,
)
from jotgate.store_ports import Store
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.opening import open_store
from jotgate.stores.schema import SCHEMA_REVISION
from tests.databases import pg_dump, postgres

FOLDER: Final = Path(__file__).with_name("revisions")

KEYS: Final = (
    KeyRecord("old", "RS256", b'{"kty":"RSA"}', None, KeyState.GONE, 1, 2, 3, 4, 5, 6),
    KeyRecord("new", "ES256", b'{"kty":"EC"}', b"\x00\xffsealed", KeyState.ACTIVE, 7, activated_at_s=8),
)
ISSUER: Final = IssuerRecord("google", b'{"discovery":"https://accounts.example"}', True, 0, 9, 10)
ISSUANCES: Final = (
    Issuance("token", "ann", "cli", "new", 11, 4_000_000_000),
    Issuance("child", "bob's \u2603", "cli", "new", 12, 4_000_000_000, parent="token", family="f"),
)
REVOCATIONS: Final = (
    Revocation(RevocationKind.TOKEN, "token", 13, 4_000_000_000, reason="lost", actor="ann"),
    Revocation(RevocationKind.SUBJECT, "bob", 14, None, before_s=14),
)


def fill(store: Store) -> None:
    """Keep one of everything."""
    store.fix_fact("issuer", "https://gateway.example")
    store.put_keys(0, KEYS)
    store.put_issuer(ISSUER)
    store.add_issuances(ISSUANCES)
    store.revoke(REVOCATIONS)


def load(address: StoreAddress, revision: str) -> None:
    """Make the database that a fixture describes."""
    if address.file is None:
        script = (FOLDER / f"{revision}.postgresql.sql").read_text("utf-8")
        with psycopg.connect(address.url) as server:
            server.execute(script.encode())
        return
    address.file.parent.mkdir(0o700)
    address.file.touch(0o600)
    connection = sqlite3.connect(address.file)
    connection.executescript((FOLDER / f"{revision}.sqlite.sql").read_text("utf-8"))
    connection.close()


def write() -> None:
    """Write the fixtures of the newest revision, unless they are there."""
    with tempfile.TemporaryDirectory() as folder, postgres() as server:
        file, url = Path(folder) / "store.db", server.make_database().url
        for address in (StoreAddress(file=file), StoreAddress(url=url)):
            store = open_store(address)
            fill(store)
            store.close()
        dump = "\n".join(sqlite3.connect(file).iterdump()) + "\n"
        with (FOLDER / f"{SCHEMA_REVISION}.sqlite.sql").open("x", encoding="utf-8") as script:
            script.write(dump)
        with (FOLDER / f"{SCHEMA_REVISION}.postgresql.sql").open("x", encoding="utf-8") as script:
            script.write(pg_dump(url))


if __name__ == "__main__":
    write()

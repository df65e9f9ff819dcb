"""Opens the store: makes the schema of an empty one, and refuses one whose schema is not what this jotgate knows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection, Engine, Text, column, inspect, select, table

from jotgate.errors import StoreRefused, StoreUnavailable
from jotgate.store_ports import Store
from jotgate.stores.access import DirectAccess, ThreadedAccess
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.engines import make_engine, reading, writing
from jotgate.stores.memory import MemoryStore
from jotgate.stores.schema import REVISION_COLUMN, REVISION_TABLE, REVISIONS, SCHEMA_REVISION
from jotgate.stores.sql import SqlStore

CONNECTIONS: Final = 4
"""How many calls one process puts to a PostgreSQL at once; a SQLite file takes one."""


class SchemaState(Struct, frozen=True):
    """Which revision a store has, None when it is empty, and those that it lacks, oldest first."""

    revision: str | None
    missing: tuple[str, ...]


def open_store(address: StoreAddress, now_s: Callable[[], float] | None = None) -> SqlStore:
    """The store at an address; the schema of an empty one is made. `now_s` stands for the clock of the database.

    Raises:
        StoreRefused: its schema is older and was not migrated, or newer; or its driver is missing.
        StoreUnavailable: it does not answer; the message says why.
        DirectoryRefused: its file cannot be used.
    """
    with _engine(address) as engine:
        state = _read(engine)
        if state.revision is None:
            _upgrade(engine)
        elif state.missing:
            raise StoreRefused(
                f"the store has the schema {state.revision}, and this jotgate needs {SCHEMA_REVISION}",
                hint="Stop every jotgate that uses it, make a backup, then run: jotgate migrate",
            )
    return SqlStore(make_engine(address, CONNECTIONS), now_s)


def open_access(address: StoreAddress) -> ThreadedAccess | DirectAccess:
    """The way of an event loop to the store at an address, with its own threads. Raises as `open_store`."""
    return give_access(open_store(address), shared=address.file is None)


def give_access(store: Store, *, shared: bool) -> ThreadedAccess | DirectAccess:
    """The same for a store that is open; `shared`: it is a PostgreSQL, which takes several calls at once."""
    if isinstance(store, MemoryStore):
        return DirectAccess(store)  # It never waits.
    return ThreadedAccess(store, CONNECTIONS if shared else 1)


def read_schema(address: StoreAddress) -> SchemaState:
    """What `migrate` would do. A SQLite file that is not there is not made.

    Raises:
        StoreRefused, StoreUnavailable, DirectoryRefused: as `open_store`, but not for an older schema.
    """
    if address.file is not None and not address.file.exists():
        return SchemaState(None, REVISIONS)
    with _engine(address) as engine:
        return _read(engine)


def migrate(address: StoreAddress) -> SchemaState:
    """Bring the schema to the newest revision, wholly or not at all. Returns what was found before.

    Raises:
        StoreRefused, StoreUnavailable, DirectoryRefused: as `read_schema`.
    """
    with _engine(address) as engine:
        return _upgrade(engine)


@contextmanager
def _engine(address: StoreAddress) -> Iterator[Engine]:
    """An engine for looking at the schema; a failure's reason is told, since who starts jotgate may know it."""
    engine = make_engine(address)
    try:
        yield engine
    except StoreUnavailable as error:
        reason = " ".join(error.debug.partition(": ")[2].split())
        raise StoreUnavailable(f"{error.message}: {reason}", hint=_hint(address), debug=error.debug) from None
    finally:
        engine.dispose()


def _hint(address: StoreAddress) -> str:
    if address.file is not None:
        return f"Look at the file '{address.file}' and its disk, or bring it back from a backup"
    return "Look at the database, and at store.url and its password; docs/store.md shows how to make a database"


def _read(engine: Engine) -> SchemaState:
    with reading(engine) as connection:
        return _state(connection)


def _upgrade(engine: Engine) -> SchemaState:
    # Alembic is loaded only when there is work for it.
    from jotgate.stores.migrator import upgrade

    with writing(engine) as connection:
        # Read again: another process may have done it while this one waited to be alone.
        found = _state(connection)
        if found.missing:
            upgrade(connection, SCHEMA_REVISION)
        return found


def _state(connection: Connection) -> SchemaState:
    """What the database says of its schema. Raises StoreRefused for what this jotgate does not know."""
    if not inspect(connection).has_table(REVISION_TABLE):
        return SchemaState(None, REVISIONS)
    chosen = select(column(REVISION_COLUMN, Text)).select_from(table(REVISION_TABLE))
    rows = connection.scalars(chosen).all()
    if not rows:
        return SchemaState(None, REVISIONS)
    if len(rows) > 1 or rows[0] not in REVISIONS:
        raise StoreRefused(
            f"a newer jotgate made the store's schema {', '.join(map(str, rows))}; this one knows {SCHEMA_REVISION}",
            hint="Start the newer jotgate again, or bring back the backup from before it was migrated",
        )
    return SchemaState(rows[0], REVISIONS[REVISIONS.index(rows[0]) + 1 :])

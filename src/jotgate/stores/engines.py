"""SQLAlchemy engines for SQLite and PostgreSQL, and what a failing database means to those who ask.

On both a write transaction begins by becoming the only one that numbers or compares rows: `BEGIN IMMEDIATE` in SQLite,
an advisory lock that lasts until the commit in PostgreSQL. What a transaction then reads is what it changes.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from jotgate.errors import StoreRefused, StoreUnavailable
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.files import check_private, prepare_directory, refused

PATIENCE_S: Final = 10
"""How long a call waits for a lock, a free connection or a statement before it is StoreUnavailable."""

_CONNECT_S: Final = 5
_LOCK: Final = 0x6A6F7467
"""The number of jotgate's advisory lock in a PostgreSQL database: "jotg" in ASCII."""

_LIMITS: Final = f"-c statement_timeout={PATIENCE_S}s -c lock_timeout={PATIENCE_S}s -c timezone=UTC"
# A transaction that has waited to be alone, or for a row, then sees what was committed meanwhile.
_OPTIONS: Final = rf"{_LIMITS} -c default_transaction_isolation=read\ committed"

_WAIT_FOR_DISK: Final = (
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)
"""A server's default may be faster than durable; one that asks for more than its own disk keeps that."""

_KEEPALIVES: Final = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": PATIENCE_S * 1_000,
}


def make_engine(address: StoreAddress, connections: int = 1) -> Engine:
    """The engine for an address; nothing is connected yet, but a SQLite file is made.

    Raises:
        StoreRefused: the driver is not installed.
        DirectoryRefused: the file cannot be used.
    """
    return _postgresql(address, connections) if address.file is None else _sqlite(address.file)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one state of the database and changes nothing. Raises StoreUnavailable."""
    # SQLite has no other kind, and takes this option for an order to begin transactions by itself.
    options = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    with _told(), engine.connect().execution_options(**options) as connection:
        yield connection


@contextmanager
def writing(engine: Engine, *, alone: bool = True) -> Iterator[Connection]:
    """A transaction that is committed when its block ends, and durable then; undone when the block raises.

    It is the only one of its kind until its end; not `alone`, in PostgreSQL others run beside it.

    Raises:
        StoreUnavailable: it could not begin within `PATIENCE_S`, or could not be committed.
    """
    with _told(), engine.connect().execution_options(jotgate_writes=True) as connection, connection.begin():
        if alone and connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        yield connection


def _sqlite(file: Path) -> Engine:
    _make_private(file)
    engine = create_engine(
        URL.create("sqlite", database=str(file)),
        connect_args={"timeout": PATIENCE_S, "isolation_level": None},
        pool_size=1,
        max_overflow=0,
        pool_timeout=PATIENCE_S,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreRefused(
                f"the store '{file}' cannot keep a write-ahead log", hint="Keep DATA on a local disk, not on a network"
            )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA trusted_schema = OFF")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # The driver's own BEGIN is deferred: it lets a reader become a writer and lose what another wrote meanwhile.
        writes = connection.get_execution_options().get("jotgate_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _make_private(file: Path) -> None:
    """Make the file under a mode that the log files beside it take on, and refuse one that others may use."""
    prepare_directory(file.parent)
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise refused(file, error) from None
    try:
        check_private(file, os.fstat(descriptor), 0o600)
    finally:
        os.close(descriptor)


def _postgresql(address: StoreAddress, connections: int) -> Engine:
    parts = urlsplit(address.url)
    password = {} if address.password is None else {"password": address.password.reveal()}
    url = URL.create(
        "postgresql+psycopg",
        username=unquote(parts.username) if parts.username else None,
        host=parts.hostname,
        port=parts.port,
        database=unquote(parts.path.removeprefix("/")) or None,
        query=dict(parse_qsl(parts.query)),
    )
    try:
        engine = create_engine(
            url,
            # Here and not in the URL, which errors show.
            connect_args={"connect_timeout": _CONNECT_S, "options": _OPTIONS, **_KEEPALIVES, **password},
            pool_size=connections,
            max_overflow=0,
            pool_timeout=PATIENCE_S,
            pool_pre_ping=True,
            hide_parameters=True,
        )
    except (ImportError, NoSuchModuleError):
        raise StoreRefused(
            "store.url names a PostgreSQL, and the driver for it is not installed",
            hint="Install it: pip install 'jotgate[postgresql]'",
        ) from None

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        connection.cursor().execute(_WAIT_FOR_DISK)
        connection.commit()

    return engine


@contextmanager
def _told() -> Iterator[None]:
    """Turn what the driver raises into what jotgate says. The database's own words stay in the log."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise StoreUnavailable("the store does not answer", debug=f"{type(cause).__name__}: {cause}") from None

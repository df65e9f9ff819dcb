"""Brings the schema of a store to the newest revision: all of it in one transaction, or nothing.

This module loads Alembic; a start needs it only when there is something to do.
"""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from msgspec import Struct
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from jotgate.errors import StoreRefused
from jotgate.stores.schema import SCHEMA_REVISION

_SCRIPTS: Final = Path(__file__).with_name("migrations")


class Revision(Struct, frozen=True):
    """One step of the schema, and what it is for."""

    name: str
    purpose: str


def pending(current: str | None, target: str = SCHEMA_REVISION) -> list[Revision]:
    """What is missing between two revisions, in the order in which it is done; `current` None is an empty store."""
    scripts = ScriptDirectory.from_config(_config())
    found = [Revision(one.revision, one.doc) for one in scripts.iterate_revisions(target, current or "base")]
    return found[::-1]


def upgrade(connection: Connection, target: str) -> None:
    """Do what is missing, in the connection's transaction. Raises StoreRefused when the database objects."""
    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, target)
    except DBAPIError as error:
        raise StoreRefused(
            f"the store's schema cannot be made {target}, and nothing was changed: {' '.join(str(error.orig).split())}",
            hint="Look at the database and its user's rights, and run it again",
        ) from None


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("version_locations", str(_SCRIPTS / "revisions").replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    return config

"""What tables may not say that name a server and its password: it is written once, beside the URL and never in it."""

from typing import Final

from jotgate.core.config import HintsEntry, StoreEntry
from jotgate.core.faults import Fault, beside

IN_URL: Final = "holds a password; take it out and use password_env or password_file"
_NAMES: Final = ("password", "password_env", "password_file")


def check_password(table: str, entry: StoreEntry | HintsEntry, without_url: str) -> list[Fault]:
    """The faults of a password; `without_url` is what is told of one that nobody would be shown."""
    written = [name for name in _NAMES if getattr(entry, name)]
    faults = beside(table, written)
    if written and not entry.url:
        faults.append((f"{table}.{written[0]}", without_url))
    return faults

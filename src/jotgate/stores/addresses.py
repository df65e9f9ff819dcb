"""Where the store is: a SQLite file, or a PostgreSQL by its URL without the password."""

from pathlib import Path

from msgspec import Struct

from jotgate.core.config import StoreEntry
from jotgate.core.values import Secret


class StoreAddress(Struct, frozen=True):
    """One of `file` and `url` is given; `password` is for the URL, or None where the server asks for none."""

    file: Path | None = None
    url: str = ""
    password: Secret | None = None

    @property
    def place(self) -> str:
        """What to call it towards its operator; no password is shown."""
        return f"PostgreSQL '{self.url}'" if self.file is None else f"SQLite file '{self.file}'"


def store_address(store: StoreEntry, password: Secret | None, file: Path) -> StoreAddress:
    """Where `[store]` has the store, with the password that it leads to; `file` is used when it names no URL."""
    return StoreAddress(url=store.url, password=password) if store.url else StoreAddress(file=file)

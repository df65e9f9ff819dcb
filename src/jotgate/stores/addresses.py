"""Where the store is: a SQLite file, or a PostgreSQL by its URL without the password."""

from pathlib import Path

from msgspec import Struct

from jotgate.core.values import Secret

STORE_FILE = "store.db"


class StoreAddress(Struct, frozen=True):
    """One of `file` and `url` is given; `password` is for the URL, or None where the server asks for none."""

    file: Path | None = None
    url: str = ""
    password: Secret | None = None

"""Where the store is, a SQLite file or a PostgreSQL by its URL, and where hints go; URLs are without passwords."""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from msgspec import Struct

from jotgate.core.config import HintsEntry, StoreEntry
from jotgate.core.faults import Fault
from jotgate.core.values import Secret

_DRIVER: Final = "redis"
_SERVER: Final = "grpc"


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


class HintsAddress(Struct, frozen=True):
    """The URL of a Valkey, as `core.hint_checks` lets it through; `password` is None where it asks for none."""

    url: str
    password: Secret | None = None


def hints_address(hints: HintsEntry, password: Secret | None) -> HintsAddress | None:
    """Where `[hints]` has them go; None: nowhere."""
    return HintsAddress(hints.url, password) if hints.url else None


def check_driver(url: str) -> list[Fault]:
    """The fault of a Valkey that is named where its client is not installed."""
    if not url or find_spec(_DRIVER) is not None:
        return []
    return [("hints.url", "needs a client of Valkey, which is not installed; run: pip install 'jotgate[valkey]'")]


def check_server(address: str) -> list[Fault]:
    """The fault of an address where Envoys ask over gRPC, where its server is not installed."""
    if not address or find_spec(_SERVER) is not None:
        return []
    return [("decisions.grpc", "needs grpcio, which is not installed; run: pip install 'jotgate[grpc]'")]

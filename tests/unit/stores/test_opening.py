"""An ordinary start of control stays quick: it loads no Alembic."""

import subprocess
import sys
from pathlib import Path

from jotgate.stores.addresses import StoreAddress
from jotgate.stores.opening import open_store

_OPEN = """
import sys
from pathlib import Path
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.opening import open_store
open_store(StoreAddress(file=Path(sys.argv[1]))).close()
print("alembic" in sys.modules)
"""


def loads_alembic(file: Path) -> bool:
    """Whether a process that opens the store loads it."""
    command = [sys.executable, "-c", _OPEN, str(file)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout == "True\n"


def test_alembic_is_loaded_only_to_make_the_schema(tmp_path: Path) -> None:
    file = tmp_path / "private" / "store.db"
    assert loads_alembic(file)
    assert not loads_alembic(file)


def test_what_was_kept_is_there_when_the_store_is_opened_again(tmp_path: Path) -> None:
    address = StoreAddress(file=tmp_path / "private" / "store.db")
    store = open_store(address)
    store.fix_fact("issuer", "https://gateway.example")
    store.close()
    again = open_store(address)
    assert again.fact("issuer") == "https://gateway.example"
    again.close()

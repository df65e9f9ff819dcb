"""Reads what `[kong]` leads to: the token of the Admin API, and the certificates that are trusted there."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from jotgate.core.faults import Fault
from jotgate.core.values import Secret
from jotgate.stores.credentials import read_secret
from jotgate.stores.reaches import read_roots


class KongWay(Struct, frozen=True):
    """What is shown to the Admin API, the roots that it is trusted by, the faults of that, and the files looked at."""

    token: Secret | None = None
    roots: str = ""
    faults: tuple[Fault, ...] = ()
    files: tuple[Path, ...] = ()
    secret_files: tuple[Path, ...] = ()


def read_kong_way(entry: Mapping[str, str], variables: Mapping[str, str], base: Path) -> KongWay:
    """Read what the texts of `[kong]` name; file names start at `base`."""
    token = read_secret("kong", "token", entry, variables, base)
    faults = [token] if isinstance(token, tuple) else []
    roots, files = "", []
    if "ca_file" in entry:
        files.append(base / entry["ca_file"])
        try:
            roots = read_roots(base, entry["ca_file"])
        except ValueError as fault:
            faults.append(("kong.ca_file", str(fault)))
    return KongWay(
        token=token if isinstance(token, Secret) else None,
        roots=roots,
        faults=tuple(faults),
        files=tuple(files),
        secret_files=(base / entry["token_file"],) if "token_file" in entry else (),
    )

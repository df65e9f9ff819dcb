"""Reads what the way to an upstream needs: the proxy's credential, and the certificates of `ca_file`."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from jotgate.core.faults import Fault
from jotgate.core.routes import Proxy, Reach
from jotgate.core.values import Secret
from jotgate.stores.credentials import from_environment, from_file
from jotgate.stores.named_files import read_named

_ROOTS_BYTES_MAX: Final = 4_194_304
_NO_PAIR: Final = "which is not user:password"


class Way(Struct, frozen=True):
    """What an upstream's entry leads to, its faults, the files that were looked at, and which of them hold secrets."""

    reach: Reach
    faults: tuple[Fault, ...] = ()
    files: tuple[Path, ...] = ()
    secret_files: tuple[Path, ...] = ()


def read_reach(path: str, entry: Mapping[str, str], variables: Mapping[str, str], base: Path) -> Way:
    """Read what an entry names; `entry` has its texts, and file names start at `base`.

    What is wrong with the texts themselves is not looked for here.
    """
    faults: list[Fault] = []
    files: list[Path] = []
    secret_files: list[Path] = []
    roots = ""
    credential: Secret | None = None
    if "ca_file" in entry:
        files.append(base / entry["ca_file"])
        try:
            roots = read_roots(base, entry["ca_file"])
        except ValueError as fault:
            faults.append((f"{path}.ca_file", str(fault)))
    for name in ("proxy_credential_env", "proxy_credential_file"):
        if name not in entry:
            continue
        try:
            if name == "proxy_credential_env":
                credential = _pair(from_environment(variables, entry[name]), f"names {entry[name]!r}")
            else:
                secret_files.append(base / entry[name])
                credential = _pair(from_file(base, entry[name]), f"names '{base / entry[name]}'")
        except ValueError as fault:
            faults.append((f"{path}.{name}", str(fault)))
    reach = Reach(_proxy(entry.get("proxy", ""), credential), roots)
    return Way(reach, tuple(faults), (*files, *secret_files), tuple(secret_files))


def read_roots(base: Path, name: str) -> str:
    """The certificates in a file, as a worker will load them."""
    content = read_named(base, name, _ROOTS_BYTES_MAX)
    text = content.decode("ascii", "replace")
    try:
        if len(content) > _ROOTS_BYTES_MAX:
            raise ValueError("too large")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        raise ValueError(f"names '{base / name}', which holds no certificates in PEM form") from None
    return text


def _pair(credential: Secret, named: str) -> Secret:
    """A proxy's credential is a user name and a password (RFC 7617 s2)."""
    if ":" not in credential.reveal():
        raise ValueError(f"{named}, {_NO_PAIR}")
    return credential


def _proxy(url: str, credential: Secret | None) -> Proxy | None:
    try:
        parts = urlsplit(url)
        return Proxy(parts.hostname, parts.port, credential) if parts.hostname and parts.port else None
    except ValueError:
        return None

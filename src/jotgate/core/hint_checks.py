"""What `[hints]` may not say: URLs of no Valkey or with a password in them, and a network without TLS."""

import ipaddress
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from jotgate.core.config import HintsEntry
from jotgate.core.faults import Fault, shown

SCHEMES: Final = ("valkey", "redis")
"""In the clear; what follows them in `TLS_SCHEMES` is the same under TLS."""
TLS_SCHEMES: Final = ("valkeys", "rediss")
SOCKET_SCHEME: Final = "unix"
IN_THE_CLEAR: Final = "tls=disable"

_PATH: Final = "hints.url"
_REMEDY: Final = 'write one such as "valkeys://valkey.example:6379"'
_EXPOSED: Final = (
    'crosses the network in the clear; write "valkeys://…" for TLS, or add ?tls=disable if nobody else is on that '
    "network"
)


def check_hints(hints: HintsEntry) -> list[Fault]:
    """The faults of `[hints]` that can be seen without a Valkey."""
    fault = _url_fault(hints.url) if hints.url else ""
    faults = [(_PATH, fault)] if fault else []
    written = [name for name in ("password", "password_env", "password_file") if getattr(hints, name)]
    for name in written[1:]:
        faults.append((f"hints.{name}", f"stands beside {written[0]}; write one of them"))
    if written and not hints.url:
        faults.append((f"hints.{written[0]}", "stands without hints.url, and nobody would be shown it"))
    return faults


def _url_fault(url: str) -> str:
    if not url.isascii() or not url.isprintable() or " " in url:
        return f"holds characters that no URL has; {_REMEDY}"
    try:
        parts = urlsplit(url)
        sound = parts.port != 0
    except ValueError:
        return f"is not a URL; {_REMEDY}"
    if parts.scheme == SOCKET_SCHEME:
        return _socket_fault(parts)
    if parts.scheme not in SCHEMES + TLS_SCHEMES or not sound or not parts.hostname:
        return f"is not the URL of a Valkey; {_REMEDY}"
    if ":" in parts.netloc.rpartition("@")[0]:
        return "holds a password; take it out and use password_env or password_file"
    if parts.path not in ("", "/") or parts.fragment:
        return f"has {shown(parts.path or '#')} behind the port; leave it out: hints are in no database"
    if parts.query not in ("", IN_THE_CLEAR):
        return f"has {shown(parts.query)} behind the '?'; only {IN_THE_CLEAR} may stand there"
    exposed = parts.scheme in SCHEMES and not parts.query and not _is_local(parts.hostname)
    return _EXPOSED if exposed else ""


def _socket_fault(parts: SplitResult) -> str:
    absolute = unquote(parts.path).startswith("/") and not (parts.netloc or parts.query or parts.fragment)
    return "" if absolute else 'is not the path of a socket; write one such as "unix:///run/valkey/valkey.sock"'


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

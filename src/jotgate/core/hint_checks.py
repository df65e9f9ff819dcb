"""What `[hints]` may not say: URLs of no Valkey or with a password in them, and a network without TLS."""

from typing import Final
from urllib.parse import SplitResult, unquote

from jotgate.core.config import HintsEntry
from jotgate.core.faults import Fault, shown
from jotgate.core.listen_texts import is_loopback
from jotgate.core.password_checks import IN_URL, check_password
from jotgate.core.url_parts import url_parts

SCHEMES: Final = ("valkey", "redis")
"""In the clear; what follows them in `TLS_SCHEMES` is the same under TLS."""
TLS_SCHEMES: Final = ("valkeys", "rediss")
SOCKET_SCHEME: Final = "unix"
IN_THE_CLEAR: Final = "tls=disable"

_PATH: Final = "hints.url"
_OTHER: Final = "is not the URL of a Valkey"
_REMEDY: Final = 'write one such as "valkeys://valkey.example:6379"'
_EXPOSED: Final = (
    'crosses the network in the clear; write "valkeys://…" for TLS, or add ?tls=disable if nobody else is on that '
    "network"
)


def check_hints(hints: HintsEntry) -> list[Fault]:
    """The faults of `[hints]` that can be seen without a Valkey."""
    fault = _url_fault(hints.url) if hints.url else ""
    faults = [(_PATH, fault)] if fault else []
    return faults + check_password("hints", hints, "stands without hints.url, and nobody would be shown it")


def _url_fault(url: str) -> str:
    try:
        parts = url_parts(url, (*SCHEMES, *TLS_SCHEMES, SOCKET_SCHEME), _OTHER, host=False)
    except ValueError as fault:
        return f"{fault}; {_REMEDY}"
    if parts.scheme == SOCKET_SCHEME:
        return _socket_fault(parts)
    if not parts.hostname:
        return f"{_OTHER}; {_REMEDY}"
    if ":" in parts.netloc.rpartition("@")[0]:
        return IN_URL
    if parts.path not in ("", "/") or parts.fragment:
        return f"has {shown(parts.path or '#')} behind the port; leave it out: hints are in no database"
    if parts.query not in ("", IN_THE_CLEAR):
        return f"has {shown(parts.query)} behind the '?'; only {IN_THE_CLEAR} may stand there"
    exposed = parts.scheme in SCHEMES and not parts.query and not is_loopback(parts.hostname)
    return _EXPOSED if exposed else ""


def _socket_fault(parts: SplitResult) -> str:
    absolute = unquote(parts.path).startswith("/") and not (parts.netloc or parts.query or parts.fragment)
    return "" if absolute else 'is not the path of a socket; write one such as "unix:///run/valkey/valkey.sock"'

"""Addresses to listen on as texts, such as `127.0.0.1:9464`, and what two of them have to do with one another."""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - nothing is bound here


def read_listen(text: str) -> tuple[str, int]:
    """Host and port of a text like `127.0.0.1:9464` or `[::1]:9464`. Raises ValueError for anything else."""
    parts = urlsplit(f"//{text}")
    if parts.port is None or not parts.hostname or parts.netloc != text or "@" in text:
        raise ValueError("not a host and port")
    return parts.hostname, parts.port


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on this host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def takes_from(host: str, other: str) -> bool:
    """Whether a listener on this host takes a port away from one on the other."""
    try:
        mine, theirs = ipaddress.ip_address(host), ipaddress.ip_address(other)
    except ValueError:
        # Which of this machine's addresses a name means is known when it listens; `localhost` is one of these.
        return host == other or {host, other} <= _LOCAL or host in _EVERYWHERE
    # A listener on "::" takes IPv4 too.
    return mine == theirs or (mine.is_unspecified and mine.version >= theirs.version)

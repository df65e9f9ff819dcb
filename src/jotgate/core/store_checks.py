"""What `[store]` may not say: URLs that no driver takes or that hold a password, and a network without TLS."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, parse_qsl

from jotgate.core.config import StoreEntry
from jotgate.core.faults import Fault, advice, shown
from jotgate.core.listen_texts import is_loopback
from jotgate.core.password_checks import IN_URL, check_password
from jotgate.core.url_parts import url_parts

_PATH: Final = "store.url"
_SCHEMES: Final = ("postgresql", "postgres")
_PARAMETERS: Final = (
    *("host", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl"),
    *("channel_binding", "target_session_attrs", "application_name"),
)
"""What may stand behind the `?`: where the server is and how it proves that it is the one (libpq's names)."""

_TLS_MODES: Final = ("verify-full", "verify-ca", "require", "disable")
_REMEDY: Final = 'write one such as "postgresql://jotgate@db.example:5432/jotgate?sslmode=verify-full"'

_IN_THE_CLEAR: Final = (
    "crosses the network, and does not say whether under TLS; add sslmode=verify-full, with sslrootcert=PATH if the "
    "server's certificate comes from a root of your own, or sslmode=disable if nobody else is on that network"
)


def check_store(store: StoreEntry) -> list[Fault]:
    """The faults of `[store]` that can be seen without the database."""
    faults = [] if not store.url else [(_PATH, fault) for fault in _url_faults(store.url)]
    without_url = "stands without store.url, and the SQLite file in DATA has no password"
    return faults + check_password("store", store, without_url)


def _url_faults(url: str) -> list[str]:
    try:
        parts = url_parts(url, _SCHEMES, "is not the URL of a PostgreSQL", host=False)
    except ValueError as fault:
        return [f"{fault}; {_REMEDY}, or leave it out for a SQLite file in DATA"]
    if ":" in parts.netloc.rpartition("@")[0]:
        return [IN_URL]
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        return [f"has no NAME=VALUE behind the '?'; {_REMEDY}"]
    parameters = dict(pairs)
    if len(parameters) < len(pairs):
        return ["names a parameter twice behind the '?'; write each once"]
    faults = [_unknown(name) for name in parameters if name not in _PARAMETERS]
    if parts.fragment:
        faults.append("holds a '#'; leave out what begins with it")
    if len(parts.path) < 2:
        faults.append(f"names no database; {_REMEDY}")
    return faults + _reach_faults(parts, parameters)


def _unknown(name: str) -> str:
    if name == "password":
        return IN_URL
    return f"has the parameter {shown(name)}; {advice(name, _PARAMETERS)}"


def _reach_faults(parts: SplitResult, parameters: Mapping[str, str]) -> list[str]:
    """The faults of a server that is nowhere, or that is reached over a network without a word about TLS."""
    host = parameters.get("host") or parts.hostname
    mode = parameters.get("sslmode")
    if not host:
        return [f"names no host; {_REMEDY}"]
    if mode is not None and mode not in _TLS_MODES:
        return [f"has sslmode={mode}, which does without TLS when somebody interferes; {advice(mode, _TLS_MODES)}"]
    return [_IN_THE_CLEAR] if mode is None and not (host.startswith("/") or is_loopback(host)) else []

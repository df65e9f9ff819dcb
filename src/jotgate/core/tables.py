"""Reads one table of a decoded document as the struct that it is meant to be, and finds every fault that it has."""

from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from jotgate.core.faults import Fault, advice, shown
from jotgate.core.values import Secret

SECRETS: Final = frozenset({"credential"})
"""Settings that hold a secret; their values are never shown."""

LITERAL_SECRETS: Final = SECRETS | {"api_key", "apikey", "key", "token", "secret", "password"}
"""What people call a secret that they write into a file."""

SHARED_SECRETS: Final = LITERAL_SECRETS | {"client_secret", "jwt_secret", "previous_secret", "secrets", "signing_key"}
"""The same, of an issuer."""

GRANT_SECRETS: Final = SHARED_SECRETS | {"private_key", "next_private_key", "refresh_token"}
"""The same, of the grant of an upstream."""

_HIDDEN: Final = SECRETS | {"password", "token"}
_SECRETS_BY_TABLE: Final = {"upstreams[": LITERAL_SECRETS, "mcp.servers[": LITERAL_SECRETS, "issuers[": SHARED_SECRETS}

_Struct = TypeVar("_Struct", bound=Struct)


def read_table(kind: type[_Struct], value: object, path: str, faults: list[Fault]) -> _Struct | None:
    """One table as its struct, or None when it has faults, which are added to `faults`."""
    if not isinstance(value, Mapping):
        faults.append((path, f"is {shown(value)}, and must be a table: [{path}]"))
        return None
    fields = msgspec.structs.fields(kind)
    found = unknown(f"{path}.", value, [field.name for field in fields])
    content: dict[str, object] = {}
    for field in fields:
        if field.name in value:
            try:
                content[field.name] = msgspec.convert(value[field.name], field.type, dec_hook=_conceal)
            except msgspec.ValidationError:
                what = "not that" if field.name in _HIDDEN else shown(value[field.name])
                found.append((f"{path}.{field.name}", f"is {what}, and must be {description(field.type)}"))
        elif field.required:
            found.append((f"{path}.{field.name}", f"is missing; write {description(field.type)}"))
    faults += found
    return None if found else make(kind, content)


def description(kind: object) -> str:
    """What a setting of this type wants to be, from its annotation."""
    return next(
        (one.description for one in getattr(kind, "__metadata__", ()) if isinstance(one, Meta) and one.description),
        "something else",
    )


def unknown(prefix: str, table: Mapping[str, object], known: list[str]) -> list[Fault]:
    """A fault for each name in a table that is no setting; secrets that stand there have faults of their own."""
    tables = _SECRETS_BY_TABLE.items()
    secrets = next((names for start, names in tables if prefix.startswith(start)), frozenset[str]())
    if prefix.endswith(".oauth."):
        secrets = GRANT_SECRETS
    return [
        (f"{prefix}{name}", f"is not a setting; {advice(name, known)}")
        for name in table
        if name not in known and name not in secrets
    ]


def make(kind: type[_Struct], content: Mapping[str, object]) -> _Struct:
    """A struct of members that were read one by one."""
    return kind(**content)


def _conceal(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError("no text")  # msgspec makes a fault of it.

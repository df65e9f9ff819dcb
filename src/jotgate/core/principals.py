"""The principal: who a verified token speaks for, and what that token may do."""

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from jotgate.core.issuers import ClaimMapping, Path
from jotgate.errors import ClaimRefused

_NAMED: Final = "name"


class Principal(Struct, frozen=True):
    """One immutable value from one function, the verifier.

    `issuer` is the `iss`, or jotgate's name for an issuer whose tokens carry none. `models` None means every model.
    `token_id` is the `jti`, or for a token without one the digest of its signing input. `expires_at_s` and
    `not_before_s` are NumericDates (RFC 7519 s2); infinite for a token without `exp`.
    """

    issuer: str
    subject: str
    client_id: str
    token_id: str
    kid: str
    scopes: frozenset[str]
    models: frozenset[str] | None
    expires_at_s: float
    not_before_s: float
    tenant: str = ""
    roles: frozenset[str] = frozenset()


class Identity(Struct, frozen=True):
    """What a claims set says through a mapping. `scopes` None: nothing."""

    subject: str
    client_id: str
    tenant: str
    scopes: frozenset[str] | None
    models: frozenset[str] | None
    roles: frozenset[str]


def read_identity(claims: Mapping[str, object], mapping: ClaimMapping) -> Identity:
    """Read verified claims as their issuer's mapping says.

    Raises:
        ClaimRefused: one of them is not of its shape, or says of nobody whom the token speaks for.
    """
    parts = [_text(claims, path) for path in mapping.subject]
    if not all(parts):
        missing = ".".join(mapping.subject[parts.index("")])
        raise ClaimRefused(missing, "missing", f"the token has no claim '{missing}' that says whom it speaks for")
    if len(parts) > 1 and any("/" in part for part in parts):  # Two subjects must never become one.
        raise _shape(mapping.subject[0], "a name without a slash")
    return Identity(
        subject="/".join(parts),
        client_id=_text(claims, mapping.client),
        tenant=_text(claims, mapping.tenant),
        scopes=_scopes(claims, mapping.scopes),
        models=_names(claims, mapping.models),
        roles=_names(claims, mapping.roles) or frozenset(),
    )


def find(claims: Mapping[str, object], path: Path) -> object:
    """What a path leads to; None when it leads nowhere, which JSON's null is as good as."""
    found: object = claims if path else None
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _text(claims: Mapping[str, object], path: Path) -> str:
    found = find(claims, path)
    if found is None:
        return ""
    if isinstance(found, str) and found and found.isprintable():
        return found
    raise _shape(path, "a non-empty printable string")


def _scopes(claims: Mapping[str, object], path: Path) -> frozenset[str] | None:
    found = find(claims, path)
    return frozenset(found.split(" ")) - {""} if isinstance(found, str) else _names(claims, path)


def _names(claims: Mapping[str, object], path: Path) -> frozenset[str] | None:
    found = find(claims, path)
    if found is None:
        # A null where names are meant to be says nothing; that nothing be limited needs the claim's absence.
        if path and _is_null(claims, path):
            raise _shape(path, "an array of strings")
        return None
    if not isinstance(found, list):
        raise _shape(path, "an array of strings")
    return frozenset(_each(found, path))


def _each(found: list[object], path: Path) -> Iterator[str]:
    for item in found:
        name = item.get(_NAMED) if isinstance(item, dict) else item
        if not isinstance(name, str):
            raise _shape(path, "an array of strings")
        yield name


def _is_null(claims: Mapping[str, object], path: Path) -> bool:
    owner = find(claims, path[:-1]) if path[:-1] else claims
    return isinstance(owner, dict) and path[-1] in owner


def _shape(path: Path, wanted: str) -> ClaimRefused:
    name = ".".join(path)
    return ClaimRefused(name, "invalid", f"the claim '{name}' is not {wanted}")

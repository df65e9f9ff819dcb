"""The principal: who a verified token speaks for, and what that token may do."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from msgspec import Struct

from jotgate.core.claim_values import ARRAY, NAME, are_names, is_name, wrong_shape
from jotgate.core.issuers import ClaimMapping, Path
from jotgate.core.lineage import Actor, Confirmation
from jotgate.core.quotas import TokenLimit
from jotgate.core.status_references import StatusReference
from jotgate.errors import ClaimRefused
from jotgate.jose.jwt import Claims

LAST_S: Final = 253_402_300_799
"""The last second that RFC 3339 can write: for what does not end, where no infinity can be written."""

USUAL: Final = ClaimMapping()
"""Where RFC 9068 s2.2 has it; our own tokens are such."""

_MODELS: Final = USUAL.models
_NONE: Final[frozenset[str]] = frozenset()
_NAMED: Final = "name"
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 s3.3


class Principal(Struct, frozen=True, gc=False):
    """One immutable value from one function, the verifier.

    `issuer` is the `iss`, or jotgate's name for an issuer whose tokens carry none. `models` None means every model.
    `token_id` is the `jti`, or for a token without one the digest of its signing input. `expires_at_s`,
    `not_before_s` and `issued_at_s` are NumericDates (RFC 7519 s2); infinite for a token without `exp`, None for one
    without `iat`. `token_type` is its `typ` in lower case without `application/`; empty for a token without.
    `family` is the refresh-token family that it came of, if any; `ancestors` are the tokens that it was narrowed from,
    the oldest first, as `core.revocations.ancestor_name` calls them, and `origins` what else those can be revoked by.
    Only our own tokens have these three. `actors` are who acts by it, the current one first and behind it those before
    (RFC 8693 s4.1); `may_act` is who may (s4.4). `confirmation` is what its bearer must prove, `session` the `sid`.
    `limits` are the quotas that it brings, its own and those of the tokens that it was narrowed from. `status` is where
    its status stands; None: nowhere, or nobody looks there.
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
    audiences: frozenset[str] = frozenset()
    token_type: str = ""
    issued_at_s: float | None = None
    family: str = ""
    ancestors: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    actors: tuple[Actor, ...] = ()
    may_act: Actor | None = None
    confirmation: Confirmation | None = None
    session: str = ""
    limits: tuple[TokenLimit, ...] = ()
    status: StatusReference | None = None


NOBODY: Final = Principal(
    issuer="",
    subject="",
    client_id="",
    token_id="",
    kid="",
    scopes=frozenset(),
    models=None,
    expires_at_s=0.0,
    not_before_s=0.0,
)
"""For what is recorded of a request whose caller is not known."""


class Verified(Struct, frozen=True):
    """What is told of a token that is good: whom it speaks for, and the face at which alone; empty: natively."""

    principal: Principal
    face: str = ""


class Identity(Struct, frozen=True, gc=False):
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
    return Identity(
        subject=_subject(claims, mapping.subject),
        client_id=_text(claims, mapping.client),
        tenant=_text(claims, mapping.tenant),
        scopes=_scopes(claims, mapping.scopes),
        models=_names(claims, mapping.models),
        roles=_roles(claims, mapping.roles),
    )


def read_subject(claims: Mapping[str, object], mapping: ClaimMapping) -> str:
    """Whom verified claims speak of, as the mapping of their issuer's tokens says. Raises ClaimRefused."""
    return _subject(claims, mapping.subject)


def usual_identity(claims: Claims) -> Identity:
    """What `read_identity` says through the usual mapping, most of which is known of any claims set.

    Raises:
        ClaimRefused: as there.
    """
    if claims.sub is None:
        return read_identity(claims.raw, USUAL)
    scopes = None if claims.scope is None else _scope_set(claims.scope)
    listed = claims.raw.get("models")
    if isinstance(listed, list) and are_names(listed):
        models: frozenset[str] | None = frozenset(listed)
    else:
        models = _names(claims.raw, _MODELS)
    return Identity(claims.sub, claims.client_id or "", "", scopes, models, _NONE)


@lru_cache(maxsize=64)
def audience_set(audiences: tuple[str, ...]) -> frozenset[str]:
    """The members of a verified `aud`; most tokens share one of a few, which is then in memory once."""
    return frozenset(audiences)


def find(claims: Mapping[str, object], path: Path) -> object:
    """What a path leads to; None when it leads nowhere, which JSON's null at its end is as good as.

    Raises:
        ClaimRefused: what stands on the way is no object, so that what the issuer means cannot be known.
    """
    if len(path) == 1:
        return claims.get(path[0])
    found: object = claims if path else None
    for place, name in enumerate(path):
        if not isinstance(found, dict):
            raise wrong_shape(path[:place], "an object", found)
        if name not in found:
            return None
        found = found[name]
    return found


def _subject(claims: Mapping[str, object], paths: tuple[Path, ...]) -> str:
    parts = [_text(claims, path) for path in paths]
    if not parts or "" in parts:
        missing = ".".join(paths[parts.index("")]) if parts else "sub"
        raise ClaimRefused(missing, "missing", f"the token has no claim '{missing}' that says whom it speaks for")
    if len(parts) > 1 and any("/" in part for part in parts):  # Two subjects must never become one.
        raise wrong_shape(paths[0], "a name without a slash", parts)
    return "/".join(parts)


def _text(claims: Mapping[str, object], path: Path) -> str:
    found = find(claims, path) if path else None
    if found is None:
        return ""
    if is_name(found):
        return found
    raise wrong_shape(path, NAME, found)


@lru_cache(maxsize=64)
def _scope_set(scope: str) -> frozenset[str]:
    """The members of a verified scope; most tokens share one of a few, which is then in memory once."""
    return frozenset(scope.split(" "))


def _scopes(claims: Mapping[str, object], path: Path) -> frozenset[str] | None:
    found = find(claims, path)
    scopes = found.split(" ") if isinstance(found, str) else _names(claims, path)
    if scopes is None:
        return None
    if all(map(_SCOPE.fullmatch, scopes)):
        return frozenset(scopes)
    raise wrong_shape(path, "a list of scopes, an array or one string with single spaces", found)


def _roles(claims: Mapping[str, object], path: Path) -> frozenset[str]:
    if not path:
        return _NONE
    found = find(claims, path)
    if isinstance(found, str) and is_name(found):
        return frozenset((found,))
    return _names(claims, path) or _NONE


def _names(claims: Mapping[str, object], path: Path) -> frozenset[str] | None:
    found = find(claims, path)
    if found is None:
        # A null where names are meant to be says nothing; that nothing be limited needs the claim's absence.
        if path and path[-1] in _owner(claims, path):
            raise wrong_shape(path, ARRAY, "null")
        return None
    if not isinstance(found, list):
        raise wrong_shape(path, ARRAY, found)
    if are_names(found):
        return frozenset(found)
    names: list[str] = []
    for item in found:
        name = item.get(_NAMED) if isinstance(item, dict) else item
        if not is_name(name):
            raise wrong_shape(path, ARRAY, item)
        names.append(name)
    return frozenset(names)


def _owner(claims: Mapping[str, object], path: Path) -> Mapping[str, object]:
    """The object that a path's last name would stand in; an empty one where there is none."""
    owner = find(claims, path[:-1]) if path[:-1] else claims
    return owner if isinstance(owner, dict) else {}

"""What a token says of where it comes from, who acts by it, and what its bearer must prove."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct

from jotgate.core.claim_values import ARRAY, NAME, are_names, is_name, wrong_shape
from jotgate.core.quotas import TokenLimit
from jotgate.core.token_limits import read_token_limits

ACTORS_MAX: Final = 4
"""So long a chain of actors may be, the current one included."""
LINEAGE_CLAIMS: Final = frozenset(
    ("tenant", "roles", "family", "ancestors", "origins", "act", "may_act", "cnf", "sid", "limits")
)
"""Where all that stands; most tokens have none of them."""

_NOBODY: Final[frozenset[str]] = frozenset()
_METHODS: Final[Mapping[str, Literal["jkt", "x5t#S256"]]] = {"jkt": "jkt", "x5t#S256": "x5t#S256"}
_SHA256: Final = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")  # base64url of 32 bytes
_MEMBERS: Final = frozenset(("sub", "iss", "client_id"))
_CONFIRMATION: Final = "an object with one member, 'jkt' or 'x5t#S256', that is a SHA-256 in base64url"


class Actor(Struct, frozen=True):
    """Who acts by a token, or may (RFC 8693 s4.1, s4.4). `issuer` empty: it is the issuer of that token."""

    subject: str
    issuer: str = ""
    client_id: str = ""


class Confirmation(Struct, frozen=True):
    """What the bearer of a token must prove: the key with this thumbprint (RFC 9449 s6.1, RFC 8705 s3.1)."""

    method: Literal["jkt", "x5t#S256"]
    value: str


class Lineage(Struct, frozen=True):
    """What stands in the `LINEAGE_CLAIMS`; see `Principal`.

    Tenant, roles, family, ancestors, origins and limits are ours alone.
    """

    tenant: str = ""
    roles: frozenset[str] = _NOBODY
    family: str = ""
    ancestors: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    actors: tuple[Actor, ...] = ()
    may_act: Actor | None = None
    confirmation: Confirmation | None = None
    session: str = ""
    limits: tuple[TokenLimit, ...] = ()


NO_LINEAGE: Final = Lineage()
"""Of a token that has none of the claims."""


def read_lineage(claims: Mapping[str, object], *, ours: bool) -> Lineage:
    """Read these claims of a verified token; what another issuer says of our own (`ours` False) means nothing.

    Raises:
        ClaimRefused: one of them is not of its shape, or asks for a proof that nobody here can check.
    """
    return Lineage(  # Each is looked for by itself: of those that have any at all, most have one or two.
        _text(claims, "tenant") if ours and "tenant" in claims else "",
        frozenset(_names(claims, "roles")) if ours and "roles" in claims else _NOBODY,
        _text(claims, "family") if ours and "family" in claims else "",
        _names(claims, "ancestors") if ours and "ancestors" in claims else (),
        _names(claims, "origins") if ours and "origins" in claims else (),
        _actors(claims) if "act" in claims else (),
        _permitted(claims["may_act"]) if "may_act" in claims else None,
        _confirmation(claims["cnf"]) if "cnf" in claims else None,
        _text(claims, "sid") if "sid" in claims else "",
        read_token_limits(claims) if ours and "limits" in claims else (),
    )


def actor_claim(actors: Sequence[Actor]) -> dict[str, object]:
    """The claim `act` of these, the current one first; `read_lineage` reads it. There is at least one."""
    claim: dict[str, object] = {}
    for actor in reversed(actors):
        members = {"sub": actor.subject, "iss": actor.issuer, "client_id": actor.client_id, "act": claim}
        claim = {name: value for name, value in members.items() if value}
    return claim


def _text(claims: Mapping[str, object], name: str) -> str:
    found = claims[name]
    if is_name(found):
        return found
    raise wrong_shape((name,), NAME, found)


def _names(claims: Mapping[str, object], name: str) -> tuple[str, ...]:
    found = claims[name]
    if isinstance(found, list) and are_names(found):
        return tuple(found)
    raise wrong_shape((name,), ARRAY, found)


def _actors(claims: Mapping[str, object]) -> tuple[Actor, ...]:
    """The current actor, and behind it the one before, and so on (RFC 8693 s4.1)."""
    found: list[Actor] = []
    owner = claims
    path: tuple[str, ...] = ("act",)
    while "act" in owner:
        if len(found) == ACTORS_MAX:
            raise wrong_shape(("act",), f"a chain of at most {ACTORS_MAX} actors", "a longer one")
        one = owner["act"]
        found.append(_actor(path, one))
        assert isinstance(one, dict), "an actor is an object"
        owner, path = one, (*path, "act")
    return tuple(found)


def _permitted(found: object) -> Actor:
    """Who may act. All members together say who (RFC 8693 s4.4): what is not understood would name somebody else."""
    if isinstance(found, dict) and not found.keys() <= _MEMBERS:
        raise wrong_shape(("may_act",), "an object with members 'sub', 'iss' and 'client_id' alone", found)
    return _actor(("may_act",), found)


def _actor(path: tuple[str, ...], found: object) -> Actor:
    if not isinstance(found, dict):
        raise wrong_shape(path, "an object", found)
    names = [found.get("sub"), found.get("iss", ""), found.get("client_id", "")]
    if not is_name(names[0]):
        raise wrong_shape((*path, "sub"), NAME, names[0])
    if not are_names([name for name in names if name != ""]):
        raise wrong_shape(path, "an object whose members are non-empty printable strings", found)
    return Actor(*names)


def _confirmation(found: object) -> Confirmation:
    """Exactly one method that is known: what is not understood is not proven (RFC 7800 s3.1)."""
    if isinstance(found, dict) and len(found) == 1:
        ((name, value),) = found.items()
        method = _METHODS.get(name)
        if method is not None and isinstance(value, str) and _SHA256.fullmatch(value):
            return Confirmation(method, value)
    raise wrong_shape(("cnf",), _CONFIRMATION, found)

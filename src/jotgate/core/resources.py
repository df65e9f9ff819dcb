"""Which resources a token is for, and which scopes make sense there (RFC 8707, RFC 9068 s3): both only ever shrink."""

from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from jotgate.core.mcp_resources import canonical, covers_scope, is_mcp_resource
from jotgate.core.mcp_tools import read_scope
from jotgate.core.rights import grant_scopes
from jotgate.core.scopes import ADMIN_SCOPES, is_scope_of
from jotgate.errors import ScopeRefused, TargetRefused

_ADMIN_PATH: Final = "/admin/api"
_URI_CHARS_MAX: Final = 256


class Target(Struct, frozen=True):
    """What a request is granted: the resources as `aud`, and the scopes."""

    audiences: tuple[str, ...]
    scopes: tuple[str, ...]


def admin_resource(issuer: str) -> str:
    """The name of the administration API; the gateway's own is the issuer's URL."""
    return issuer + _ADMIN_PATH


@lru_cache(maxsize=1_024)
def grant_target(
    resources: tuple[str, ...], scope: str, *, allowed: tuple[str, ...], scopes: frozenset[str], issuer: str
) -> Target:
    """What comes of the parameters `resource` and `scope`, where `allowed` and `scopes` may be granted at most.

    Without `allowed` that is the gateway alone. Without `resources` a token is for the resource that its scopes are of,
    or for the gateway. Without `scope` it gets all scopes that make sense for its resources.

    Raises:
        TargetRefused: a resource is no absolute URI, or is not allowed.
        ScopeRefused: a scope is not allowed, or makes no sense for the resources; or nothing would be granted.
    """
    permitted = allowed or (issuer,)
    resources = tuple(_part(one, issuer) or one for one in resources)
    for resource in resources:
        # Who may have a token of the gateway may have one of a part of it.
        if not (issuer in permitted and _part(resource, issuer)):
            _check_resource(resource, permitted)
    asked = frozenset(grant_scopes(scope, scopes)) if scope else frozenset[str]()
    audiences = tuple(dict.fromkeys(resources)) or (_default(asked, permitted, issuer),)
    fitting = frozenset(one for one in scopes | asked if _makes_sense(one, audiences, issuer))
    if not asked <= fitting:
        raise ScopeRefused(
            "one of the scopes asked for is of another resource than the token",
            hint="Ask for tokens of the gateway and of the administration API apart, or name both in 'resource'",
        )
    granted = grant_scopes(scope, fitting)
    if not granted:
        raise ScopeRefused("there is no scope that may be granted")
    return Target(audiences, granted)


def _part(resource: str, issuer: str) -> str:
    """The part of the gateway that a resource names, however its scheme and host are written; empty: it is none."""
    written = canonical(resource)
    return written if is_mcp_resource(written, issuer) else ""


def _check_resource(resource: str, allowed: tuple[str, ...]) -> None:
    if resource in allowed:
        return
    try:
        parts = urlsplit(resource)
    except ValueError:
        parts = urlsplit("")
    if not parts.scheme or "#" in resource or len(resource) > _URI_CHARS_MAX or not resource.isascii():
        raise TargetRefused("the resource is not an absolute URI without a fragment")
    raise TargetRefused("the resource is unknown, or not for this client")


def _default(asked: frozenset[str], allowed: tuple[str, ...], issuer: str) -> str:
    """RFC 9068 s3: the resource of a request that names none, from its scopes."""
    admin = admin_resource(issuer)
    if asked and asked <= ADMIN_SCOPES and admin in allowed:
        return admin
    return issuer if issuer in allowed else allowed[0]


def _makes_sense(scope: str, audiences: tuple[str, ...], issuer: str) -> bool:
    admin = admin_resource(issuer)
    if scope in ADMIN_SCOPES:
        return admin in audiences
    if read_scope(scope) is not None:
        return covers_scope(scope, audiences, issuer)
    if ":" in scope:  # The URI of another resource, and what may be done there: `core.scopes.scope_fault`.
        return any(is_scope_of(scope, audience) for audience in audiences)
    return any(audience != admin and not is_mcp_resource(audience, issuer) for audience in audiences)

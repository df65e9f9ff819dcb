"""What an account may do, and what of that a token says: both only ever shrink."""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from jotgate.core.accounts import ClientRecord, PrincipalRecord, TenantRecord
from jotgate.core.mcp_tools import covering
from jotgate.core.operations import ALL_OPERATIONS_SCOPE, BEYOND_AI, SCOPES
from jotgate.core.scopes import ADMIN_ALL, ADMIN_SCOPES
from jotgate.errors import ScopeRefused

_PARTS: Final[Mapping[str, frozenset[str]]] = {
    ALL_OPERATIONS_SCOPE: SCOPES - {ALL_OPERATIONS_SCOPE} - BEYOND_AI,
    ADMIN_ALL: ADMIN_SCOPES - {ADMIN_ALL},
}
"""What a scope that is short for others stands for."""
_WHOLES: Final[Mapping[str, str]] = {part: whole for whole, parts in _PARTS.items() for part in parts}


class Rights(Struct, frozen=True):
    """Scopes, and models by alias; `models` None: every one. `roles` are those that the tenant still defines."""

    scopes: frozenset[str]
    models: frozenset[str] | None = None
    roles: tuple[str, ...] = ()

    def within(self, other: "Rights") -> "Rights":
        """What both allow, with the roles of this one."""
        return Rights(within_scopes(self.scopes, other.scopes), _both(self.models, other.models), self.roles)


def rights_of(account: PrincipalRecord | ClientRecord, tenant: TenantRecord) -> Rights:
    """An account's own scopes and those of its roles. Its own `models` bound those that its roles give.

    Roles that all name models give those together. One that the tenant does not define gives no scope and no model:
    nobody may do more because a role has gone.
    """
    own = None if account.models is None else frozenset(account.models)
    if not account.roles:
        return Rights(frozenset(account.scopes), own)
    defined = {role.name: role for role in tenant.roles}
    roles = [defined[name] for name in account.roles if name in defined]
    scopes = frozenset(account.scopes).union(*(role.scopes for role in roles))
    lists = [defined[name].models if name in defined else () for name in account.roles]
    given: frozenset[str] | None = None
    if None not in lists:
        given = frozenset(name for names in lists for name in names or ())
    return Rights(scopes, _both(own, given), tuple(role.name for role in roles))


def within_scopes(asked: Iterable[str], allowed: frozenset[str]) -> frozenset[str]:
    """Of the scopes that are asked for, what is allowed.

    `ai` and `admin:*` cover what they stand for, and are narrowed to what of that is allowed; so does
    `mcp:<server>:*`. What `mcp:<server>:read` covers nobody knows who has the scopes alone, so it covers itself.
    """
    found: set[str] = set()
    for scope in asked:
        if scope in allowed or _WHOLES.get(scope) in allowed or covering(scope) in allowed:
            found.add(scope)
        elif covering(scope) == scope:
            found |= {one for one in allowed if covering(one) == scope}
        else:
            found |= _PARTS.get(scope, frozenset()) & allowed
    return frozenset(found)


def grant_scopes(asked: str, allowed: frozenset[str]) -> tuple[str, ...]:
    """The scopes of a request (RFC 6749 s3.3), in its order; all that is allowed when it is empty, sorted.

    Raises:
        ScopeRefused: it asks for one that is not allowed.
    """
    if not asked:
        return tuple(sorted(allowed))
    names = tuple(dict.fromkeys(asked.split(" ")))
    refused = [name for name in names if name not in within_scopes((name,), allowed)]
    if refused:
        raise ScopeRefused(
            "one of the scopes asked for may not be granted",
            hint=f"What may be: {' '.join(sorted(allowed)) or 'none'}",
        )
    return names


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other

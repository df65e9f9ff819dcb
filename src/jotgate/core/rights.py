"""What an account may do, and what of that a token says: both only ever shrink."""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from jotgate.core.accounts import ClientRecord, PrincipalRecord, TenantRecord
from jotgate.core.operations import ALL_OPERATIONS_SCOPE, METRICS, SCOPES
from jotgate.errors import ScopeRefused

_COVERED: Final = SCOPES - {ALL_OPERATIONS_SCOPE, METRICS}
"""What the scope `ai` stands for."""


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

    A role that the tenant does not define gives nothing. Roles that all name models give those together.
    """
    roles = [role for role in tenant.roles if role.name in account.roles]
    scopes = frozenset(account.scopes).union(*(role.scopes for role in roles))
    given: frozenset[str] | None = None
    lists = [role.models for role in roles]
    if lists and None not in lists:
        given = frozenset(name for names in lists for name in names or ())
    own = None if account.models is None else frozenset(account.models)
    return Rights(scopes, _both(own, given), tuple(role.name for role in roles))


def within_scopes(asked: Iterable[str], allowed: frozenset[str]) -> frozenset[str]:
    """Of the scopes that are asked for, what is allowed; `ai` covers, and is narrowed to, what it stands for."""
    found: set[str] = set()
    for scope in asked:
        if scope in allowed or (ALL_OPERATIONS_SCOPE in allowed and scope in _COVERED):
            found.add(scope)
        elif scope == ALL_OPERATIONS_SCOPE:
            found |= _COVERED & allowed
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

"""The scopes of the admin API, and which scopes an account may be given at all."""

import re
from collections.abc import Collection
from typing import Final, Literal

from jotgate.core.faults import advice, shown
from jotgate.core.mcp_tools import read_scope
from jotgate.core.operations import SCOPES

INTROSPECT: Final = "introspect"
"""Lets a client ask what the tokens of others say that are for its resources (RFC 7662 s2.1)."""

AdminNoun = Literal["clients", "principals", "tenants", "tokens", "keys", "issuers", "policies", "quotas"]

ADMIN_ALL: Final = "admin:*"
"""Stands for every scope of the admin API. `ai` stands for none of them."""
ADMIN_READ: Final = "admin:read"
ADMIN_NOUNS: Final[tuple[AdminNoun, ...]] = (
    "clients", "principals", "tenants", "tokens", "keys", "issuers", "policies", "quotas",
)  # fmt: skip
ADMIN_SCOPES: Final = frozenset({ADMIN_ALL, ADMIN_READ, *(f"admin:{noun}" for noun in ADMIN_NOUNS)})

_SYNTAX: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,256}")  # RFC 6749 s3.3
_URI: Final = re.compile(r"(https?://|urn:)[^/:#]", re.ASCII)


def may_administer(scopes: Collection[str], noun: AdminNoun, *, change: bool) -> bool:
    """Whether these scopes let somebody change, or only see, what the admin API has of a noun."""
    enough = {ADMIN_ALL, f"admin:{noun}"} if change else {ADMIN_ALL, f"admin:{noun}", ADMIN_READ}
    return not enough.isdisjoint(scopes)


def scope_fault(scope: str, audiences: Collection[str] | None = None) -> str:
    """Why nobody may be given this scope; empty when somebody may.

    It is one that jotgate defines, or another resource's, which is told by its beginning: a URI; for a client, whose
    `audiences` are given, the URI of one of them.
    """
    if not _SYNTAX.fullmatch(scope):
        return f"{shown(scope)} is no scope: it is 1 to 256 printable ASCII characters without space, quote, backslash"
    if scope in SCOPES or scope in ADMIN_SCOPES or scope == INTROSPECT or read_scope(scope) is not None:
        return ""
    if audiences is None and _URI.match(scope):
        return ""
    if audiences is not None and any(is_scope_of(scope, audience) for audience in audiences):
        return ""
    known = advice(scope, [*sorted(SCOPES), INTROSPECT, ADMIN_ALL])
    return f"{shown(scope)} is unknown ({known}); one of another resource begins with its URL and a slash"


def is_scope_of(scope: str, audience: str) -> bool:
    """Whether a scope says that it is of this resource: `https://files.example/read` is of `https://files.example`."""
    root = audience.rstrip("/")
    return scope.startswith(root) and len(scope) > len(root) + 1 and scope[len(root)] in "/:#"

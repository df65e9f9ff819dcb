"""Whose credential a caller is sent to an MCP server with, where each has its own: the name that it has here."""

from collections.abc import Mapping

from jotgate.core.principals import Principal


def holder_of(principal: Principal, issuers: Mapping[str, str]) -> str:
    """Whom a token speaks for, whoever acts by it: of another issuer `NAME/SUBJECT`, as quotas and accounts have it.

    `issuers` are the names of the other issuers by their `iss`.
    """
    name = issuers.get(principal.issuer)
    return principal.subject if name is None else f"{name}/{principal.subject}"

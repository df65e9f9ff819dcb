"""The resources that MCP servers are behind the gateway (RFC 9728, RFC 8707): their names, and whose tokens they take.

Each server is a resource of its own, `<issuer>/mcp/<server>`, and `<issuer>/mcp` is all of them. They are parts of the
gateway: who may have a token of the gateway may have one of a part, and a token of the gateway is good there.
"""

import re
from collections.abc import Set
from typing import Final
from urllib.parse import urlsplit

from jotgate.core.mcp_tools import READ, read_scope, tool_scope

PATH: Final = "/mcp"
_SERVER: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")


def mcp_resource(issuer: str, server: str = "") -> str:
    """The name of a server's resource; of all of them where none is named."""
    return f"{issuer}{PATH}/{server}" if server else f"{issuer}{PATH}"


def is_mcp_resource(resource: str, issuer: str) -> bool:
    """Whether a resource is the part of the gateway that is one MCP server, or all of them."""
    head = mcp_resource(issuer)
    if resource == head:
        return True
    return resource.startswith(f"{head}/") and _SERVER.fullmatch(resource[len(head) + 1 :]) is not None


def canonical(resource: str) -> str:
    """A resource with its scheme and host in small letters, as MCP has its clients write it; it stays as it is else."""
    try:
        parts = urlsplit(resource)
    except ValueError:
        return resource
    if not parts.scheme or not parts.netloc or "@" in parts.netloc:
        return resource
    head = f"{parts.scheme}://{parts.netloc}"
    return resource if not resource.lower().startswith(head.lower()) else head.lower() + resource[len(head) :]


def covers_scope(scope: str, audiences: Set[str] | tuple[str, ...], issuer: str) -> bool:
    """Whether a scope of tools makes sense in a token for these audiences."""
    found = read_scope(scope)
    if found is None:
        return False
    return any(one in audiences for one in (issuer, mcp_resource(issuer), mcp_resource(issuer, found[0])))


def is_for(audiences: Set[str], issuer: str, server: str, *, taken: tuple[str, ...]) -> bool:
    """Whether a token for these audiences is for a server's resource; of all servers where none is named.

    `taken` are the audiences that its issuer's tokens have for the whole gateway.
    """
    if not audiences.isdisjoint(taken) or mcp_resource(issuer) in audiences:
        return True
    return bool(server) and mcp_resource(issuer, server) in audiences


def basic_scopes(servers: tuple[str, ...]) -> tuple[str, ...]:
    """What is said to be needed before anything else is known: to read from each of these servers."""
    return tuple(tool_scope(server, READ) for server in servers)

"""What `jotgate mcp` does itself when no jotgate runs on DATA; its caller holds the lock."""

import asyncio
from collections.abc import Sequence

from jotgate.assembly.kept_tokens import open_kept_tokens
from jotgate.assembly.mcp_room import places_of
from jotgate.assembly.offline import opened
from jotgate.assembly.system import SystemClock
from jotgate.core.mcp_compiler import mcp_grants
from jotgate.core.mcp_credential_orders import McpCredentialAnswer, McpCredentialOrder
from jotgate.core.mcp_orders import McpAnswer, McpOrder
from jotgate.core.routes import Reach
from jotgate.services.mcp_credential_desk import CredentialPlaces, McpCredentialDesk
from jotgate.services.tool_desk import ToolDesk
from jotgate.stores.access import DirectAccess
from jotgate.stores.directory import DataDirectory
from jotgate.stores.settings import Sources


class _Nobody:
    """Whom nothing is told (services.tool_desk.ToolNews): no worker runs that could see tools."""

    def hidden(self, server: str, tools: Sequence[str], kind: str) -> None:
        """Nobody sees any."""


def order_tools(directory: DataDirectory, sources: Sources, order: McpOrder) -> McpAnswer:
    """Do what is ordered about tools, and make the installation if this is the first start.

    Raises:
        CommandError, RecordChanged: see `services.tool_desk`.
        ConfigurationError, DirectoryRefused, StoreUnavailable, AuditUnavailable: see `assembly.authority`.
    """
    with opened(directory, sources) as (authority, config):
        desk = ToolDesk(
            lambda: places_of(config),
            DirectAccess(authority.store),
            authority.recorder,
            SystemClock(),
            news=_Nobody(),
            told=None,
        )
        return asyncio.run(desk.carry_out(order))


def order_credentials(directory: DataDirectory, sources: Sources, order: McpCredentialOrder) -> McpCredentialAnswer:
    """Do what is ordered about credentials; the same otherwise.

    Raises:
        CommandError, RecordChanged: see `services.mcp_credential_desk`.
        ConfigurationError, DirectoryRefused, StoreUnavailable, AuditUnavailable: see `assembly.authority`.
    """
    with opened(directory, sources) as (authority, config):
        # Nobody is asked here, so the way to them and their secrets are not needed.
        grants = mcp_grants(config.mcp, {}, {one.upstream: Reach() for one in config.mcp.servers})
        access = DirectAccess(authority.store)
        kept = open_kept_tokens(authority, access, SystemClock(), grants.get)
        places = CredentialPlaces(config.mcp.servers, grants)
        desk = McpCredentialDesk(lambda: places, kept, access, authority.recorder, keeper=None)
        return asyncio.run(desk.carry_out(order))

"""MCP servers while control runs: what is known of their tools and what is kept for them, by the settings in effect."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from starlette.routing import Route

from jotgate.assembly.keys import OpenKeys
from jotgate.assembly.reload import Reloader
from jotgate.assembly.upstream_logins import UpstreamRoom
from jotgate.control.operator import order_route
from jotgate.core.config import Config
from jotgate.core.mcp_credential_orders import McpCredentialOrder
from jotgate.core.mcp_entries import McpServerEntry
from jotgate.core.mcp_orders import McpOrder, ServerView
from jotgate.core.token_grants import TokenGrant
from jotgate.ports import Clock
from jotgate.processes.bus import BusServer
from jotgate.processes.console import say
from jotgate.services.mcp_credential_desk import CredentialPlaces, McpCredentialDesk
from jotgate.services.tool_desk import McpPlaces, ToolDesk

_NAMED_MAX: Final = 8


class LoggedTools:
    """The log as what the desk tells (services.tool_desk.ToolNews)."""

    def hidden(self, server: str, tools: Sequence[str], kind: str) -> None:
        """These wait to be approved."""
        what = {"new": "are new", "changed": "are not what was approved"}.get(
            kind, "are more than are kept of a server"
        )
        more = len(tools) - _NAMED_MAX
        named = ", ".join(tools[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
        text = f"tools of the MCP server '{server}' {what}, and are hidden: {named}; see: jotgate mcp list {server}"
        say(text, event="mcp_tools_hidden", level="warning", server=server)


class McpRoom(Struct, frozen=True):
    """The desks, and the routes of the operator's orders."""

    tools: ToolDesk
    credentials: McpCredentialDesk
    routes: tuple[Route, ...]


def open_mcp_room(keys: OpenKeys, reloader: Reloader, bus: BusServer, clock: Clock, upstreams: UpstreamRoom) -> McpRoom:
    """The room, which workers may tell of tools over the bus."""
    recorder = keys.authority.recorder

    async def renew() -> int | None:
        return await reloader.renew()

    async def told() -> None:
        await keys.feed.look(renew)

    def grants() -> dict[str, TokenGrant]:
        return {one.upstream: one for one in reloader.effect.grants}

    tools = ToolDesk(
        lambda: places_of(reloader.effect.config), keys.access, recorder, clock, news=LoggedTools(), told=told
    )
    credentials = McpCredentialDesk(
        lambda: CredentialPlaces(reloader.effect.config.mcp.servers, grants()),
        upstreams.kept,
        keys.access,
        recorder,
        keeper=upstreams.tokens,
    )
    bus.answers.serve_tools(tools.seen)
    routes = (
        order_route("/mcp/tools", McpOrder, tools.carry_out),
        order_route("/mcp/credentials", McpCredentialOrder, credentials.carry_out),
    )
    return McpRoom(tools, credentials, routes)


def places_of(config: Config) -> McpPlaces:
    """What the settings say of the servers."""
    return McpPlaces(tuple(map(_view, config.mcp.servers)))


def _view(entry: McpServerEntry) -> ServerView:
    return ServerView(name=entry.name, place=entry.place, credential=entry.credential_kind, pins=entry.pins)

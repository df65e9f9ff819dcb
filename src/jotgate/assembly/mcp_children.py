"""The MCP servers that are children of control: started when they are asked for, ended with their settings."""

import asyncio
import logging
from pathlib import Path
from typing import Final

from starlette.routing import Mount

from jotgate.assembly.reload import Reloader
from jotgate.control.mcp_children import children_mount
from jotgate.core.mcp_children import ChildSpec, compile_children
from jotgate.ports import Clock
from jotgate.processes.mcp_child import ChildProcess, Launcher
from jotgate.services.mcp_bridge import Hearing
from jotgate.services.mcp_bridges import Bridges
from jotgate.stores.dotenv import with_dotenv

_JOURNAL: Final = logging.getLogger("jotgate")


class McpChildren:
    """Mutable: whether the settings have changed."""

    def __init__(self, reloader: Reloader, clock: Clock) -> None:
        self._reloader = reloader
        self._bridges = Bridges(self._launch, clock, _note)
        self._changed = asyncio.Event()
        self._changed.set()

    def swapped(self) -> None:
        """Other settings are in effect."""
        self._changed.set()

    async def keep(self) -> None:
        """Have the children that the settings ask for, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._bridges.follow(compile_children(self._reloader.effect.config.mcp))

    async def settle(self) -> None:
        """End all children."""
        await self._bridges.close()

    @property
    def mount(self) -> Mount:
        """What answers workers for children."""
        return children_mount(self._bridges.find)

    async def _launch(self, spec: ChildSpec, hearing: Hearing) -> ChildProcess:
        sources = self._reloader.sources
        environment = with_dotenv(sources.environment, sources.dotenv).values
        base = sources.file.parent if sources.file is not None else Path()
        return await Launcher(environment, base)(spec, hearing)


def _note(server: str, what: str, fault: bool) -> None:
    extra = {"event": "mcp_child", "fields": {"server": server}}
    _JOURNAL.log(logging.WARNING if fault else logging.INFO, "MCP server '%s': %s", server, what, extra=extra)

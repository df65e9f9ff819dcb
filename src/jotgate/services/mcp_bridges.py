"""The bridges to all MCP servers that are children of this process, as the settings ask for them."""

from collections.abc import Iterable

from jotgate.core.mcp_children import ChildSpec
from jotgate.ports import Clock
from jotgate.services.mcp_bridge import Bridge, Launch, Note


class Bridges:
    """Mutable: the bridges, by the server's name. A child is started when it is first asked."""

    def __init__(self, launch: Launch, clock: Clock, note: Note) -> None:
        self._launch = launch
        self._clock = clock
        self._note = note
        self._by_name: dict[str, Bridge] = {}

    def find(self, name: str) -> Bridge | None:
        """The bridge to a server; None: there is none."""
        return self._by_name.get(name)

    async def follow(self, specs: Iterable[ChildSpec]) -> None:
        """Have these, and no others: what is set up in another way than before is ended, and starts again."""
        wanted = {one.name: one for one in specs}
        gone = [one for name, one in self._by_name.items() if wanted.get(name) != one.spec]
        kept = {name: one for name, one in self._by_name.items() if one not in gone}
        self._by_name = {
            name: kept.get(name) or Bridge(spec, self._launch, self._clock, self._note) for name, spec in wanted.items()
        }
        for bridge in gone:
            await bridge.close()

    async def close(self) -> None:
        """End all children."""
        await self.follow(())

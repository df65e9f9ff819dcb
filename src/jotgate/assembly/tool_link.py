"""What a worker and control say to one another of the tools of MCP servers, on the worker's side."""

from jotgate.core.mcp_tools import Tool
from jotgate.gateway.world import World
from jotgate.processes.link import Link
from jotgate.processes.messages import ToolsKnown, ToolsSeen
from jotgate.services.tool_book import ToolBook


class ToolLink:
    """Tells control which tools were seen, and takes what it says of them. Immutable."""

    def __init__(self, book: ToolBook, link: Link) -> None:
        self._book = book
        self._link = link
        self.ask_again = book.ask_again
        self.check_deadlines = book.check_deadlines
        book.ask_by(self._ask)

    def hear(self, known: ToolsKnown) -> None:
        """Take what control says."""
        self._book.answered(known.number, known.version, known.known)

    def swap(self, world: World) -> None:
        """A new world is in use."""
        self._book.enter(world.snapshot.mcp, world.snapshot.tools)

    def _ask(self, number: int, server: str, tools: list[Tool]) -> None:
        self._link.send(ToolsSeen(number, server, tools))  # If there is nobody to ask now, it is asked when there is.

"""Where a worker keeps what it knows of the tools of MCP servers, and what it tells of those that it sees."""

from collections.abc import Sequence
from typing import Protocol

from jotgate.core.mcp_pins import Known, KnownTool
from jotgate.core.mcp_tools import Tool


class ToolBook(Protocol):
    """What decides which definitions of tools count."""

    def known(self, server: str) -> Known:
        """What is known of a server's tools; empty: nothing yet."""

    def saw(self, server: str, tools: Sequence[Tool]) -> None:
        """These stand in a list that the server has just given; it may be one page of several."""


class SeenTools:
    """A book in which every definition counts as it was seen last. Mutable: what was seen, by server."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, KnownTool]] = {}

    def known(self, server: str) -> Known:
        """What was seen of a server's tools."""
        return self._known.get(server, {})

    def saw(self, server: str, tools: Sequence[Tool]) -> None:
        """Take these as they are."""
        found = self._known.setdefault(server, {})
        found.update({tool.name: KnownTool(tool.digest, tool.read_only) for tool in tools})

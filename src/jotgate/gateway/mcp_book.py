"""Where a worker keeps what it knows of the tools of MCP servers, and what it tells of those that it sees."""

from collections.abc import Sequence
from typing import Protocol

from jotgate.core.mcp_pins import Known
from jotgate.core.mcp_tools import Tool


class ToolBook(Protocol):
    """What decides which definitions of tools count (`services.tool_book`)."""

    def known(self, server: str) -> Known:
        """What is known of a server's tools; empty: nothing yet."""

    def saw(self, server: str, tools: Sequence[Tool]) -> None:
        """These stand in a list that the server has just given; it may be one page of several."""

    async def learn(self, server: str, tools: Sequence[Tool]) -> Known:
        """What is known once all the tools of a server were seen. Raises ControlUnreachable: nobody can say."""

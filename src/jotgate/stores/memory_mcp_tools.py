"""The tools of MCP servers in the memory store."""

from collections.abc import Sequence

from msgspec.structs import replace

from jotgate.core.mcp_pins import KeptPins, ToolPin
from jotgate.stores.memory_rows import MemoryRows


class MemoryMcpTools(MemoryRows):
    """Keeps them in a dictionary (outward_store_ports.McpToolRecords)."""

    def tool_pins(self) -> KeptPins:
        """All of them."""
        with self._lock:
            pins = self._rows.mcp_tools
            return KeptPins(self._rows.mcp_tools_version, tuple(pins[key] for key in sorted(pins)))

    def put_tool_pins(self, version: int, changed: Sequence[ToolPin], dropped: Sequence[ToolPin] = ()) -> int | None:
        """Keep some and forget some if the version of the whole still stands."""
        with self._lock:
            if self._rows.mcp_tools_version != version:
                return None
            self._rows.mcp_tools_version += 1
            for pin in changed:
                self._rows.mcp_tools[pin.server, pin.tool] = replace(pin, version=version + 1)
            for pin in dropped:
                self._rows.mcp_tools.pop((pin.server, pin.tool), None)
            return version + 1

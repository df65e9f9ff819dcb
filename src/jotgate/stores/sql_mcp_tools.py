"""The tools of MCP servers in the SQL store."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace
from sqlalchemy import and_, delete, select

from jotgate.core.mcp_pins import KeptPins, ToolPin
from jotgate.stores.engines import reading, writing
from jotgate.stores.schema import MCP_TOOLS
from jotgate.stores.sql_rows import SqlRows, count, count_up, every, put

_COLUMNS: Final = MCP_TOOLS.c


class SqlMcpTools(SqlRows):
    """Keeps them in a database (outward_store_ports.McpToolRecords)."""

    def tool_pins(self) -> KeptPins:
        """All of them."""
        ordered = select(MCP_TOOLS).order_by(_COLUMNS.server, _COLUMNS.tool)
        with reading(self._engine) as connection:
            return KeptPins(count(connection, "mcp_tools"), every(connection, ordered, ToolPin))

    def put_tool_pins(self, version: int, changed: Sequence[ToolPin], dropped: Sequence[ToolPin] = ()) -> int | None:
        """Keep some and forget some if the version of the whole still stands."""
        with writing(self._engine) as connection:
            if count(connection, "mcp_tools") != version:
                return None
            version = count_up(connection, "mcp_tools")
            if changed:
                put(connection, MCP_TOOLS, *(replace(pin, version=version) for pin in changed))
            for pin in dropped:
                named = and_(_COLUMNS.server == pin.server, _COLUMNS.tool == pin.tool)
                connection.execute(delete(MCP_TOOLS).where(named))
            return version

"""Whether the functions that settings name as tools are installed; nothing of their packages is imported."""

from importlib.metadata import entry_points

from msgspec import Struct

from jotgate.core.config import Config
from jotgate.core.tool_entries import ENTRY_POINTS


class Lack(Struct, frozen=True):
    """An entry point of a server that cannot be a tool: where it is named, and why."""

    path: str
    server: str
    fault: str


def find_lacks(config: Config) -> list[Lack]:
    """Those of all servers, as this program's own packages are; a child may have others by its variables."""
    if not any(one.python for one in config.mcp.servers):
        return []
    known: dict[str, set[str]] = {}
    for found in entry_points(group=ENTRY_POINTS):
        known.setdefault(found.name, set()).add(found.value)
    return [
        Lack(f"mcp.servers[{index}].python", server.name, fault)
        for index, server in enumerate(config.mcp.servers)
        for name in server.python
        if (fault := _fault(name, known.get(name, set())))
    ]


def _fault(name: str, values: set[str]) -> str:
    if not values:
        return f"names '{name}', which no installed package has among its entry points of the group {ENTRY_POINTS}"
    if len(values) > 1:
        return f"names '{name}', which stands for several functions: {', '.join(sorted(values))}"
    return ""

"""Pinned definitions of tools: what was approved of a server's tools, and what has come instead.

The first list of a server that anybody sees is pinned as it is, unless the server's settings want each tool approved.
From then on a tool that is new, or whose definition is another than the one that was pinned, is hidden until the
operator has seen what is different and approved it.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct

from jotgate.core.durable import check_texts
from jotgate.core.mcp_tools import Tool

PinRule = Literal["first-use", "approve", "off"]
"""What becomes of a server's first list: it is pinned, or nothing is. `off`: definitions are not looked at."""


ToolState = Literal["shown", "new", "changed"]


def state_of(digest: str, seen: str) -> ToolState:
    """What these make of a tool: what was approved of it, and what has come instead; either may be empty."""
    if digest and not seen:
        return "shown"
    return "changed" if digest else "new"


class ToolPin(Struct, frozen=True, kw_only=True):
    """What is known of one tool. An empty `digest`: it was never approved. An empty `seen`: as it was approved.

    `definition` and `seen_definition` are the JSON of both. Times are whole seconds since the epoch.
    """

    server: str
    tool: str
    digest: str = ""
    definition: bytes = b""
    read_only: bool = False
    pinned_at_s: int = 0
    pinned_by: str = ""
    seen: str = ""
    seen_definition: bytes = b""
    seen_read_only: bool = False
    seen_at_s: int = 0
    version: int = 0

    def __post_init__(self) -> None:
        check_texts(self)

    @property
    def hidden(self) -> bool:
        """Whether nobody is shown it, nor may call it."""
        return self.state != "shown"

    @property
    def state(self) -> ToolState:
        """Whether it is hidden, and why."""
        return state_of(self.digest, self.seen)


class KeptPins(Struct, frozen=True):
    """All that the store knows of tools. `version` grows with each change of any; 0: there never was one."""

    version: int = 0
    pins: tuple[ToolPin, ...] = ()


class KnownTool(Struct, frozen=True):
    """What a worker needs to know of a tool: what it is pinned as, and what has come instead, as in a `ToolPin`."""

    digest: str
    read_only: bool
    seen: str = ""

    @property
    def hidden(self) -> bool:
        """Whether nobody is shown it, nor may call it."""
        return self.state != "shown"

    @property
    def state(self) -> ToolState:
        """Whether it is hidden, and why."""
        return state_of(self.digest, self.seen)


Known = Mapping[str, KnownTool]
"""What is known of a server's tools, by their names."""


class Told(Struct, frozen=True):
    """What is known of one server's tools, and of which version of the whole that is."""

    version: int
    known: Known


class KnownTools(Struct, frozen=True):
    """What workers are told of all tools, by the names of the servers, and of which version of the whole that is."""

    version: int = 0
    servers: Mapping[str, Known] = {}


def known_of(kept: KeptPins) -> KnownTools:
    """What workers are told of what is kept."""
    found: dict[str, dict[str, KnownTool]] = {}
    for pin in kept.pins:
        found.setdefault(pin.server, {})[pin.tool] = KnownTool(pin.digest, pin.read_only, pin.seen)
    return KnownTools(kept.version, found)


def unseen(tools: Iterable[Tool], known: Known) -> list[Tool]:
    """Those of a list that control has to be told of: new ones, and such as are neither as pinned nor as seen last."""
    return [tool for tool in tools if _is_news(tool, known.get(tool.name))]


def shown(tools: Iterable[Tool], known: Known) -> list[Tool]:
    """Those of a list that are as they were approved."""
    return [tool for tool in tools if (pin := known.get(tool.name)) and not pin.hidden and pin.digest == tool.digest]


def _is_news(tool: Tool, pin: KnownTool | None) -> bool:
    return pin is None or tool.digest != (pin.seen or pin.digest)

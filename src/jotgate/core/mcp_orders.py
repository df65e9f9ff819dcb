"""What a command asks of MCP servers' tools, and what it is told."""

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct

from jotgate.core.mcp_pins import PinRule, ToolPin, ToolState
from jotgate.errors import CommandError

_TOOLS_MAX = 1_000


class McpOrder(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One command. `tools` are those of `server` that it is about; none of them: all of that server.

    `digests` are what of a tool is approved, as it was shown: what has changed since is not. `definitions`: those are
    wanted too.
    """

    action: Literal["list", "approve", "forget"]
    server: str = ""
    tools: tuple[str, ...] = ()
    digests: dict[str, str] = {}
    definitions: bool = False

    def __post_init__(self) -> None:
        if self.action == "approve" and (not self.server or not self.digests):
            raise CommandError("it is not said which tools are approved", hint="Name a server and its tools")
        if self.action == "forget" and not self.server:
            raise CommandError("it is not said of which server tools are forgotten", hint="Name a server")
        if max(len(self.tools), len(self.digests)) > _TOOLS_MAX:
            raise CommandError(f"more than {_TOOLS_MAX} tools are named", hint="Name fewer at once")

    def means(self, pin: ToolPin) -> bool:
        """Whether it is about this tool."""
        return self.server in ("", pin.server) and (not self.tools or pin.tool in self.tools)


class ServerView(Struct, frozen=True, kw_only=True):
    """One server of the settings, or one that the store knows tools of and the settings do not name (`place` empty)."""

    name: str
    place: str = ""
    credential: str = "none"
    pins: PinRule = "first-use"
    shown: int = 0
    hidden: int = 0


class ToolView(Struct, frozen=True, kw_only=True):
    """One tool. `state` says why it is hidden, if it is.

    `seen` is the digest of what has come, `digest` that of what was approved; `definition` and `seen_definition` are
    their JSON, where they are wanted. Times are NumericDates.
    """

    server: str
    tool: str
    state: ToolState
    read_only: bool
    digest: str = ""
    pinned_at_s: int = 0
    pinned_by: str = ""
    seen: str = ""
    seen_read_only: bool = False
    seen_at_s: int = 0
    definition: str = ""
    seen_definition: str = ""


class McpAnswer(Struct, frozen=True, kw_only=True):
    """How things are now. `running`: a control process has answered. `done` are the tools of the order."""

    servers: list[ServerView]
    tools: list[ToolView]
    running: bool = False
    done: list[str] = []


def tool_view(pin: ToolPin, *, definitions: bool) -> ToolView:
    """A tool as its operator sees it."""
    return ToolView(
        server=pin.server,
        tool=pin.tool,
        state=pin.state,
        read_only=pin.read_only,
        digest=pin.digest,
        pinned_at_s=pin.pinned_at_s,
        pinned_by=pin.pinned_by,
        seen=pin.seen,
        seen_read_only=pin.seen_read_only,
        seen_at_s=pin.seen_at_s,
        definition=pin.definition.decode("utf-8", "replace") if definitions else "",
        seen_definition=pin.seen_definition.decode("utf-8", "replace") if definitions else "",
    )


def counted(pins: Iterable[ToolPin]) -> Mapping[str, Mapping[ToolState, int]]:
    """How many tools of each server are in each state."""
    found: dict[str, dict[ToolState, int]] = {}
    for pin in pins:
        states = found.setdefault(pin.server, {"shown": 0, "new": 0, "changed": 0})
        states[pin.state] += 1
    return found

"""What becomes of a list of tools that somebody has seen: what is pinned, what is new, and what is another now."""

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.mcp_pins import KeptPins, PinRule, ToolPin
from jotgate.core.mcp_tools import Tool

TOOLS_MAX: Final = 1_000
"""Of so many tools of one server something is known; further ones are hidden, and nothing is kept of them."""
AGAIN_S: Final = 60
"""What has come in place of a hidden tool is kept anew no sooner: a server may say something else each time."""
PINNED_BY: Final = "first use"

Kind = Literal["pinned", "new", "changed", "changed again", "too many"]


class Sighting(Struct, frozen=True):
    """What there is to keep, and of which kind each tool is; without anything to keep nothing is told either."""

    changed: tuple[ToolPin, ...] = ()
    kinds: tuple[tuple[str, Kind], ...] = ()

    def names(self, kind: Kind) -> list[str]:
        """The tools of one kind."""
        return [name for name, one in self.kinds if one == kind]


def sight(kept: KeptPins, server: str, tools: Iterable[Tool], rule: PinRule, now_s: int) -> Sighting:
    """What becomes of tools of a server; `now_s` is in whole seconds since the epoch."""
    known = {pin.tool: pin for pin in kept.pins if pin.server == server}
    first = not known and rule == "first-use"
    changed: list[ToolPin] = []
    kinds: list[tuple[str, Kind]] = []
    for tool in tools:
        found = _look(tool, known.get(tool.name), now_s, first=first)
        if found is None:
            continue
        kind, pin = found
        if tool.name not in known and len(known) >= TOOLS_MAX:
            kinds.append((tool.name, "too many"))
            continue
        known[tool.name] = pin
        changed.append(pin)
        kinds.append((tool.name, kind))
    return Sighting(tuple(changed), tuple(kinds))


def approved(pin: ToolPin, by: str, now_s: int) -> ToolPin:
    """A tool as it was seen last, approved. Of one that is not hidden nothing changes."""
    if not pin.hidden:
        return pin
    return replace(
        pin,
        digest=pin.seen,
        definition=pin.seen_definition,
        read_only=pin.seen_read_only,
        pinned_at_s=now_s,
        pinned_by=by,
        seen="",
        seen_definition=b"",
        seen_read_only=False,
        seen_at_s=0,
    )


def _look(tool: Tool, pin: ToolPin | None, now_s: int, *, first: bool) -> tuple[Kind, ToolPin] | None:
    if pin is None:
        if first:
            return "pinned", ToolPin(
                server=tool.server,
                tool=tool.name,
                digest=tool.digest,
                definition=tool.definition,
                read_only=tool.read_only,
                pinned_at_s=now_s,
                pinned_by=PINNED_BY,
            )
        return "new", _seen(ToolPin(server=tool.server, tool=tool.name), tool, now_s)
    if tool.digest == (pin.seen or pin.digest):
        return None
    if not pin.hidden:
        return "changed", _seen(pin, tool, now_s)
    if now_s - pin.seen_at_s < AGAIN_S:
        return None
    return "changed again", _seen(pin, tool, now_s)


def _seen(pin: ToolPin, tool: Tool, now_s: int) -> ToolPin:
    return replace(
        pin,
        seen=tool.digest,
        seen_definition=tool.definition,
        seen_read_only=tool.read_only,
        seen_at_s=now_s,
    )

"""Control's desk for the tools of MCP servers: what it keeps, records and tells, and what it does not do unrecorded."""

from collections.abc import Sequence

import pytest

from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.mcp_orders import McpOrder, ServerView
from jotgate.core.mcp_pins import PinRule
from jotgate.core.mcp_tools import Tool, read_tools
from jotgate.errors import AuditUnavailable, CommandError
from jotgate.services.recorder import Recorder
from jotgate.services.tool_desk import McpPlaces, ToolDesk
from jotgate.stores.access import DirectAccess
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock
from tests.loops import on_loop
from tests.token_keeping import MemoryLog


def tools(*names: str, description: str = "It works.", server: str = "files") -> list[Tool]:
    listed = [{"name": name, "description": description, "inputSchema": {}} for name in names]
    return read_tools(server, listed)[0]


class Room:
    """A desk. Mutable: who was told what, and how often everybody was told of a change."""

    def __init__(self, *servers: tuple[str, PinRule]) -> None:
        self.servers = servers or (("files", "first-use"), ("wary", "approve"))
        self.log = MemoryLog()
        self.store = MemoryStore()
        self.hidden_tools: list[tuple[str, tuple[str, ...], str]] = []
        self.told = 0
        clock = ManualClock()
        self.desk = ToolDesk(
            lambda: McpPlaces([ServerView(name=name, place="p", pins=pins) for name, pins in self.servers]),
            DirectAccess(self.store),
            Recorder(self.log, clock),
            clock,
            news=self,
            told=self._tell,
        )

    async def _tell(self) -> None:
        self.told += 1

    def hidden(self, server: str, tools: Sequence[str], kind: str) -> None:
        self.hidden_tools.append((server, tuple(tools), kind))

    @property
    def events(self) -> list[str]:
        return [event for event, _, _ in self.log.events()]


@on_loop
async def test_the_first_list_is_pinned_recorded_and_told_once() -> None:
    room = Room()
    told = await room.desk.seen("files", tools("read", "write"))
    assert told is not None
    assert {name: one.state for name, one in told.known.items()} == {"read": "shown", "write": "shown"}
    assert told.version == 1
    assert room.events == ["mcp.tools_pinned"]
    assert await room.desk.seen("files", tools("read", "write")) == told
    assert (room.told, len(room.events), room.hidden_tools) == (1, 1, [])


@on_loop
async def test_what_is_new_or_another_is_recorded_one_by_one_and_the_operator_is_told() -> None:
    room = Room()
    await room.desk.seen("files", tools("read"))
    await room.desk.seen("files", [*tools("read", description="other"), *tools("more")])
    assert room.log.events()[1:] == [
        ("mcp.tool_changed", "control", _details(room, "read")),
        ("mcp.tool_new", "control", _details(room, "more")),
    ]
    assert room.hidden_tools == [("files", ("more",), "new"), ("files", ("read",), "changed")]


def _details(room: Room, tool: str) -> dict[str, str]:
    pin = next(one for one in room.store.tool_pins().pins if one.tool == tool)
    return {"server": "files", "tool": tool, "digest": pin.seen, "before": pin.digest}


@on_loop
async def test_what_cannot_be_recorded_is_not_pinned() -> None:
    room = Room()
    room.log.full = True
    assert await room.desk.seen("files", tools("read")) is None
    assert room.store.tool_pins().pins == ()
    room.log.full = False
    await room.desk.seen("wary", tools("look", server="wary"))
    room.log.full = True
    (pin,) = room.store.tool_pins().pins
    with pytest.raises(AuditUnavailable):
        await room.desk.carry_out(McpOrder(action="approve", server="wary", digests={"look": pin.seen}))
    assert room.store.tool_pins().pins == (pin,)


@on_loop
async def test_of_a_server_that_the_settings_do_not_name_nothing_is_kept() -> None:
    room = Room()
    assert await room.desk.seen("elsewhere", tools("read", server="elsewhere")) is None
    assert room.store.tool_pins().pins == ()


@on_loop
async def test_what_was_shown_is_approved_and_nothing_that_has_come_since() -> None:
    room = Room()
    await room.desk.seen("wary", tools("look", server="wary"))
    listed = await room.desk.carry_out(McpOrder(action="list", server="wary", definitions=True))
    (view,) = listed.tools
    assert (view.state, view.definition, '"look"' in view.seen_definition) == ("new", "", True)
    with pytest.raises(CommandError, match="is another by now"):
        await room.desk.carry_out(McpOrder(action="approve", server="wary", digests={"look": "5f" * 32}))
    order = McpOrder(action="approve", server="wary", digests={"look": view.seen})
    answer = await room.desk.carry_out(order, CLI_CLIENT_ID)
    assert answer.done == ["look"]
    assert [one.state for one in answer.tools if one.server == "wary"] == ["shown"]
    assert room.log.events()[-1][:2] == ("mcp.tool_approved", CLI_CLIENT_ID)


@on_loop
async def test_tools_are_counted_by_server_those_of_servers_that_are_gone_too() -> None:
    room = Room(("files", "first-use"), ("old", "first-use"))
    await room.desk.seen("files", tools("read", "write"))
    await room.desk.seen("old", tools("t", server="old"))
    await room.desk.seen("files", tools("more"))
    room.servers = (("files", "first-use"),)
    answer = await room.desk.carry_out(McpOrder(action="list"))
    assert answer.running
    assert [(one.name, one.place, one.shown, one.hidden) for one in answer.servers] == [
        ("files", "p", 2, 1),
        ("old", "", 1, 0),
    ]


@on_loop
async def test_a_server_that_is_forgotten_is_pinned_anew_and_a_tool_is_new() -> None:
    room = Room()
    await room.desk.seen("files", tools("read", "write"))
    done = await room.desk.carry_out(McpOrder(action="forget", server="files", tools=("read",)))
    assert done.done == ["read"]
    told = await room.desk.seen("files", tools("read"))
    assert told is not None
    assert told.known["read"].state == "new"
    await room.desk.carry_out(McpOrder(action="forget", server="files"))
    told = await room.desk.seen("files", tools("read"))
    assert told is not None
    assert told.known["read"].state == "shown"
    assert "mcp.tools_forgotten" in room.events


@on_loop
async def test_what_nobody_has_seen_is_neither_approved_nor_forgotten() -> None:
    room = Room()
    await room.desk.seen("files", tools("read"))
    for order in (
        McpOrder(action="approve", server="files", digests={"none": "x"}),
        McpOrder(action="forget", server="files", tools=("read", "none")),
        McpOrder(action="forget", server="none"),
    ):
        with pytest.raises(CommandError, match="was ever seen"):
            await room.desk.carry_out(order)
    assert [pin.tool for pin in room.store.tool_pins().pins] == ["read"]


def test_an_order_says_what_it_is_about() -> None:
    for said in ({"action": "approve", "server": "files"}, {"action": "forget"}):
        with pytest.raises(CommandError):
            McpOrder(**said)  # type: ignore[arg-type]

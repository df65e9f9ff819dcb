"""What a worker knows of tools: from its snapshot, from control's answers, and by what it has seen itself."""

import asyncio

import pytest

from jotgate.core.mcp_pins import KnownTool, KnownTools, PinRule
from jotgate.core.mcp_servers import McpRules, McpServer
from jotgate.core.mcp_tools import Tool, read_tools
from jotgate.errors import ControlUnreachable
from jotgate.services.tool_book import PATIENCE_S, ToolBook
from jotgate.testing.ports import ManualClock
from tests.loops import on_loop


def tools(*names: str, description: str = "It works.") -> list[Tool]:
    return read_tools("files", [{"name": one, "description": description, "inputSchema": {}} for one in names])[0]


def known(*found: Tool) -> dict[str, KnownTool]:
    return {tool.name: KnownTool(tool.digest, tool.read_only) for tool in found}


def rules(pins: PinRule = "first-use") -> McpRules:
    return McpRules((McpServer("files", "mcp:files", pins=pins),))


class Desk:
    """A book, and what it has told control."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.told: list[tuple[int, list[str]]] = []
        self.book = ToolBook(self.clock, self._hear)

    def _hear(self, number: int, server: str, seen: list[Tool]) -> None:
        assert server == "files"
        self.told.append((number, [tool.name for tool in seen]))


@on_loop
async def test_the_first_list_waits_for_what_control_says() -> None:
    desk = Desk()
    desk.book.enter(rules(), KnownTools())
    learning = asyncio.ensure_future(desk.book.learn("files", tools("read", "write")))
    await asyncio.sleep(0)
    assert desk.told == [(1, ["read", "write"])]
    assert desk.book.known("files") == {}
    desk.book.answered(1, 4, known(*tools("read", "write")))
    assert await learning == known(*tools("read", "write"))
    assert await desk.book.learn("files", tools("write")) == known(*tools("read", "write"))
    assert len(desk.told) == 1, "nobody is asked about what is known"


@on_loop
async def test_what_is_new_or_another_is_hidden_at_once_and_told_while_nobody_waits() -> None:
    desk = Desk()
    desk.book.enter(rules(), KnownTools(3, {"files": known(*tools("read", "write"))}))
    desk.book.saw("files", [*tools("read", description="other"), *tools("write", "more")])
    assert {name: one.state for name, one in desk.book.known("files").items()} == {
        "read": "changed",
        "write": "shown",
        "more": "new",
    }
    ((number, told),) = desk.told
    assert (number, sorted(told)) == (1, ["more", "read"])
    desk.book.saw("files", tools("read", description="other"))
    assert len(desk.told) == 1, "it is told once"


@on_loop
async def test_a_page_of_a_server_of_which_nothing_is_known_pins_nothing() -> None:
    desk = Desk()
    desk.book.enter(rules(), KnownTools())
    desk.book.saw("files", tools("read"))
    assert desk.told == []
    assert desk.book.known("files") == {}


@on_loop
async def test_an_older_snapshot_does_not_take_back_what_control_has_said() -> None:
    desk = Desk()
    desk.book.enter(rules(), KnownTools(1, {"files": known(*tools("read"))}))
    desk.book.saw("files", tools("more"))
    both = {**known(*tools("read")), "more": KnownTool("", read_only=False, seen="x")}
    desk.book.answered(1, 5, both)
    desk.book.enter(rules(), KnownTools(4, {"files": known(*tools("read"))}))
    assert desk.book.known("files") == both
    desk.book.enter(rules(), KnownTools(5, {"files": known(*tools("read", "more"))}))
    assert desk.book.known("files") == known(*tools("read", "more"))


@on_loop
async def test_without_control_nothing_new_is_known() -> None:
    desk = Desk()
    desk.book.enter(rules(), KnownTools())
    learning = asyncio.ensure_future(desk.book.learn("files", tools("read")))
    await asyncio.sleep(0)
    desk.book.ask_again()
    assert [number for number, _ in desk.told] == [1, 1], "another control process is asked the same"
    desk.clock.advance(PATIENCE_S)
    desk.book.check_deadlines(desk.clock.monotonic_s())
    with pytest.raises(ControlUnreachable):
        await learning
    desk.book.enter(rules(), KnownTools(1, {"files": known(*tools("read"))}))
    learning = asyncio.ensure_future(desk.book.learn("files", tools("read", "more")))
    await asyncio.sleep(0)
    desk.book.answered(2, 0, None)
    assert {name: one.state for name, one in (await learning).items()} == {"read": "shown", "more": "new"}


@on_loop
async def test_where_definitions_are_not_looked_at_the_last_list_is_what_is_known() -> None:
    desk = Desk()
    desk.book.enter(rules("off"), KnownTools(1, {"files": known(*tools("old"))}))
    assert desk.book.known("files") == {}
    for description in ("one", "another"):
        listed = tools("read", description=description)
        assert await desk.book.learn("files", listed) == known(*listed)
    desk.book.saw("files", tools("read", description="third"))
    assert desk.told == []

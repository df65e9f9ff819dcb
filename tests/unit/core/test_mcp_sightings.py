"""What becomes of tools that were seen: the first list is pinned, and what comes later waits to be approved."""

import json

import pytest
from msgspec.structs import replace

from jotgate.core.mcp_pins import KeptPins, PinRule, ToolPin, known_of, shown, unseen
from jotgate.core.mcp_sightings import AGAIN_S, PINNED_BY, TOOLS_MAX, approved, sight
from jotgate.core.mcp_tools import Tool, read_tools


def tools(*names: str, description: str = "It works.") -> list[Tool]:
    listed = [{"name": name, "description": description, "inputSchema": {}} for name in names]
    found, refused = read_tools("files", listed)
    assert not refused
    return found


def seen(kept: KeptPins, found: list[Tool], rule: PinRule = "first-use", now_s: int = 100) -> KeptPins:
    """What is kept once these were seen."""
    sighting = sight(kept, "files", found, rule, now_s)
    pins = {(pin.server, pin.tool): pin for pin in (*kept.pins, *sighting.changed)}
    return KeptPins(kept.version + 1, tuple(pins.values()))


FIRST = seen(KeptPins(), tools("read", "write"))


def states(kept: KeptPins) -> dict[str, str]:
    return {pin.tool: pin.state for pin in kept.pins}


def test_the_first_list_is_pinned_as_it_is() -> None:
    assert states(FIRST) == {"read": "shown", "write": "shown"}
    assert {(pin.pinned_by, pin.pinned_at_s) for pin in FIRST.pins} == {(PINNED_BY, 100)}
    assert sight(FIRST, "files", tools("read", "write"), "first-use", 200).changed == ()


def test_where_each_tool_is_to_be_approved_the_first_list_is_new_too() -> None:
    assert states(seen(KeptPins(), tools("read"), "approve")) == {"read": "new"}


def test_what_comes_later_is_new_and_what_is_another_has_changed() -> None:
    later = seen(FIRST, [*tools("read", description="Reads and sends."), *tools("more", "write")])
    assert states(later) == {"read": "changed", "write": "shown", "more": "new"}
    known = known_of(later).servers["files"]
    assert [tool.name for tool in shown(tools("read", "write", "more"), known)] == ["write"]
    assert unseen(tools("write", "more"), known) == [], "nobody need be told twice"


def test_a_tool_of_which_the_pinned_definition_comes_back_stays_hidden() -> None:
    later = seen(seen(FIRST, tools("read", description="other")), tools("read"), now_s=100 + AGAIN_S)
    assert states(later)["read"] == "changed"


def test_a_server_that_says_something_else_each_time_is_not_kept_each_time() -> None:
    later = seen(FIRST, tools("read", description="0"))
    assert sight(later, "files", tools("read", description="1"), "first-use", 100 + AGAIN_S - 1).changed == ()
    again = sight(later, "files", tools("read", description="1"), "first-use", 100 + AGAIN_S)
    assert again.names("changed again") == ["read"]


def test_of_so_many_tools_something_is_kept_and_of_no_more() -> None:
    many = tools(*(f"t{number}" for number in range(TOOLS_MAX + 3)))
    found = sight(KeptPins(), "files", many, "first-use", 1)
    assert (len(found.names("pinned")), len(found.names("too many")), len(found.changed)) == (TOOLS_MAX, 3, TOOLS_MAX)


def test_what_was_seen_last_is_what_is_approved() -> None:
    later = seen(FIRST, [*tools("read", description="other"), *tools("more")])
    pins = {pin.tool: approved(pin, "ann", 300) for pin in later.pins}
    assert {pin.state for pin in pins.values()} == {"shown"}
    assert json.loads(pins["read"].definition)["description"] == "other"
    assert (pins["read"].pinned_by, pins["read"].pinned_at_s) == ("ann", 300)
    assert pins["write"].pinned_by == PINNED_BY, "nothing has changed of it"


def test_the_pins_of_other_servers_make_no_list_a_later_one() -> None:
    other = KeptPins(1, tuple(replace(pin, server="other") for pin in FIRST.pins))
    assert sight(other, "files", tools("read"), "first-use", 1).names("pinned") == ["read"]


@pytest.mark.parametrize("rule", ["first-use", "approve"])
def test_a_tool_that_was_forgotten_is_a_new_one(rule: PinRule) -> None:
    kept = KeptPins(2, FIRST.pins[:1])
    assert sight(kept, "files", tools("read", "write"), rule, 1).names("new") == ["write"]


def test_a_pin_without_anything_is_hidden() -> None:
    assert ToolPin(server="a", tool="b").hidden

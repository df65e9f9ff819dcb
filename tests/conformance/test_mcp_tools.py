"""What every store knows of the tools of MCP servers: only whoever has seen the last state changes it."""

from msgspec.structs import replace

from jotgate.core.mcp_pins import KeptPins, ToolPin
from jotgate.store_ports import Store
from tests.conformance import sample
from tests.conformance.threads import THREADS, in_parallel

FIRST = sample.TOOL_PIN
OTHER = ToolPin(server="files", tool="Write", seen="7f" * 32, seen_definition=b"{}", seen_at_s=5)
ELSEWHERE = ToolPin(server="a-server", tool="zip", digest="1f" * 32)


def test_they_come_back_as_they_were_kept_by_server_and_name(store: Store) -> None:
    assert store.tool_pins() == KeptPins()
    assert store.versions().mcp_tools == 0
    assert store.put_tool_pins(0, [FIRST, ELSEWHERE, OTHER]) == 1
    kept = tuple(replace(one, version=1) for one in (ELSEWHERE, OTHER, FIRST))
    assert store.tool_pins() == KeptPins(1, kept)
    assert store.versions().mcp_tools == 1


def test_some_are_changed_and_some_forgotten_at_once(store: Store) -> None:
    store.put_tool_pins(0, [FIRST, OTHER, ELSEWHERE])
    changed = replace(FIRST, digest=FIRST.seen, seen="", seen_definition=b"")
    assert store.put_tool_pins(1, [changed], [OTHER]) == 2
    assert store.tool_pins() == KeptPins(2, (replace(ELSEWHERE, version=1), replace(changed, version=2)))
    assert store.put_tool_pins(2, [], [ELSEWHERE, ELSEWHERE]) == 3
    assert store.tool_pins() == KeptPins(3, (replace(changed, version=2),))


def test_only_whoever_has_seen_the_last_state_changes_it(store: Store) -> None:
    store.put_tool_pins(0, [FIRST])
    assert store.put_tool_pins(0, [OTHER]) is None
    assert store.put_tool_pins(2, [], [FIRST]) is None
    assert store.tool_pins() == KeptPins(1, (replace(FIRST, version=1),))


def test_of_many_at_once_one_is_kept(store: Store) -> None:
    found = in_parallel(lambda index: store.put_tool_pins(0, [replace(FIRST, tool=f"t{index}")]))
    assert found.count(1) == 1
    assert found.count(None) == THREADS - 1

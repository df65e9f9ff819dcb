"""Which scopes cover which tools, what tools are called among those of several servers, and which are none at all."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jotgate.core.mcp_tools import (
    DEFINITION_BYTES_MAX,
    NAME_CHARS_MAX,
    covered_by,
    covering,
    digest_of,
    find_prefixed,
    is_shortened,
    may_use,
    prefixed,
    read_scope,
    read_tools,
    renamed,
    told_scope,
    tool_scope,
    wanted_scope,
)

_SERVERS = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True)
_TOOLS = st.from_regex(r"[A-Za-z0-9_./-]{1,128}", fullmatch=True)


def definition(name: str = "read", **more: object) -> dict[str, object]:
    return {"name": name, "inputSchema": {"type": "object"}, **more}


@pytest.mark.parametrize(
    ("scopes", "tool", "read_only", "by"),
    [
        ("mcp:files:*", "write", False, "mcp:files:*"),
        ("mcp:files:write", "write", False, "mcp:files:write"),
        ("mcp:files:* mcp:files:write", "write", False, "mcp:files:write"),
        ("mcp:files:read", "look", True, "mcp:files:read"),
        ("mcp:files:read", "write", False, ""),
        ("mcp:files:read", "read", False, ""),
        ("mcp:files:read", "read", True, "mcp:files:read"),
        ("mcp:files:writ", "write", True, ""),
        ("mcp:files:Write", "write", True, ""),
        ("mcp:file:*", "write", True, ""),
        ("mcp:*:*", "write", True, ""),
        ("ai metrics", "write", True, ""),
        ("", "write", True, ""),
    ],
)
def test_a_scope_covers_a_tool_by_its_name_by_what_it_does_or_by_its_server(
    scopes: str, tool: str, read_only: bool, by: str
) -> None:
    assert covered_by(frozenset(scopes.split()), "files", tool, read_only=read_only) == by


def test_what_is_wanted_is_the_narrowest_scope_that_would_do() -> None:
    for tool, read_only in (("write", False), ("look", True), ("read", True), ("read", False), ("not a name", False)):
        wanted = wanted_scope("files", tool, read_only=read_only)
        assert read_scope(wanted) is not None
        assert covered_by(frozenset({wanted}), "files", tool, read_only=read_only) == wanted


def test_what_is_no_tool_needs_to_read_and_what_a_session_is_made_of_any_scope_of_the_server() -> None:
    one, reader, every = (frozenset({f"mcp:files:{what}"}) for what in ("write", "read", "*"))
    assert may_use(one, "files", "any") is None
    assert [may_use(held, "files", "read") for held in (reader, every)] == [None, None]
    for held, need in ((one, "read"), (frozenset({"ai"}), "any"), (frozenset({"mcp:files2:*"}), "any")):
        denied = may_use(held, "files", need)  # type: ignore[arg-type]
        assert denied is not None
        assert denied.scopes == ("mcp:files:read",)


@pytest.mark.parametrize(
    "text", ["mcp:files", "mcp:Files:read", "mcp:files:", "mcp:files:a b", "mcp:fi_les:a", "MCP:a:b"]
)
def test_what_is_no_scope_of_tools_is_read_as_none(text: str) -> None:
    assert read_scope(text) is None
    assert covering(text) == ""


def test_the_scope_of_a_server_covers_all_others_of_it() -> None:
    assert {covering(f"mcp:files:{what}") for what in ("*", "read", "write")} == {"mcp:files:*"}


@given(_SERVERS, _TOOLS)
def test_a_name_in_the_common_list_is_one_that_models_take_and_leads_back(server: str, tool: str) -> None:
    name = prefixed(server, tool)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name)
    assert name == prefixed(server, tool)
    assert find_prefixed(name, {server: [tool, "other"]}) == (server, tool)


@given(_SERVERS, _TOOLS, _SERVERS, _TOOLS)
def test_no_two_tools_have_one_name_there(server: str, tool: str, other: str, another: str) -> None:
    if (server, tool) != (other, another):
        assert prefixed(server, tool) != prefixed(other, another)


def test_names_that_are_long_or_odd_end_in_a_digest() -> None:
    assert prefixed("files", "read_file") == "files_read_file"
    long = prefixed("files", "x" * 60)
    assert (len(long), long[:10]) == (NAME_CHARS_MAX, "files_xxxx")
    assert prefixed("files", "a.b") != prefixed("files", "a-b")


def test_a_name_of_no_server_there_leads_nowhere_and_one_of_no_known_tool_to_that_tool() -> None:
    assert find_prefixed("mail_send", {"files": ["read"]}) is None
    assert find_prefixed("files", {"files": ["read"]}) is None
    assert find_prefixed("files_none", {"files": ["read"]}) == ("files", "none")


def test_the_scope_that_is_told_of_a_name_there_does_not_say_which_tool_it_stands_for() -> None:
    assert told_scope("files", "files_write_file") == "mcp:files:write_file"
    assert told_scope("files", "files_read") == "mcp:files:*", "a tool that is called so has no scope of its own"
    for tool in ("x" * 60, "a.b"):
        assert is_shortened(prefixed("files", tool))
        assert told_scope("files", prefixed("files", tool)) == "mcp:files:*"


def test_a_definition_is_named_by_all_that_stands_in_it_in_whatever_order() -> None:
    first = definition(description="It reads.", annotations={"readOnlyHint": True, "title": "Read"})
    turned = json.loads(json.dumps(first, sort_keys=True))
    assert digest_of(first) == digest_of(dict(reversed(turned.items())))
    for other in (
        definition(description="It reads!", annotations=first["annotations"]),
        definition(description="It reads.", annotations={"readOnlyHint": False, "title": "Read"}),
        {**first, "_meta": {"x": 1}},
        {**first, "inputSchema": {"type": "object", "properties": {}}},
    ):
        assert digest_of(other) != digest_of(first)


def test_only_a_tool_that_says_that_it_reads_and_not_that_it_destroys_is_read_only() -> None:
    hints: list[dict[str, object]] = [
        {"readOnlyHint": True},
        {"readOnlyHint": True, "destructiveHint": True},
        {"readOnlyHint": "true"},
        {},
    ]
    tools, _ = read_tools("files", [definition(f"t{place}", annotations=one) for place, one in enumerate(hints)])
    assert [tool.read_only for tool in tools] == [True, False, False, False]


def test_what_could_be_granted_to_nobody_or_stands_twice_is_left_out_and_the_rest_comes_by_name() -> None:
    listed: list[object] = [
        definition("b"),
        definition("a"),
        definition("twice"),
        definition("twice", description="another"),
        definition("not a name"),
        definition("x" * 129),
        definition(""),
        {"name": "schemaless"},
        definition("huge", description="x" * DEFINITION_BYTES_MAX),
        "text",
        None,
    ]
    tools, refused = read_tools("files", listed)
    assert [tool.name for tool in tools] == ["a", "b"]
    assert refused == len(listed) - 2


def test_a_tool_under_another_name_is_the_same_otherwise() -> None:
    (tool,), _ = read_tools("files", [definition("read", description="It reads.")])
    assert json.loads(renamed(tool, "files_read")) == definition("files_read", description="It reads.")
    assert tool_scope("files", "read") == "mcp:files:read"

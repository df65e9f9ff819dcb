"""The resources that MCP servers are: what they are called, and whose tokens they take."""

import pytest

from jotgate.core.mcp_resources import basic_scopes, canonical, covers_scope, is_for, is_mcp_resource, mcp_resource

GATE = "https://gate.example"


def test_a_server_is_a_resource_and_all_of_them_are_one() -> None:
    assert (mcp_resource(GATE, "files"), mcp_resource(GATE)) == (f"{GATE}/mcp/files", f"{GATE}/mcp")
    for name in (f"{GATE}/mcp", f"{GATE}/mcp/files", f"{GATE}/mcp/a-1"):
        assert is_mcp_resource(name, GATE)


@pytest.mark.parametrize(
    "name",
    [
        GATE,
        f"{GATE}/mcp/",
        f"{GATE}/mcp/files/",
        f"{GATE}/mcp/Files",
        f"{GATE}/mcp/a/b",
        f"{GATE}/mcp/..",
        f"{GATE}/mcp/a?b",
        f"{GATE}/mcpx",
        "https://gate.example.evil/mcp/files",
        "",
    ],
)
def test_nothing_else_is_part_of_the_gateway(name: str) -> None:
    assert not is_mcp_resource(name, GATE)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("HTTPS://Gate.Example/mcp/files", f"{GATE}/mcp/files"),
        ("https://GATE.example:8443/MCP", "https://gate.example:8443/MCP"),
        (f"{GATE}/mcp", f"{GATE}/mcp"),
        ("https://Ann@gate.example/mcp", "https://Ann@gate.example/mcp"),
        ("URN:x", "URN:x"),
        ("//Gate.Example", "//Gate.Example"),
        ("http://[", "http://["),
    ],
)
def test_scheme_and_host_are_written_small_and_nothing_else_is_changed(said: str, meant: str) -> None:
    assert canonical(said) == meant


@pytest.mark.parametrize(
    ("audiences", "files", "other", "every"),
    [
        ({"jotgate"}, True, True, True),
        ({f"{GATE}/mcp"}, True, True, True),
        ({f"{GATE}/mcp/files"}, True, False, False),
        ({f"{GATE}/mcp/files", f"{GATE}/mcp/other"}, True, True, False),
        ({"https://elsewhere.example/mcp/files"}, False, False, False),
        ({f"{GATE}/mcp/"}, False, False, False),
        (set(), False, False, False),
    ],
)
def test_a_token_is_good_at_what_it_is_for(audiences: set[str], files: bool, other: bool, every: bool) -> None:
    found = tuple(is_for(audiences, GATE, server, taken=("jotgate",)) for server in ("files", "other", ""))
    assert found == (files, other, every)


def test_a_scope_of_tools_stands_in_tokens_that_are_good_at_its_server() -> None:
    for audience in (GATE, f"{GATE}/mcp", f"{GATE}/mcp/files"):
        assert covers_scope("mcp:files:read", {audience}, GATE)
    for audience in (f"{GATE}/mcp/other", "https://elsewhere.example", ""):
        assert not covers_scope("mcp:files:read", {audience}, GATE)
    assert not covers_scope("ai", {GATE}, GATE)


def test_what_is_asked_for_first_is_to_read() -> None:
    assert basic_scopes(("files", "mail")) == ("mcp:files:read", "mcp:mail:read")

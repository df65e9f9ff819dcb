"""What the doctor says of MCP servers: of tools that wait, and of credentials that are of no use."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from jotgate.assembly.doctor import Check
from jotgate.assembly.mcp_checks import judge_tools, look_at_mcp
from jotgate.core.mcp_credential_orders import McpCredentialAnswer, McpCredentialView
from jotgate.core.mcp_orders import McpAnswer, ServerView, ToolView
from jotgate.core.mcp_pins import ToolState
from jotgate.core.status import Status
from jotgate.core.upstream_tokens import TokenStanding
from jotgate.errors import CommandError
from jotgate.stores.settings import Settings, Sources, load_settings
from tests.unit.assembly.test_doctor import status

SETTINGS = """
[[mcp.servers]]
name = "files"
url = "https://files.example/mcp"

[[mcp.servers]]
name = "team"
url = "https://team.example/mcp"
kept_credential = "shared"

[[mcp.servers]]
name = "mail"
url = "https://mail.example/mcp"
[mcp.servers.oauth]
grant = "user-login"
client_id = "gateway"
token_url = "https://login.example/token"
"""
RUNNING = status("http://127.0.0.1:1", "http://127.0.0.1:1")
SERVERS = [
    ServerView(name=name, place="https://x.example", credential=credential, shown=2)
    for name, credential in (("files", "none"), ("team", "kept"), ("mail", "user-login"))
]
NOTHING = McpCredentialAnswer(credentials=[])


def settings(folder: Path, text: str = SETTINGS) -> Settings:
    file = folder / "jotgate.toml"
    file.write_text(text)
    return load_settings(Sources(file=file))


def credential(server: str, holder: str = "", *, fault: str = "", unused: bool = False) -> McpCredentialView:
    return McpCredentialView(
        server=server, holder=holder, kind="secret", begun_at_s=1, obtained_at_s=1, fault=fault, unused=unused
    )


def look(found: Settings, kept: McpCredentialAnswer = NOTHING, running: Status = RUNNING) -> dict[str, Check]:
    answer = McpAnswer(servers=SERVERS, tools=[], running=True)
    return {one.name: one for one in look_at_mcp(found, lambda: running, lambda: answer, lambda: kept)}


def view(name: str, state: ToolState) -> ToolView:
    return ToolView(server="files", tool=name, state=state, read_only=False)


def test_without_servers_there_is_no_line_and_where_nothing_runs_nothing_is_known(tmp_path: Path) -> None:
    assert list(look_at_mcp(settings(tmp_path, ""), lambda: None, lambda: None, lambda: None)) == []
    lines = list(look_at_mcp(settings(tmp_path), lambda: None, lambda: None, lambda: None))
    assert [(one.name, one.state) for one in lines] == [(f"mcp {one.name}", "unknown") for one in SERVERS]


def test_a_control_that_does_not_say_leaves_it_unknown(tmp_path: Path) -> None:
    def silent() -> McpAnswer | None:
        raise CommandError("it did not answer within 10 s")

    def gone() -> Status | None:
        raise CommandError("it did not answer")

    found = settings(tmp_path)
    for ask in (silent, lambda: None):
        (line,) = look_at_mcp(found, lambda: RUNNING, ask, lambda: NOTHING)
        assert (line.name, line.state) == ("mcp", "unknown")
    assert list(look_at_mcp(found, gone, silent, lambda: None)) == [], "the line of control says it"


@pytest.mark.parametrize(
    ("tools", "state", "said", "fix"),
    [
        ([("a", "shown"), ("b", "shown")], "ok", "may be shown: 2", ""),
        ([], "ok", "nobody has asked", ""),
        ([("a", "shown"), ("b", "new")], "unknown", "until they are approved: b", "jotgate mcp approve files b"),
        ([("a", "changed"), ("b", "new")], "fault", "not what was approved: a, and new ones: b", "approve files a"),
    ],
)
def test_tools_that_wait_are_named_with_the_command_that_shows_them(
    tools: list[tuple[str, ToolState]], state: str, said: str, fix: str
) -> None:
    found = judge_tools(SERVERS[0], [view(*one) for one in tools])
    assert (found.name, found.state, said in found.text) == ("mcp files", state, True), found.text
    assert found.fix.endswith(fix) if state != "ok" else True


def test_a_credential_of_no_use_is_a_fault_with_its_own_command(tmp_path: Path) -> None:
    found = settings(tmp_path)
    lacking = look(found)["mcp team credentials"]
    assert (lacking.state, lacking.fix) == ("fault", "Give it on stdin: jotgate mcp credential set team")
    held = credential("team")
    assert "mcp team credentials" not in look(found, McpCredentialAnswer(credentials=[held]))
    ended = credential("mail", "ann o'n", fault="the server says invalid_grant")
    line = look(found, McpCredentialAnswer(credentials=[held, ended]))["mcp mail credentials"]
    assert line.state == "fault"
    assert "'ann o'n' is of no use any more: the server says invalid_grant" in line.text
    assert line.fix == """Connect again: jotgate mcp credential set mail --subject 'ann o'"'"'n'"""
    unused = credential("files", fault="the settings have no use for it; erase it", unused=True)
    line = look(found, McpCredentialAnswer(credentials=[held, unused]))["mcp files credentials"]
    assert line.fix == "jotgate mcp credential remove files"


def test_a_grant_that_fails_is_told_with_the_table_of_the_server(tmp_path: Path) -> None:
    well = TokenStanding("mcp:mail", "user-login", sessions=1, obtained=2, failed=0)
    found = settings(tmp_path)
    fine = replace(RUNNING, upstream_tokens=[well])
    assert look(found, running=fine)["mcp mail credentials"].state == "ok"
    ended = McpCredentialAnswer(credentials=[credential("mail", "ann", fault="the server says invalid_grant")])
    assert look(found, ended, fine)["mcp mail credentials"].state == "fault", "nothing else is said of it"
    failing = replace(RUNNING, upstream_tokens=[replace(well, fault="the key cannot be used")])
    line = look(found, running=failing)["mcp mail credentials"]
    assert (line.state, "[mcp.servers.oauth]" in line.fix) == ("fault", True)

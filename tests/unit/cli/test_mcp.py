"""`jotgate mcp`: what it shows of tools, what of them it approves and forgets, and what it keeps sealed."""

import asyncio
import io
import json
from pathlib import Path
from typing import Final

import pytest

from jotgate.assembly.mcp_offline import _Nobody
from jotgate.assembly.mcp_room import places_of
from jotgate.assembly.offline import opened
from jotgate.assembly.system import SystemClock
from jotgate.cli import main
from jotgate.core.mcp_tools import read_tools
from jotgate.services.tool_desk import ToolDesk
from jotgate.stores.access import DirectAccess
from jotgate.stores.directory import DataDirectory
from jotgate.stores.settings import Sources

SETTINGS: Final = """
[[mcp.servers]]
name = "files"
url = "https://files.example/mcp"

[[mcp.servers]]
name = "wary"
command = "server"
pins = "approve"

[[mcp.servers]]
name = "team"
url = "https://team.example/mcp"
kept_credential = "shared"

[[mcp.servers]]
name = "desk"
url = "https://desk.example/mcp"
kept_credential = "user"
"""


class Runner:
    """Runs the command in this process, where no jotgate runs. Mutable: what stands on its standard input."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._settings, self._data = directory / "jotgate.toml", directory / "data"
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: str, stdin: str = "") -> int:
        self._monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        return main(["mcp", *arguments, "--data", str(self._data)])

    def see(self, server: str, *tools: dict[str, object]) -> None:
        """A server's list as a worker of an earlier run has told it."""
        with opened(DataDirectory(self._data), Sources(file=self._settings)) as (authority, config):
            access = DirectAccess(authority.store)
            told = ToolDesk(
                lambda: places_of(config), access, authority.recorder, SystemClock(), news=_Nobody(), told=None
            )
            asyncio.run(told.seen(server, read_tools(server, tools)[0]))


def tool(name: str, description: str = "It works.", **hints: bool) -> dict[str, object]:
    """A tool as its server defines it."""
    return {"name": name, "description": description, "inputSchema": {}, "annotations": hints}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    monkeypatch.delenv("JOTGATE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jotgate.toml").write_text(SETTINGS)
    return Runner(tmp_path, monkeypatch)


def test_servers_are_listed_with_what_is_shown_and_hidden(run: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    run.see("files", tool("read_file", readOnlyHint=True), tool("write"))
    run.see("wary", tool("drop"))
    assert run("list") == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "files\thttps://files.example/mcp\tnone\tfirst-use\t2\t0",
        "wary\tserver\tnone\tapprove\t0\t1",
        "team\thttps://team.example/mcp\tkept\tfirst-use\t0\t0",
        "desk\thttps://desk.example/mcp\tkept for each caller\tfirst-use\t0\t0",
    ]
    assert "  next  jotgate mcp approve wary drop " in told.err
    assert "with --yes it approves that at once" in told.err
    assert run("list", "files", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["tool"], one["state"], one["read_only"]) for one in found["tools"]] == [
        ("read_file", "shown", True),
        ("write", "shown", False),
    ]
    assert found["running"] is False


def test_what_is_approved_is_shown_first_escaped_and_line_by_line(
    run: Runner, capsys: pytest.CaptureFixture[str]
) -> None:
    run.see("files", tool("read_file", readOnlyHint=True))
    run.see("files", tool("read_file", "Send \x1b[2Jall."), tool("new"))
    assert run("list", "files") == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [(row[0], row[1]) for row in rows] == [("new", "new"), ("read_file", "changed")]
    assert run("approve", "files", "read_file", "new", "--yes") == 0
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert '  -   "description": "It works.",\n' in told
    assert '  +   "description": "Send \\u001b[2Jall.",\n' in told
    assert "does not say any more that it only reads: the scope mcp:files:read does not cover it" in told
    assert told.endswith("approved the tool 'read_file' of 'files'\napproved the tool 'new' of 'files'\n")
    assert run("approve", "files", "read_file", "--yes") == 0
    assert "nothing waits to be approved" in capsys.readouterr().err
    assert run("list", "files") == 0
    assert [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()] == ["shown", "shown"]


def test_what_is_forgotten_is_new_again(run: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    run.see("files", tool("a"), tool("b"))
    assert run("forget", "files", "a", "--yes") == 0
    assert capsys.readouterr().out == "forgot 1 tool of 'files'\n"
    run.see("files", tool("a"), tool("b"))
    assert run("list", "files", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["tool"], one["state"]) for one in found["tools"]] == [("a", "new"), ("b", "shown")]
    assert run("forget", "files", "--yes") == 0
    assert capsys.readouterr().out == "forgot 2 tools of 'files'\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("list", "nowhere"), "the settings name no MCP server 'nowhere'"),
        (("approve", "nowhere", "a"), "the settings name no MCP server 'nowhere'"),
        (("forget", "nowhere", "--yes"), "  fix  Name one of: files, wary, team, desk"),
        (("approve", "files", "a", "--yes"), "no tool 'a' of a server 'files' was ever seen"),
        (("forget", "files", "--yes"), "no such tool of 'files' was ever seen"),
        (("credential", "set", "files"), "files"),
        (("credential", "set", "desk"), "desk"),
        (("credential", "set", "team", "--subject", "ann"), "team"),
        (("credential", "remove", "team", "--yes"), "team"),
    ],
)
def test_what_cannot_be_done_is_refused(
    run: Runner, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert run(*arguments, stdin="secret\n") == 1
    told = capsys.readouterr()
    assert (told.out, said in told.err) == ("", True), told.err
    assert "  fix  " in told.err


def test_a_credential_is_kept_sealed_and_shown_to_nobody(
    run: Runner, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run("credential", "set", "team", stdin="hidden-team-secret\n") == 0
    assert run("credential", "set", "desk", "--subject", "ann", stdin="hidden-ann-secret\n") == 0
    assert run("credential", "set", "desk", "--subject", "ann", stdin="hidden-ann-again\n") == 0
    assert capsys.readouterr().out.splitlines() == [
        "the credential of 'team' is kept sealed",
        "the credential of 'desk' for 'ann' is kept sealed",
        "the credential of 'desk' for 'ann' is kept sealed, in place of the one before",
    ]
    assert run("credential", "list") == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [(row[0], row[1], row[4]) for row in rows] == [("desk", "ann", "good"), ("team", "(all callers)", "good")]
    for file in (tmp_path / "data").rglob("*"):
        if file.is_file() and not file.is_socket():
            assert b"hidden-" not in file.read_bytes(), file
    assert run("credential", "remove", "desk", "--subject", "ann", "--yes") == 0
    told = capsys.readouterr()
    assert told.out == "the credential of 'desk' for 'ann' is erased here\n"
    assert "the server was not told" in told.err
    assert run("credential", "list", "desk") == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("secret", ["", "\n", "a b\n", "gehä\n", "x" * 16_385])
def test_what_no_header_field_carries_is_not_kept(run: Runner, capsys: pytest.CaptureFixture[str], secret: str) -> None:
    assert run("credential", "set", "team", stdin=secret) == 2
    assert capsys.readouterr().out == ""
    assert run("credential", "list") == 0
    assert capsys.readouterr().out == ""

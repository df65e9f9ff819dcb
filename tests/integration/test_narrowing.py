"""An agent narrows its token for a sub-agent, over a running gateway: the page's lines, and the story of their end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from jotgate.testing.running import Gateway, run_command, until
from tests.docs.pages import pages
from tests.integration.exchanges import Caller
from tests.integration.test_readme import place, type_in

__all__ = ["place"]

_BOUND_S: Final = 1.0
_TWO: Final = "[server]\nworkers = 2\n"

Start = Callable[..., Gateway]
Call = Callable[..., Caller]


def narrow(gateway: Gateway, token: str, *options: str) -> str:
    done = run_command("token", "narrow", *options, data=gateway.data, stdin=token)
    assert done.returncode == 0, done.stderr
    return str(done.stdout).strip()


@pytest.mark.usefixtures("curl")
def test_the_lines_of_the_page(gateway: Gateway, place: Path) -> None:
    (place / "jotgate").symlink_to(place / ".venv" / "bin" / "jotgate")
    lines = pages()["docs/narrowing.md"].blocks("sh")
    said = type_in('PATH="$PWD:$PATH"\n' + "echo\n".join(lines), gateway, place).splitlines()
    tree = [line for line in said if " · " in line]
    assert [line.split()[0] for line in tree][1] == "*"
    assert [line.partition("acts: ")[2] for line in tree] == ["", "agent", "sub-agent"]
    traded, bounded = (json.loads(line) for line in said if line.startswith('{"access_token"'))
    assert traded["scope"] == "chat.completions"
    assert bounded["authorization_details"] == [
        {"type": "jotgate_call", "actions": ["chat.completions"], "models": ["echo"]}
    ]


def test_a_root_that_is_revoked_ends_all_of_its_line_and_the_story_is_told(start_gateway: Start, call: Call) -> None:
    gateway = start_gateway(_TWO)
    root = gateway.token("--subject", "me")
    child = narrow(gateway, root, "--scope", "models", "--actor", "agent")
    grandchild = narrow(gateway, child, "--ttl", "5m", "--actor", "sub-agent")
    line = [root, child, grandchild]
    assert {call(gateway, token)("GET", "/v1/models").status for token in line for _ in range(8)} == {200}
    done = run_command("token", "tree", data=gateway.data, stdin=root)
    ids = [one.strip("* ").split()[0] for one in str(done.stdout).splitlines()]
    done = run_command("token", "revoke", ids[0], "--reason", "laptop lost", "--yes", data=gateway.data)
    assert "3 live tokens" in str(done.stdout)
    until(
        lambda: {call(gateway, token)("GET", "/v1/models").status for token in line for _ in range(8)} == {401},
        "both workers refuse all three",
        _BOUND_S,
    )
    (request_id,) = call(gateway, grandchild)("GET", "/v1/models").all("x-request-id")
    told = until_told(gateway, request_id)
    assert f"{ids[0]}  <- revoked" in told
    assert told.index(ids[0]) < told.index(ids[1]) < told.rindex(ids[2])
    assert "laptop lost, by jotgate-cli" in told
    assert "sub-agent for agent" in told


def until_told(gateway: Gateway, request_id: str) -> str:
    """What `jotgate explain` says of a request, once its record is written."""
    said: list[str] = []

    def asked() -> bool:
        done = run_command("explain", request_id, data=gateway.data)
        said.append(str(done.stdout))
        return done.returncode == 0

    until(asked, "the request is in the log", 5.0)
    return said[-1]


def test_both_commands_work_while_no_jotgate_runs(directory: Path) -> None:
    root = run_command("token", "create", "--subject", "me", "--model", "echo", data=directory).stdout.strip()
    done = run_command("token", "narrow", "--scope", "models", "--actor", "agent", data=directory, stdin=root)
    assert done.returncode == 0, done.stderr
    child = done.stdout.strip()
    told = run_command("token", "verify", data=directory, stdin=child).stdout
    assert [line.split() for line in told.splitlines() if line.startswith(("  acts", "  scopes"))] == [
        ["scopes", "models"],
        ["acts", "agent"],
    ]
    nodes = run_command("token", "tree", "--json", data=directory, stdin=child).stdout.splitlines()
    assert [(node["depth"], node["state"], node["named"]) for node in map(json.loads, nodes)] == [
        (0, "live", False),
        (1, "live", True),
    ]
    ids = [json.loads(node)["token_id"] for node in nodes]
    run_command("token", "revoke", ids[0], "--yes", data=directory)
    said = run_command("token", "tree", ids[1], data=directory).stdout
    assert said.count("revoked") == 2
    refused = run_command("token", "narrow", data=directory, stdin=child)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "was revoked" in refused.stderr


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--scope", "ai"), "What may be: models"),
        (("--model", "other"), "What may be: echo"),
        (("--ttl", "2h"), "--ttl"),
        (("--audience", "https://else.example"), "It is for: "),
        (("--scope", " "), "--scope"),
        (("--ttl", "soon"), ""),
        (("eyJh.eyJz.c2ln",), "stdin"),
    ],
)
def test_what_cannot_be_had_is_refused_with_what_may_be(directory: Path, words: tuple[str, ...], hint: str) -> None:
    root = run_command(
        "token", "create", "--subject", "me", "--model", "echo", "--scope", "models", data=directory
    ).stdout.strip()
    refused = run_command("token", "narrow", *words, data=directory, stdin=root)
    assert refused.returncode in {1, 2}
    assert refused.stdout == ""
    assert hint in refused.stderr
    assert "eyJ" not in refused.stderr


def test_a_token_on_the_command_line_of_the_tree_is_refused_without_being_repeated(directory: Path) -> None:
    run_command("token", "create", "--subject", "me", data=directory)
    refused = run_command("token", "tree", "eyJh.eyJz.c2ln", data=directory)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "eyJ" not in refused.stderr
    unknown = run_command("token", "tree", "0" * 32, data=directory)
    assert unknown.returncode == 1
    assert "nothing is known" in unknown.stderr

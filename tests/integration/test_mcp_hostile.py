"""MCP servers that answer with what is no answer: whoever asked is told at once, and nobody else is harmed."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx2
import pytest

from jotgate.testing.running import Gateway, running_gateway
from tests.mcp_clients import LEGACY, Said, headers_of, stateless
from tests.mcp_script import HOSTILE, Script, scripted

_ROOT: Final = Path(__file__).parent.parent.parent
_SERVERS: Final = ("old", "new", "old-cold", "new-cold", "child", "elder")
_AT_ONCE_S: Final = 5.0
_ACT: Final = stateless("tools/call", {"name": "act", "arguments": {}})
_LIST: Final = stateless("tools/list")
# What a result of any kind of object is good for is its caller's to see, and no list is looked for in it.
_FAULTS: Final = [case for case in HOSTILE if case != "a list that is none"]
_BEGIN: Final = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


class Stage(NamedTuple):
    """A gateway before the servers of a script, and a token for all that they have."""

    gateway: Gateway
    script: Script
    token: str
    client: httpx2.Client

    def ask(self, server: str, message: dict[str, Any], session: str = "") -> Said:
        """What a server says to a message; of the older era in a session."""
        fields = {"Mcp-Session-Id": session, "MCP-Protocol-Version": LEGACY} if session else None
        fields = {} if message is _BEGIN else fields
        begun_s = time.monotonic()
        said = self._answer(server, message, headers_of(message) if fields is None else fields)
        assert time.monotonic() - begun_s < _AT_ONCE_S
        return said

    def begin(self, server: str) -> str:
        """A session with a server."""
        begun = self.ask(server, _BEGIN)
        assert begun.status == 200, begun
        return begun.headers["mcp-session-id"]

    def _answer(self, server: str, message: dict[str, Any], fields: dict[str, str]) -> Said:
        """What is said to a message, also where the stream of it is broken off behind that."""
        url, body = f"{self.gateway.url}/mcp/{server}", b""
        accepted = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {self.token}"}
        with (
            suppress(httpx2.RemoteProtocolError),
            self.client.stream("POST", url, json=message, headers={**accepted, **fields}) as response,
        ):
            for piece in response.iter_raw():
                body += piece
        data = [line.removeprefix(b"data:") for line in body.splitlines() if line.startswith((b"data:", b"{"))]
        return Said(response.status_code, dict(response.headers), json.loads(data[-1]) if data else None)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with scripted() as (script, origin):
        servers = "".join(f'[[mcp.servers]]\nname = "{name}"\nurl = "{origin}/{name}"\n' for name in _SERVERS[:4])
        for name in _SERVERS[4:]:
            arguments = json.dumps(["-m", "tests.peers.mcp_hostile", *([] if name == "child" else [name])])
            servers += f'[[mcp.servers]]\nname = "{name}"\ncommand = "{sys.executable}"\nargs = {arguments}\n'
            servers += f'directory = "{_ROOT}"\n'
        with running_gateway(servers) as gateway:
            scopes = " ".join(f"mcp:{name}:*" for name in _SERVERS)
            with httpx2.Client(timeout=_AT_ONCE_S) as client:
                yield Stage(gateway, script, gateway.token("--scope", scopes), client)


@pytest.fixture(autouse=True)
def fair(stage: Stage) -> Iterator[None]:
    """The servers answer as they should before and behind each test."""
    yield
    script = stage.script
    script.said.clear()
    script.media_type, script.coding, script.status = "application/json", "", 200


def test_a_server_that_is_not_known_yet_is_told_to_be_none(stage: Stage) -> None:
    script, cold = stage.script, ("old-cold", "new-cold")
    for script.media_type, (case, words) in product(("application/json", "text/event-stream"), HOSTILE.items()):
        script.said = dict.fromkeys(("initialize", "server/discover"), words)
        for server, message in product(cold, (_LIST, _ACT, _BEGIN)):
            _expect_fault(stage.ask(server, message), case)
    for script.media_type, (case, words) in product(("text/event-stream", "application/json"), HOSTILE.items()):
        script.said = {"tools/list": words}
        for server, message in product(cold, (_LIST, _ACT)):
            _expect_fault(stage.ask(server, message), case)
    script.said, script.media_type = {}, "application/json"
    for script.session in ("s" * 5_000, "ses sion", "s\xe9"):
        _expect_fault(stage.ask("old-cold", _BEGIN), script.session)
    script.session = ""
    for server in cold:
        assert stage.ask(server, _ACT).status == 200


@pytest.mark.parametrize("media_type", ["application/json", "text/event-stream"])
def test_what_is_no_answer_is_told_with_502_in_each_era_and_the_next_call_is_answered(
    stage: Stage, media_type: str
) -> None:
    sessions = {server: stage.begin(server) for server in ("old", "new")}
    for server in sessions:
        assert stage.ask(server, _LIST).status == 200
    legacy = {one["method"]: _legacy(one) for one in (_LIST, _ACT)}
    for case, words in HOSTILE.items():
        stage.script.media_type = media_type
        stage.script.said = {"tools/list": words}
        for server, session in sessions.items():
            _expect_fault(stage.ask(server, _LIST), case)
            _expect_fault(stage.ask(server, legacy["tools/list"], session), case)
        if case in _FAULTS:
            stage.script.said = {"tools/call": words}
            _expect_fault(stage.ask("old", _ACT), case)
            _expect_fault(stage.ask("new", legacy["tools/call"], sessions["new"]), case)
        stage.script.said, stage.script.media_type = {}, "application/json"
        for server, session in sessions.items():
            assert stage.ask(server, _ACT).body["result"]["content"][0]["text"] == "act"
            assert stage.ask(server, legacy["tools/call"], session).status == 200


def test_a_child_goes_on_whatever_it_has_said_and_its_caller_is_told(stage: Stage) -> None:
    process = stage.ask("child", _ACT).body["result"]["content"][0]["text"]
    nobodys = {"no object"}  # It has no id by which it could be anybody's, as all that servers print besides.
    for case in [one for one in _FAULTS if one not in nobodys]:
        _expect_fault(stage.ask("child", stateless("tools/call", {"name": "act", "arguments": {"case": case}})), case)
        assert stage.ask("child", _ACT).body["result"]["content"][0]["text"] == process, "it is the same one"
    for case in HOSTILE.keys() - nobodys:
        _expect_fault(stage.ask("child", stateless("tools/list", {"cursor": case})), case)
    assert stage.ask("child", _LIST).status == 200


def test_a_child_that_never_begins_is_told_to_be_none(stage: Stage) -> None:
    for message in (_LIST, _ACT):
        _expect_fault(stage.ask("elder", message), "elder")


def test_what_has_a_coding_that_was_not_asked_for_is_no_list(stage: Stage) -> None:
    session = stage.begin("old")
    assert stage.ask("new", _LIST).status == 200
    words = b'{"jsonrpc":"2.0","id":ID,"result":{"resultType":"complete","tools":[]}}'
    stage.script.said = dict.fromkeys(("tools/list", "tools/call"), words)
    for stage.script.media_type in ("application/json", "text/event-stream"):
        for stage.script.coding in ("gzip", "x-own"):
            _expect_fault(stage.ask("new", _LIST), "stateless")
            _expect_fault(stage.ask("old", _legacy(_LIST), session), "legacy")
            _expect_fault(stage.ask("old", _ACT), "translated")


def test_of_an_error_that_nobody_can_read_the_status_is_told(stage: Stage) -> None:
    session = stage.begin("old")
    stage.script.said, stage.script.status = {"tools/list": b"Session not found"}, 404
    for stage.script.media_type, stage.script.coding in (("text/plain", ""), ("application/json", "gzip")):
        told = stage.ask("old", _legacy(_LIST), session)
        assert (told.status, told.body) == (404, None), "the client knows by it that it has to begin anew"
        assert "content-encoding" not in told.headers


def _legacy(message: dict[str, Any]) -> dict[str, Any]:
    params = {name: value for name, value in message["params"].items() if name != "_meta"}
    return {**message, "params": params}


def _expect_fault(said: Said, case: str) -> None:
    streams = said.headers["content-type"] == "text/event-stream"  # Its status was told before.
    assert said.status == (200 if streams else 502), (case, said)
    told = said.body["error"]
    assert (told["code"], said.body.get("id")) == (502, 1), (case, said)
    assert told["data"]["code"].startswith("upstream_"), case
    assert told["message"], case

"""Streams of MCP that wait: what comes on them, what is said again, what of it a token is shown, and when they end."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import httpx2
import pytest

from jotgate.jose.jwt import peek_unverified
from jotgate.testing.running import Gateway, run_command, running_gateway, until
from tests.mcp_clients import LEGACY, headers_of, post, stateless
from tests.mcp_script import TOOLS, Script, scripted

_PATIENCE_S: Final = 10.0
_BEGIN: Final = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
_PROGRESS: Final = {
    "jsonrpc": "2.0",
    "method": "notifications/progress",
    "params": {"progressToken": 7, "progress": 1, "own": [1]},
}
_LOG: Final = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "said"}}
_CHANGED: Final = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
_ASKED: Final = {"jsonrpc": "2.0", "id": "s-1", "method": "roots/list"}
_END: Final = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "the last"}}


class Stream(NamedTuple):
    """A stream that is read."""

    lines: Iterator[str]

    def next(self) -> Any:
        """The next message."""
        return json.loads(next(line for line in self.lines if line.startswith("data:"))[5:])

    def rest(self) -> list[Any]:
        """All that comes until the stream ends."""
        found: list[Any] = []
        try:
            for line in self.lines:
                found += [json.loads(line[5:])] if line.startswith("data:") else []
        except httpx2.RemoteProtocolError:
            found.append("broken off")
        return found


class Stage(NamedTuple):
    """A gateway before the servers of a script."""

    gateway: Gateway
    script: Script
    client: httpx2.Client

    def token(self, *scopes: str, subject: str = "ann", more: tuple[str, ...] = ()) -> str:
        """A token with these scopes."""
        return self.gateway.token("--scope", " ".join(scopes), *more, subject=subject)

    def begin(self, token: str, server: str = "old") -> str:
        """A session with a server."""
        begun = post(f"{self.gateway.url}/mcp/{server}", token, _BEGIN, {})
        assert begun.status == 200, begun
        return begun.headers["mcp-session-id"]

    @contextmanager
    def stream(self, token: str, session: str, server: str = "old", *, after: str = "") -> Iterator[Stream]:
        """The stream of a session, once the server has it too."""
        before = len(self.script.streams)
        fields = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream", "Mcp-Session-Id": session}
        fields |= {"Last-Event-ID": after} if after else {}
        fields |= {"MCP-Protocol-Version": LEGACY}
        with self.client.stream("GET", f"{self.gateway.url}/mcp/{server}", headers=fields) as response:
            assert response.status_code == 200, response.read()
            assert response.headers["content-type"] == "text/event-stream"
            until(lambda: len(self.script.streams) > before or server != "old", "the server has the stream")
            yield Stream(response.iter_lines())


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with scripted() as (script, origin):
        servers = "".join(f'[[mcp.servers]]\nname = "{name}"\nurl = "{origin}/{name}"\n' for name in ("old", "new"))
        with running_gateway(servers) as gateway, httpx2.Client(timeout=_PATIENCE_S) as client:
            yield Stage(gateway, script, client)


@pytest.fixture(autouse=True)
def fresh(stage: Stage) -> Iterator[None]:
    """No stream is left over."""
    yield
    for _, queue in stage.script.streams:
        queue.put(None)
    stage.script.streams.clear()
    stage.script.replayed.clear()


def test_what_a_server_says_in_a_session_comes_to_that_session_and_to_no_other(stage: Stage) -> None:
    ann, bob = (stage.token("mcp:old:*", subject=name) for name in ("ann", "bob"))
    sessions = [stage.begin(ann), stage.begin(bob), stage.begin(ann)]
    with (
        stage.stream(ann, sessions[0]) as own,
        stage.stream(bob, sessions[1]) as others,
        stage.stream(ann, sessions[2]) as second,
    ):
        one, two, three = (name for name, _ in stage.script.streams)
        for message in (_PROGRESS, _CHANGED, _LOG, _ASKED):
            stage.script.speak(message, one)
            assert own.next() == message, "as it was said"
        stage.script.speak({**_LOG, "params": {"data": "for bob"}}, two)
        stage.script.speak(_END)
        assert own.next() == _END
        assert [others.next()["params"]["data"], others.next()] == ["for bob", _END]
        assert second.next() == _END
        assert len({one, two, three}) == 3
    assert stage.script.heard[-1][1]["mcp-session-id"].startswith("session-"), "the server's own name for it"


def test_in_a_session_that_callers_share_comes_what_is_of_nobody_alone(stage: Stage) -> None:
    ann = stage.token("mcp:new:*")
    session = stage.begin(ann, "new")
    with stage.stream(ann, session, "new") as own:
        until(lambda: bool(stage.script.streams), "jotgate listens to the server")
        for message in (_PROGRESS, _LOG, _ASKED, {"jsonrpc": "2.0", "id": 1, "result": {"tools": TOOLS}}, _CHANGED):
            stage.script.speak(message)
        assert own.next() == _CHANGED, "and nothing before"


def test_what_is_said_again_shows_no_more_than_was_to_be_seen(stage: Stage) -> None:
    every, reader, actor = (stage.token(f"mcp:old:{what}") for what in ("*", "read", "act"))
    session = stage.begin(every)
    answers: tuple[dict[str, Any], ...] = (
        {"tools": TOOLS, "nextCursor": "more"},
        {"resources": [{"uri": "x:secret", "name": "secret"}]},
        {"resourceTemplates": [{"uriTemplate": "x:{secret}", "name": "secret"}]},
        {"contents": [{"uri": "x:secret", "text": "secret"}]},
        {"prompts": [{"name": "secret"}]},
        {"messages": [{"role": "user", "content": {"type": "text", "text": "secret"}}]},
        {"completion": {"values": ["secret"]}},
        {"content": [{"type": "text", "text": "done"}], "structuredContent": {"tools": 5}},
    )
    said = [{"jsonrpc": "2.0", "id": number, "result": result} for number, result in enumerate(answers)]
    stage.script.replayed["e-7"] = b"".join(
        b"id: e-%d\ndata: %b\n\n" % (number, json.dumps(one).encode()) for number, one in enumerate(said)
    )
    with stage.stream(every, session, after="e-7") as stream:
        assert stage.script.heard[-1][1]["last-event-id"] == "e-7"
        assert [stream.next() for _ in said] == said
    with stage.stream(reader, session, after="e-7") as stream:
        shown = [stream.next() for _ in said]
        assert [one["name"] for one in shown[0]["result"]["tools"]] == ["look"]
        assert shown[0]["result"]["nextCursor"] == "more"
        assert shown[1:] == said[1:]
    with stage.stream(actor, session, after="e-7") as stream:
        shown = [stream.next() for _ in said]
        assert [one["name"] for one in shown[0]["result"]["tools"]] == ["act"]
        assert shown[-1] == said[-1]
        for number, one in enumerate(shown[1:-1], 1):
            assert (one["id"], one["error"]["code"], "result" in one) == (number, 403, False)
            assert "mcp:old:read" in one["error"]["data"]["hint"]
        assert "secret" not in json.dumps(shown)


def test_a_list_that_a_server_says_of_its_own_accord_is_sifted_too_and_what_is_no_message_ends_the_stream(
    stage: Stage,
) -> None:
    every, reader = stage.token("mcp:old:*"), stage.token("mcp:old:read")
    session = stage.begin(every)
    assert post(f"{stage.gateway.url}/mcp/old", every, _listing(), _fields(session)).status == 200
    new = [*TOOLS, {**TOOLS[1], "description": "Another."}, {**TOOLS[1], "name": "unknown"}]
    for _ in range(2):
        with stage.stream(reader, session) as stream:
            stage.script.speak({"jsonrpc": "2.0", "id": 9, "result": {"tools": [*reversed(TOOLS)]}})
            assert [one["name"] for one in stream.next()["result"]["tools"]] == ["look"]
            stage.script.speak({"jsonrpc": "2.0", "id": 9, "result": {"tools": new}})
            assert stream.next()["result"]["tools"] == [], "none that is another, twice there or unknown"
    listed = post(f"{stage.gateway.url}/mcp/old", reader, _listing(), _fields(session)).body["result"]["tools"]
    assert [one["name"] for one in listed] == ["look"], "what was said without being asked hides nothing"
    hidden = {"tools": TOOLS}
    for torn in (
        {"jsonrpc": "2.0", "id": 9, "result": {"tools": 5}},
        [{"jsonrpc": "2.0", "id": 9, "result": hidden}],
        {"jsonrpc": "2.0", "id": 9, "method": "x", "result": hidden},
        b'{"jsonrpc":"2.0","id":9,"result":{"tools":[{"name":"act","description":"\xff"}]}}',
    ):
        with stage.stream(reader, session) as stream:
            stage.script.speak(torn)
            stage.script.speak(_END)
            rest = stream.rest()
        assert [one["error"]["data"]["code"] for one in rest[:-1]] == ["upstream_torn"]
        assert rest[-1] == "broken off"


def test_a_stream_ends_with_its_token(stage: Stage) -> None:
    short, revoked = stage.token("mcp:old:*", more=("--ttl", "2s")), stage.token("mcp:old:*", "mcp:new:*")
    own = stage.begin(revoked, "new")
    session = stage.begin(revoked)
    with (
        stage.stream(short, session) as brief,
        stage.stream(revoked, session) as cut,
        stage.stream(revoked, own, "new") as shared,
    ):
        stage.script.speak(_LOG)
        assert [brief.next(), cut.next()] == [_LOG, _LOG]
        run_command("token", "revoke", _id_of(revoked), "--yes", data=stage.gateway.data)
        for stream, code in ((cut, "token_revoked"), (shared, "token_revoked"), (brief, "token_expired")):
            rest = stream.rest()
            assert [one["error"]["data"]["code"] for one in rest[:-1]] == [code]
            assert rest[-1] == "broken off"
        stage.script.speak(_END)


def test_a_stream_of_the_stateless_revision_ends_with_its_token_too(stage: Stage) -> None:
    token = stage.token("mcp:old:*")
    message = stateless("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    fields = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream", **headers_of(message)}
    url = f"{stage.gateway.url}/mcp/new"
    refused = stage.client.post(url, json=message, headers=fields)
    assert refused.status_code == 403
    token = stage.token("mcp:new:*")
    fields["Authorization"] = f"Bearer {token}"
    with stage.client.stream("POST", url, json=message, headers=fields) as response:
        run_command("token", "revoke", _id_of(token), "--yes", data=stage.gateway.data)
        rest = Stream(response.iter_lines()).rest()
    assert [one["error"]["data"]["code"] for one in rest[:-1]] == ["token_revoked"]


def _listing() -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}}


def _fields(session: str) -> dict[str, str]:
    return {"Mcp-Session-Id": session, "MCP-Protocol-Version": LEGACY}


def _id_of(token: str) -> str:
    return str(peek_unverified(token.encode())[1]["jti"])

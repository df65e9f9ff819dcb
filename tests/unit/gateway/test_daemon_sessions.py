"""Connections of the MCP daemon by a clock of the test's: what is told while calls run, who is slow, what ends."""

import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from msgspec import structs

from jotgate.core.calls import Request
from jotgate.core.faces import Face
from jotgate.core.mcp_daemon import MCP_DAEMON, McpDaemonRules, legacy_principal
from jotgate.core.operations import Operation
from jotgate.core.values import Secret
from jotgate.core.websocket_frames import ABNORMAL
from jotgate.core.websocket_handshake import Handshake
from jotgate.gateway.daemon_sessions import DaemonSessions
from jotgate.gateway.plain_answers import FaceOperation
from jotgate.gateway.world import build_world
from jotgate.jose.keys import generate
from jotgate.socket_ports import Socket, SocketBounds, SocketEvents
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.ports import RecordingCaller
from tests.callers import NOW_S, issuer_of
from tests.stages import Stage

_DAEMON: Final = TestIssuer(generate("ES256"), "https://daemon.example", "https://daemon.example", NOW_S)
_ANSWER: Final = b'{"choices":[{"message":{"content":"done"}}],"model":"b"}'
_CALL: Final = {"op": "call_tool", "name": "chat", "arguments": {"message": "hi"}, "request_id": "1"}


class OpenSocket:
    """A client's socket (socket_ports.Socket). Mutable: what it was sent, whether it is read, how it was closed."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.reads = True
        self.closed: tuple[int, str] | None = None

    def send(self, message: bytes, *, text: bool = True) -> None:
        self.sent.append(json.loads(message))

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    def pause(self) -> None:
        self.reads = False

    def resume(self) -> None:
        self.reads = True


class SocketingCaller(RecordingCaller):
    """A caller whose WebSocket is granted."""

    events: SocketEvents

    def __init__(self) -> None:
        super().__init__()
        self.socket = OpenSocket()

    def switch(self, lines: bytes, bounds: SocketBounds, talk: Callable[[Socket], SocketEvents]) -> None:
        self.events = talk(self.socket)

    def say(self, frame: object) -> None:
        self.events.said(json.dumps(frame).encode(), text=True)


@pytest.fixture
def stage() -> Stage:
    found = Stage()
    face = Face(
        name=MCP_DAEMON,
        listen=("127.0.0.1", 0),
        issuers=(structs.replace(issuer_of(_DAEMON), name=MCP_DAEMON),),
        rules=McpDaemonRules(model="b", calls_per_connection=2, legacy=Secret("x" * 16), grace_until_s=int(NOW_S) + 60),
        routes=found.world.snapshot.routes[1:],
    )
    found.gateway.swap(
        build_world(structs.replace(found.world.snapshot, faces=(face,)), found.world.places, found.world)
    )
    sessions = DaemonSessions(found.gateway, found.clock)
    operation = Operation("daemon.socket", b"GET", b"/ws", False, socket=True)
    found.gateway.serve(MCP_DAEMON, (FaceOperation(operation, run=sessions.connect),))
    return found


def connect(stage: Stage, token: bytes | None = None, **changes: object) -> SocketingCaller:
    asked = Request(
        method=b"GET",
        path=b"/ws",
        query=b"",
        headers={b"authorization": b"Bearer " + (token or _DAEMON.token())},
        peer="127.0.0.1",
        begun_s=stage.clock.monotonic_s(),
        face=MCP_DAEMON,
        handshake=Handshake(b"AAAAAAAAAAAAAAAAAAAAAA=="),
    )
    for name, value in changes.items():
        setattr(asked, name, value)
    caller = SocketingCaller()
    stage.gateway.open(asked)(caller)
    assert hasattr(caller, "events"), caller.body
    return caller


def test_a_call_that_takes_long_is_told_of_each_five_seconds(stage: Stage) -> None:
    caller = connect(stage)
    caller.say(_CALL)
    for span_s in (4.0, 2.0, 2.0, 4.0):
        stage.wait(span_s)
    progress = {"op": "progress", "request_id": "1", "message": "Tool execution in progress..."}
    assert caller.socket.sent == [progress, progress]
    stage.two.last.answer(200, _ANSWER)
    assert caller.socket.sent[2]["outputs"] == [{"type": "text", "text": "done"}]
    stage.wait(10.0)
    assert len(caller.socket.sent) == 3


def test_who_does_not_read_is_heard_no_more_until_that_is_made_up_for(stage: Stage) -> None:
    caller = connect(stage)
    caller.events.slowed()
    assert not caller.socket.reads
    caller.events.hastened()
    assert caller.socket.reads


def test_so_many_calls_run_on_a_connection_and_no_more(stage: Stage) -> None:
    caller = connect(stage)
    for number in range(3):
        caller.say({**_CALL, "request_id": str(number)})
    ((refused),) = caller.socket.sent
    assert (refused["request_id"], refused["error"]["code"]) == ("2", "OVER_CAPACITY")


def test_what_runs_is_left_when_the_client_is_gone(stage: Stage) -> None:
    caller = connect(stage)
    caller.say(_CALL)
    exchange = stage.two.last
    caller.events.ended(ABNORMAL)
    assert exchange.aborted
    assert not stage.gateway.live
    assert {record.outcome for record in stage.trail.records} == {"caller_gone"}


def test_the_end_of_a_token_is_announced_to_who_can_renew_it(stage: Stage) -> None:
    ends_s = NOW_S + 30
    knows, bare = connect(stage, _DAEMON.token(exp=ends_s)), connect(stage, _DAEMON.token(exp=ends_s))
    knows.say({"op": "ping", "request_id": "p"})
    stage.wait(1.0)
    assert knows.socket.sent[1] == {"op": "auth_expiring", "request_id": "", "expires_at": ends_s, "expires_in": 29}
    assert bare.socket.sent == []
    stage.wait(60.0)
    stage.wait(1.0)
    assert (knows.socket.closed, bare.socket.closed) == ((4003, "Token has expired"), (4003, "Token has expired"))
    assert bare.socket.sent == []


def test_whom_only_the_grace_lets_in_leaves_when_it_is_over(stage: Stage) -> None:
    world = stage.gateway.world
    assert world is not None
    rules = world.snapshot.faces[0].rules
    assert isinstance(rules, McpDaemonRules)
    caller = connect(stage, vouched=legacy_principal(rules), headers={})
    caller.say(_CALL)
    stage.two.last.answer(200, _ANSWER)
    assert "outputs" in caller.socket.sent[0]
    stage.wait(61.0)
    assert caller.socket.closed == (4003, "jwt_required")


def test_a_stop_closes_connections(stage: Stage) -> None:
    caller = connect(stage)
    caller.events.leaving()
    assert caller.socket.closed is not None
    assert caller.socket.closed[0] == 1001

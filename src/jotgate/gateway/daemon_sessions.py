"""Connections of the MCP daemon: who may have one, what is said on it, when it ends.

A connection is its principal's, and is cut when the token ends, as a call is. What it answers was asked on it: nothing
is kept, and nothing is anybody else's.
"""

import re
from collections.abc import Callable
from hmac import compare_digest
from typing import Final, Protocol

from msgspec import structs

from jotgate.core.calls import Body, Request
from jotgate.core.mcp_daemon import MCP_DAEMON, McpDaemonRules
from jotgate.core.mcp_daemon_frames import (
    PROTOCOL,
    Frame,
    FrameFault,
    answer_to,
    error_to,
    event_of,
    read_frame,
    rpc_result,
    text_of,
)
from jotgate.core.mcp_daemon_problems import ToldError, message_of, tell_error
from jotgate.core.mcp_daemon_tools import Outcome, outputs_of
from jotgate.core.routes import Attempt, Route
from jotgate.errors import (
    JotgateError,
    NotReady,
    TokenError,
    TokenMalformed,
    TokenMissing,
    UpgradeRequired,
    UpstreamBusy,
)
from jotgate.gateway.admission import Call
from jotgate.gateway.credentials import find_token
from jotgate.gateway.cuts import Cuts
from jotgate.gateway.daemon_calls import DaemonCalls, Origin, origin_of, rules_in
from jotgate.gateway.daemon_calls import Hub as CallHub
from jotgate.gateway.mcp_door import require_origin
from jotgate.gateway.plain_answers import Opened
from jotgate.gateway.relay import Relay
from jotgate.gateway.seats import Seats
from jotgate.gateway.socket_relay import SocketRelay, close_code
from jotgate.gateway.socket_renewal import renew
from jotgate.ports import Caller, Clock, Running
from jotgate.socket_ports import SocketBounds

UNAUTHORIZED: Final = 4003
"""The original's close code for whoever is not let in, or no longer; the reason says why."""
_ROUTE: Final = Route(MCP_DAEMON, (Attempt("", ""),), attempts_max=1)
_SESSION_ID: Final = re.compile(r"[A-Za-z0-9_-]{3,64}")
_PROGRESS_S: Final = 5.0
_PROTOCOLS: Final = (b"mcp", b"realtime")
_OVER: Final = "OVER_CAPACITY"


class Hub(CallHub, Protocol):
    """The gateway, in the things that are done with such connections."""

    @property
    def cuts(self) -> Cuts:
        """What ends calls whose token has ended."""

    @property
    def live(self) -> set[Relay]:
        """All that runs."""

    @property
    def seats(self) -> Seats:
        """How many connections somebody has, over all workers."""

    def take(self, relay: Relay) -> None:
        """Take a call among those that run, which is not to be sent."""

    def settle(self, relay: Relay) -> None:
        """Record a call that has ended."""


class DaemonRelay(SocketRelay):
    """One connection; it has no upstream of its own. Mutable, as every SocketRelay."""

    __slots__ = ()

    def paced(self, *, client: bool, slow: bool) -> None:
        """Who does not read is heard no more until that is made up for."""
        if client:
            self.hold(held=slow)

    def _farewell(self, error: JotgateError) -> tuple[int, str]:
        if isinstance(error, TokenError):
            return UNAUTHORIZED, message_of(error)
        return close_code(error), error.message


class DaemonSessions:
    """What opens those of one worker; what changes is the hub's."""

    def __init__(self, hub: Hub, clock: Clock) -> None:
        self._hub = hub
        self._clock = clock
        self.calls: Final = DaemonCalls(hub, clock)

    def connect(self, opened: Opened, caller: Caller) -> Running:
        """Open a connection for a caller with a good token.

        Raises:
            UpgradeRequired: the request asks for none.
            OriginRefused: it is a web page's that may not call this gateway.
            UpstreamBusy: there are as many as there may be, of all, of the address, or of the subject.
        """
        request, principal = opened.request, opened.principal
        if request.handshake is None:
            raise UpgradeRequired("this path is a WebSocket, and the request asks for none as RFC 6455 has it")
        if request.redemption is None:  # A ticket is for its Origin, whichever that is.
            require_origin(opened)
        rules = rules_in(self._hub.world)
        leave = self._take_room(rules, opened)
        token = b"" if request.vouched is not None else find_token(request, opened.world.credentials)
        if token:
            request.headers = {**request.headers, b"authorization": b"Bearer " + token}
            request.headers.pop(b"sec-websocket-protocol", None)
            request.query = b""  # A ticket stood for the token there.
        call = Call(request, opened.operation, principal, Body({}, b"", "", True), _ROUTE, opened.world)

        def settle(ended: Relay) -> None:
            leave()
            self._hub.settle(ended)

        relay = DaemonRelay(call, caller, self._clock, next_attempt=lambda _: False, settle=settle)
        talk = DaemonTalk(relay, self, opened, self._clock)
        limits = opened.world.limits
        spoken = next((one for one in _PROTOCOLS if one in request.handshake.protocols), b"")
        relay.begin(talk, SocketBounds(rules.frame_bytes, limits.messages_per_s, limits.messages_at_once), spoken)
        self._hub.take(relay)
        relay.grant()
        return relay

    def _take_room(self, rules: McpDaemonRules, opened: Opened) -> Callable[[], None]:
        """Room for one more; what gives it back. Raises UpstreamBusy."""
        who, seats = opened.principal, self._hub.seats
        if sum(isinstance(one, DaemonRelay) for one in self._hub.live) >= rules.connections:
            raise _full("global connection limit reached")
        of_address = take_room_of_address(seats, rules, opened.request)
        of_subject = seats.take("subject", who.issuer, who.subject, limit=rules.connections_per_subject)
        if of_subject is None:
            of_address()
            raise _full("too many connections of this subject")

        def leave() -> None:
            of_address()
            of_subject()

        return leave

    def renew(self, relay: DaemonRelay, old: bytes, new: bytes) -> Opened:
        """Let a connection go on with another token of the same subject. Raises TokenError, Unavailable."""
        call, world = relay.call, self._hub.world
        if world is None:
            raise NotReady("this worker has no snapshot yet", hint="Try again in a moment")
        world, now_s = world.of(MCP_DAEMON), self._clock.now_s()
        if call.request.vouched is not None or not compare_digest(old, find_token(call.request, world.credentials)):
            raise TokenMalformed("'old' is not the token of this connection")
        request, principal = renew(call, world, new, now_s)
        relay.go_on_with(request, structs.replace(call, principal=principal, world=world))
        self._hub.cuts.look_at([relay])
        return Opened(request, world, call.operation, principal, now_s, self._clock.monotonic_s())

    def check_hello(self, relay: DaemonRelay, jwt: bytes, legacy: bytes) -> None:
        """Look at what a `hello` on an open connection carries: it may be as good as what that was opened with.

        Empty: it carries none. Raises TokenError, Unavailable: it is another's, or none that is good.
        """
        call, world = relay.call, self._hub.world
        wanted = rules_in(world).legacy
        if legacy and wanted is not None and not compare_digest(legacy, wanted.reveal().encode()):
            raise TokenMalformed("'token' is not the one that this daemon was given")
        if not jwt or world is None:
            return
        if call.request.vouched is not None:
            raise TokenMalformed("this connection was let in without a jwt: open another one with it")
        renew(call, world.of(MCP_DAEMON), jwt, self._clock.now_s())


def take_room_of_address(seats: Seats, rules: McpDaemonRules, request: Request) -> Callable[[], None]:
    """Room for one more connection of an address; what gives it back. Raises UpstreamBusy."""
    found = seats.take("address", request.peer, limit=rules.connections_per_address)
    if found is None:
        raise _full("too many connections from this address")
    return found


def _full(what: str) -> UpstreamBusy:
    return UpstreamBusy(f"Server overloaded - {what}", hint="Close connections that are not used, or try again later")


class _Call:
    """A call that runs. Mutable: when it was last told of, what can be left (None: it is over at once)."""

    __slots__ = ("frame", "over", "running", "told_s")

    def __init__(self, frame: Frame, told_s: float) -> None:
        self.frame = frame
        self.told_s = told_s
        self.running: Running | None = None
        self.over = False


class DaemonTalk:
    """What is said on one connection (socket_relay.Talk). Mutable: the calls that run, who it speaks for now."""

    def __init__(self, relay: DaemonRelay, sessions: DaemonSessions, opened: Opened, clock: Clock) -> None:
        self._relay = relay
        self._sessions = sessions
        self._opened = opened
        self._clock = clock
        self._runs: dict[str, _Call] = {}
        self._calls = 0
        self._knows_ops = False

    def client_said(self, message: bytes, *, text: bool) -> None:  # noqa: ARG002 - JSON is JSON
        """Take a frame."""
        try:
            self._take(read_frame(message))
        except FrameFault as fault:
            self._relay.say(error_to(fault.frame, fault.error, fault.rpc_code))

    def upstream_said(self, message: bytes, *, text: bool) -> None:
        """There is none."""

    def refused(self, error: JotgateError) -> bytes:
        """An `error` of the original, for those who speak so."""
        return answer_to(Frame("call", "error"), error=tell_error(error)) if self._knows_ops else b""

    def expiring(self, expires_at_s: float, left_s: float) -> bytes:
        """For those who can send `rotate_token`; a client of bare frames would take it for an answer."""
        if not self._knows_ops:
            return b""
        return event_of(Frame("call"), "auth_expiring", expires_at=int(expires_at_s), expires_in=int(left_s))

    def look(self, now_s: float) -> None:
        """Tell how calls stand, of those who asked in the original's words; let those go whom only grace let in."""
        principal = self._opened.principal
        if self._opened.request.vouched is not None and self._clock.now_s() >= principal.expires_at_s:
            self._relay.end(TokenMissing("jwt_required"))
            return
        for run in self._runs.values():
            if run.frame.op and now_s - run.told_s >= _PROGRESS_S:
                run.told_s = now_s
                self._relay.say(event_of(run.frame, "progress", message="Tool execution in progress..."))

    def ended(self) -> None:
        """Nobody waits for what runs."""
        runs, self._runs = self._runs, {}
        for run in runs.values():
            _stop(run)

    # What a client says

    def _take(self, frame: Frame) -> None:
        self._knows_ops = self._knows_ops or bool(frame.op)
        match frame.kind:
            case "call":
                self._call(frame)
            case "list":
                self._list(frame)
            case "cancel":
                self._cancel(frame)
            case "rotate":
                self._rotate(frame)
            case "hello":
                self._hello(frame)
            case "initialize":
                info = {"name": "exai-mcp", "version": "1.0.0"}
                told = {"protocolVersion": PROTOCOL, "capabilities": {"tools": {}}, "serverInfo": info}
                self._relay.say(rpc_result(frame, told))
            case "notice":
                return
            case _:
                self._pong(frame)

    def _pong(self, frame: Frame) -> None:
        if frame.rpc_id is not None:
            self._relay.say(rpc_result(frame, {}))
        elif frame.kind == "health":
            self._relay.say(answer_to(frame, status="ok", timestamp=self._clock.now_s()))
        else:
            self._relay.say(answer_to(frame, timestamp=self._clock.now_s()))

    def _hello(self, frame: Frame) -> None:
        """It is known already who this is; whoever says something else is not heard on."""
        jwt, legacy = (text_of(frame.members, name).encode() for name in ("jwt", "token"))
        try:
            self._sessions.check_hello(self._relay, jwt, legacy)
        except JotgateError as refusal:
            self._relay.say(answer_to(frame, ok=False, error="unauthorized", message=message_of(refusal)))
            self._relay.end(refusal.with_traceback(None))
            return
        wanted = text_of(frame.members, "session_id")
        session = wanted if _SESSION_ID.fullmatch(wanted) else self._opened.request.request_id
        self._relay.say(answer_to(frame, ok=True, session_id=session))

    def _call(self, frame: Frame) -> None:
        self._calls += 1
        key = frame.key or f"#{self._calls}"
        if not frame.key:
            frame = structs.replace(frame, request_id=f"{self._opened.request.request_id}-{self._calls}")
        if key in self._runs:
            self._relay.say(error_to(frame, ToldError("INVALID_REQUEST", "a call with this id is still running")))
            return
        rules = rules_in(self._sessions.calls.world)
        if len(self._runs) >= rules.calls_per_connection:
            self._relay.say(error_to(frame, ToldError(_OVER, "too many calls run on this connection")))
            return
        run = self._runs[key] = _Call(frame, self._clock.monotonic_s())

        def done(outcome: Outcome, lines: bytes) -> None:  # noqa: ARG001 - a frame has none
            run.over = True
            if self._runs.pop(key, None) is run:
                self._relay.say(_write(frame, outcome))

        run.running = self._sessions.calls.call(self._opened, self._origin(), frame, done)

    def _list(self, frame: Frame) -> None:
        def done(tools: list[object]) -> None:
            if frame.rpc_id is not None:
                self._relay.say(rpc_result(frame, {"tools": tools}))
            else:
                self._relay.say(answer_to(frame, tools=tools, timestamp=self._clock.now_s()))

        self._sessions.calls.tools(self._opened, self._origin(), done)

    def _cancel(self, frame: Frame) -> None:
        """Stop a call: its tool is told, and nothing more is said of it."""
        wanted = frame.members.get("requestId")
        key = frame.request_id if wanted is None else bytes(wanted).decode()
        run = self._runs.pop(key, None)
        if run is not None:
            _stop(run)
        if frame.op:
            self._relay.say(answer_to(frame, was_running=run is not None, timestamp=self._clock.now_s()))

    def _rotate(self, frame: Frame) -> None:
        old, new = text_of(frame.members, "old"), text_of(frame.members, "new")
        try:
            self._opened = self._sessions.renew(self._relay, old.encode(), new.encode())
        except JotgateError as refusal:
            self._relay.say(error_to(frame, tell_error(refusal)))
            return
        self._relay.say(answer_to(frame, ok=True, expires_at=int(self._opened.principal.expires_at_s)))

    def _origin(self) -> Origin:
        return origin_of(self._opened.request)


def _write(frame: Frame, outcome: Outcome) -> bytes:
    """What is answered, in the form in which was asked."""
    if outcome.result is None:
        return error_to(frame, outcome.error or ToldError("INTERNAL_ERROR", "there is no answer"))
    if frame.rpc_id is not None:
        return rpc_result(frame, outcome.result)
    if frame.op:
        failed = {"is_error": True} if outcome.result.get("isError") is True else {}
        return answer_to(frame, outputs=outputs_of(outcome.result), **failed)
    return answer_to(frame, tool=frame.tool, result=outcome.result)


def _stop(run: _Call) -> None:
    if run.running is not None and not run.over:
        run.over = True
        run.running.caller_gone()

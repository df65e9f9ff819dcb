"""A WebSocket of the MCP daemon that is open before anybody has said who it is: it waits for one `hello`, and not long.

Until then it may say little, and nothing is done for it.
"""

import asyncio
from collections.abc import Callable
from hmac import compare_digest
from typing import Final, cast

import msgspec

from jotgate.core.calls import Request
from jotgate.core.mcp_daemon import McpDaemonRules, in_grace, legacy_principal
from jotgate.core.mcp_daemon_frames import Frame, FrameFault, answer_to, error_to, read_frame, text_of
from jotgate.core.mcp_daemon_problems import ToldError, tell_error
from jotgate.core.websocket_frames import GOING_AWAY, POLICY_VIOLATION
from jotgate.core.websocket_handshake import grant_lines
from jotgate.errors import JotgateError, TokenMalformed, TokenMissing, UpstreamBusy
from jotgate.gateway.daemon_sessions import UNAUTHORIZED, take_room_of_address
from jotgate.gateway.headers import request_id_line
from jotgate.gateway.pipeline import Gateway
from jotgate.ports import Caller, Running
from jotgate.socket_ports import ClientSocketPort, Socket, SocketBounds, SocketCaller, SocketEvents

BOUNDS: Final = SocketBounds(65_536, 4.0, 4)
"""What somebody may say who is not known."""
INVALID: Final = 4000
UNRECOGNIZED: Final = 4001
LATE: Final = 4002
_PROTOCOL: Final = b"mcp"
_UNKNOWN: Final = frozenset({"UNAUTHORIZED", "FORBIDDEN", "INVALID_REQUEST"})
"""The codes of who is not let in; any other says that there is no room, or that nobody can know."""


def greet(request: Request, rules: McpDaemonRules, gateway: Gateway, caller: Caller) -> None:
    """Open a connection that has carried no credential; it counts among those of its address from now on."""
    handshake = request.handshake
    assert handshake is not None, "nothing else is greeted"
    try:
        leave = take_room_of_address(gateway.seats, rules, request)
    except UpstreamBusy as refusal:
        gateway.refuse(request, refusal, caller)
        return
    spoken = _PROTOCOL if _PROTOCOL in handshake.protocols else b""
    lines = request_id_line(request.request_id) + grant_lines(handshake, spoken)
    greeting = _Greeting(request, rules, gateway, leave)
    cast("SocketCaller", caller).switch(lines, BOUNDS, greeting.meet)


class _Greeting:
    """One such connection (socket_ports.SocketEvents). Mutable: its socket, and who talks on once it is known.

    `leave` gives back its place among those of its address.
    """

    def __init__(self, request: Request, rules: McpDaemonRules, gateway: Gateway, leave: Callable[[], None]) -> None:
        self._request = request
        self._rules = rules
        self._gateway = gateway
        self._leave = leave
        self._socket: Socket | None = None
        self._events: SocketEvents | None = None
        self._late: asyncio.TimerHandle | None = None
        self._running: Running | None = None
        self._asked = False

    def meet(self, socket: Socket) -> SocketEvents:
        """It is open."""
        self._socket = socket
        self._late = asyncio.get_running_loop().call_later(self._rules.hello_s, self._give_up)
        return self

    # socket_ports.SocketEvents

    def said(self, message: bytes, *, text: bool) -> None:
        if self._events is not None:
            self._events.said(message, text=text)
        elif not self._asked:
            self._asked = True
            self._hear(message)

    def slowed(self) -> None:
        if self._events is not None:
            self._events.slowed()

    def hastened(self) -> None:
        if self._events is not None:
            self._events.hastened()

    def leaving(self) -> None:
        if self._events is not None:
            self._events.leaving()
        else:
            self._close(GOING_AWAY, "jotgate is stopping")

    def ended(self, code: int) -> None:
        self._rest()
        self._leave()
        self._socket = None
        if self._events is not None:
            self._events.ended(code)
        elif self._running is not None:
            self._running.caller_gone()

    # Who it is

    def _hear(self, message: bytes) -> None:
        """The first frame, which must be a `hello`."""
        try:
            frame = read_frame(message)
        except FrameFault as fault:
            code = UNRECOGNIZED if fault.error.code == "INVALID_REQUEST" else INVALID
            self._part(error_to(fault.frame, fault.error, fault.rpc_code), code, fault.error.message)
            return
        if frame.kind != "hello":
            told = ToldError("UNAUTHORIZED", "this connection has not said who it is: send a hello with a jwt first")
            said = _refusal("missing_hello", "") if frame.op else error_to(frame, told)
            self._part(said, UNAUTHORIZED, "unauthorized")
            return
        self._admit(frame)

    def _admit(self, frame: Frame) -> None:
        jwt, taker = text_of(frame.members, "jwt"), _Joining(self, frame)
        request = self._ask(jwt)
        self._leave()  # Whoever is known takes it anew.
        try:
            self._gateway.attempts.require(request, self._gateway.world)
            if not jwt and bytes(frame.members.get("jwt", b"null")) != b"null":
                raise TokenMalformed("'jwt' is no text, or an empty one")
            self._require_legacy(text_of(frame.members, "token"))
            if not jwt:
                self._require_grace(request)
            self._running = self._gateway.open(request)(taker)
        except JotgateError as refusal:
            self._gateway.refuse(request, refusal, taker)

    def _ask(self, jwt: str) -> Request:
        """The handshake's request as it would be with this token."""
        had = self._request
        kept: tuple[bytes, ...] = (b"origin", b"host")
        fields = {name: had.headers[name] for name in kept if name in had.headers}
        if jwt:
            fields[b"authorization"] = b"Bearer " + jwt.encode()
        return msgspec.structs.replace(had, headers=fields, query=b"", request_id=had.request_id)

    def _require_legacy(self, token: str) -> None:
        """The older token, where one is set. Raises TokenMalformed."""
        legacy = self._rules.legacy
        if legacy is not None and not compare_digest(token.encode(), legacy.reveal().encode()):
            raise TokenMalformed("'token' is not the one that this daemon was given")

    def _require_grace(self, request: Request) -> None:
        """Who has no JWT is let in while that is so. Raises TokenMissing."""
        if not in_grace(self._rules, self._gateway.clock.now_s()):
            raise TokenMissing("jwt_required")
        request.vouched = legacy_principal(self._rules)

    def joined(self, frame: Frame, bounds: SocketBounds, talk: Callable[[Socket], SocketEvents]) -> None:
        """It is known who it is."""
        self._rest()
        if self._socket is None:
            return
        cast("ClientSocketPort", self._socket).widen(bounds)
        self._events = talk(self._socket)
        self._events.said(_again(frame), text=True)

    def refused(self, error: ToldError) -> None:
        """It is not let in."""
        known = error.code not in _UNKNOWN
        word = "jwt_required" if error.message == "jwt_required" else error.code.lower() if known else "unauthorized"
        code = POLICY_VIOLATION if known else UNAUTHORIZED
        self._part(_refusal(word, error.message), code, error.message)

    # The end

    def _give_up(self) -> None:
        self._part(_refusal("missing_hello", ""), LATE, "no hello in time")

    def _part(self, said: bytes, code: int, reason: str) -> None:
        if self._socket is not None:
            self._socket.send(said)
        self._close(code, reason)

    def _close(self, code: int, reason: str) -> None:
        self._rest()
        self._leave()
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.close(code, reason)

    def _rest(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class _Joining:
    """Takes the gateway's answer to a `hello` (socket_ports.SocketCaller)."""

    def __init__(self, greeting: _Greeting, frame: Frame) -> None:
        self._greeting = greeting
        self._frame = frame

    def switch(self, lines: bytes, bounds: SocketBounds, talk: Callable[[Socket], SocketEvents]) -> None:  # noqa: ARG002
        self._greeting.joined(self._frame, bounds, talk)

    def respond(self, status: int, lines: bytes, body: bytes) -> None:  # noqa: ARG002 - there is no head
        self._greeting.refused(_error_in(body))

    def start(self, status: int, lines: bytes, length: int | None, piece: bytes) -> None:
        """No refusal comes in pieces."""

    def write(self, piece: bytes) -> None:
        """The same."""

    def end(self, piece: bytes) -> None:
        """The same."""

    def abort(self) -> None:
        self._greeting.refused(tell_error(TokenMissing("the connection could not be opened")))


class _Refused(msgspec.Struct, frozen=True):
    error: ToldError


def _error_in(body: bytes) -> ToldError:
    return msgspec.json.decode(body, type=_Refused).error


def _refusal(word: str, message: str) -> bytes:
    more = {"message": message} if message and message != word else {}
    return answer_to(Frame("hello", "hello"), ok=False, error=word, **more)


def _again(frame: Frame) -> bytes:
    """The `hello` as it came, but for what it was let in by: nobody needs to know that twice."""
    kept = {name: value for name, value in frame.members.items() if name not in ("jwt", "token")}
    return msgspec.json.encode(kept)

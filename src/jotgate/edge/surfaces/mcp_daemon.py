"""The surface of the MCP daemon: its paths, and the connections that are opened there (preset `mcp-daemon`)."""

from functools import partial
from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.calls import Request
from jotgate.core.faces import Face
from jotgate.core.mcp_daemon import McpDaemonRules, role_of
from jotgate.core.mcp_daemon_frames import FrameFault, answer_to, read_call, read_members
from jotgate.core.mcp_daemon_problems import ToldError
from jotgate.core.mcp_daemon_tools import Outcome
from jotgate.core.mcp_servers import ALL_SERVERS
from jotgate.core.operations import TICKETS_PATH, Operation
from jotgate.core.quota_answers import TOKEN_QUOTA_EXCEEDED
from jotgate.core.websocket_handshake import tokens_offered
from jotgate.edge.surfaces.face_health import answer_live, answer_ready
from jotgate.edge.surfaces.mcp_daemon_hello import greet
from jotgate.errors import (
    AttemptsThrottled,
    Code,
    JotgateError,
    MethodRefused,
    NotReady,
    QuotaStanding,
    RequestMalformed,
    UnknownOperation,
)
from jotgate.gateway.credentials import find_token, shows_credential
from jotgate.gateway.daemon_calls import origin_of
from jotgate.gateway.daemon_sessions import DaemonSessions
from jotgate.gateway.headers import request_id_line
from jotgate.gateway.passage import ControlDoor, Passage
from jotgate.gateway.pipeline import Gateway
from jotgate.gateway.plain_answers import ANY_METHOD, FaceOperation, Opened, Reply
from jotgate.jose.jws import parse
from jotgate.ports import Answer, Caller, Running

_ROOT: Final = b"/"
_SOCKET: Final = b"/ws"
"""Where a connection stands among the operations: a path that ends in `/` would have all below it."""
_CALL: Final = b"/call"
_VALIDATE: Final = b"/validate"
_REFRESH: Final = b"/refresh"
_LIVE: Final = frozenset({b"/health", b"/healthz", b"/health/live"})
_READY: Final = b"/health/ready"
_BODY_BYTES: Final = 33_554_432
_NO_BODY_BYTES: Final = 65_536
_LINES: Final = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
_UNAUTHORIZED: Final = 401
_TOO_MANY: Final = 429
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(dict[str, object]).decode


class _Valid(Struct, frozen=True):
    """What is told of a good token. A quota of null: none is known."""

    sub: str
    name: str
    role: str
    exp: int
    quota: int | None
    quota_remaining: int | None
    valid: bool = True


class _Invalid(Struct, frozen=True):
    error: str
    valid: bool = False


class _Refused(Struct, frozen=True):
    error: ToldError


class McpDaemonSurface:
    """Serves the face's listener (edge.http1.listener.Application); one is made for each snapshot.

    The request's `face` is set when it gets here.
    """

    def __init__(self, face: Face, gateway: Gateway, control: ControlDoor) -> None:
        rules = face.rules
        assert isinstance(rules, McpDaemonRules)
        self._face = face
        self._rules = rules
        self._gateway = gateway
        self._control = control
        self._sessions = DaemonSessions(gateway, gateway.clock)
        operations = (
            FaceOperation(Operation("daemon.socket", b"GET", _SOCKET, False, socket=True), run=self._sessions.connect),
            FaceOperation(Operation("daemon.call", b"POST", _CALL, False), run=self._call),
            FaceOperation(Operation("daemon.validate", b"POST", _VALIDATE, False), looks=_tell_valid),
            FaceOperation(Operation("mcp", ANY_METHOD, ALL_SERVERS, False), to_mcp=True),
        )
        gateway.serve(face.name, operations)

    def open(self, request: Request) -> Answer:
        """Decide who answers, from the head alone; the gateway authenticates what is the gateway's.

        Raises:
            JotgateError: nobody does; hand the error to `refuse`.
        """
        path = request.path
        if path == _REFRESH:
            return self._renewing(request)
        if path in _LIVE or path == _READY:
            return self._health(request)
        if path not in (_ROOT, _SOCKET, _CALL, _VALIDATE, TICKETS_PATH):
            raise UnknownOperation("there is nothing at this path", hint="docs/systems/mcp-daemon.md lists the paths")
        if self._face.missing:
            raise _lacking(self._face)
        if path in (_ROOT, _SOCKET):
            return self._connect(request)
        request.body_bytes_max = _BODY_BYTES if path == _CALL else _NO_BODY_BYTES
        answer = self._gateway.open(request)
        return partial(_answer_validating, answer) if path == _VALIDATE else answer

    def name(self, request: Request) -> str:
        """The id of a request that somebody else answers, as the gateway gives it."""
        return self._gateway.name(request)

    def refuse(self, request: Request, refusal: JotgateError, caller: Caller) -> None:
        """Tell the caller no."""
        self._gateway.refuse(request, refusal, _Validating(caller) if request.path == _VALIDATE else caller)

    def _connect(self, request: Request) -> Answer:
        """With a credential in the handshake it is decided before the upgrade; without one a `hello` must carry it."""
        request.path, handshake = _SOCKET, request.handshake
        if (
            handshake is None
            or b"authorization" in request.headers
            or tokens_offered(handshake)
            or shows_credential(request)
        ):
            return self._gateway.open(request)
        request.request_id = self.name(request)
        self._gateway.fresh_world()
        return partial(greet, request, self._rules, self._gateway)

    def _renewing(self, request: Request) -> Answer:
        """Control renews tokens: it knows refresh tokens, and the one that is in the header may have ended by then."""
        request.request_id = self.name(request)
        request.body_bytes_max = _NO_BODY_BYTES
        if self._face.missing:
            raise _lacking(self._face)
        return partial(self._ask_control, request)

    def _ask_control(self, request: Request, caller: Caller) -> Running | None:
        """Hand a request to control, unless its address has failed there too often."""
        attempts = self._control.attempts
        if attempts.blocked:
            try:
                attempts.require_client(request)
            except AttemptsThrottled as refusal:
                self.refuse(request, refusal, caller)
                return None
        return self._control.run(request, caller, partial(self._note, request))

    def _note(self, request: Request, passage: Passage) -> None:
        """Take down whether a token was a guess."""
        if passage.status == _UNAUTHORIZED and not passage.known:
            self._control.attempts.failed(request.peer)

    def _health(self, request: Request) -> Answer:
        request.request_id = self.name(request)
        if request.method not in (b"GET", b"HEAD"):
            raise MethodRefused("GET, HEAD", "health is read with GET")
        request.body_bytes_max = 0
        if request.path == _READY:
            return partial(answer_ready, self._gateway, self._face, "ready", request)
        return partial(answer_live, self._face, "healthy", request)

    def _call(self, opened: Opened, caller: Caller) -> Running | None:
        """Have a tool called for `POST /call`. Raises RequestMalformed."""
        request = opened.request
        try:
            frame = read_call(read_members(request.body))
        except FrameFault as fault:
            raise RequestMalformed(fault.error.message) from None

        def done(outcome: Outcome, lines: bytes) -> None:
            told = {"result": outcome.result} if outcome.result is not None else {"error": outcome.error}
            named = msgspec.structs.replace(frame, request_id=frame.request_id or request.request_id)
            body = answer_to(named, tool=frame.tool, **told)
            caller.respond(outcome.status, lines or request_id_line(request.request_id) + _LINES, body)

        return self._sessions.calls.call(opened, origin_of(request), frame, done, request.request_id)


def _lacking(face: Face) -> NotReady:
    return NotReady("; ".join(face.missing), hint="The operator sets it, and nothing is restarted")


def _tell_valid(standings: tuple[QuotaStanding, ...], opened: Opened) -> Reply:
    """What a good token says, and what is left of its quota."""
    principal, world = opened.principal, opened.world
    name = _decode(parse(find_token(opened.request, world.credentials)).payload).get("name")
    quota = next((one.limit.amount for one in principal.limits if one.limit.unit == "requests"), None)
    left = [one.limit - one.spent + 1 for one in standings if one.unit == "requests"]
    told = _Valid(
        sub=principal.subject,
        name=name if isinstance(name, str) else "",
        role=role_of(principal),
        exp=int(principal.expires_at_s),
        quota=quota,
        quota_remaining=max(0, min(left)) if left else quota,
    )
    return Reply(200, _encode(told))


def _answer_validating(answer: Answer, caller: Caller) -> Running | None:
    return answer(_Validating(caller))


class _Validating:
    """A caller who asks whether a token is good: that it is not is the answer (ports.Caller)."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.start = caller.start
        self.write = caller.write
        self.end = caller.end
        self.abort = caller.abort

    def respond(self, status: int, lines: bytes, body: bytes) -> None:
        if status in (_UNAUTHORIZED, _TOO_MANY):
            error = msgspec.json.decode(body, type=_Refused).error
            if error.details.get("code") == Code.QUOTA_EXCEEDED:
                status, body = _UNAUTHORIZED, _encode(_Invalid(TOKEN_QUOTA_EXCEEDED))
            elif status == _UNAUTHORIZED:
                body = _encode(_Invalid(error.message))
        self._caller.respond(status, lines, body)

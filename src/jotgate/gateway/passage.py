"""Passes a request to the control process, which for the edge is one more upstream.

The request has been parsed, checked and is written anew; the peer's address travels in a field that is stripped from
outside. Control authenticates its own requests.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from jotgate.core.calls import Outbound, Request, ResponseHead
from jotgate.core.coze_aims import SESSION_NAME
from jotgate.core.dialects import render_at
from jotgate.core.face_callers import FIELD, write_caller
from jotgate.core.principals import Principal
from jotgate.errors import ControlUnreachable, UpstreamError, UpstreamTimeout
from jotgate.gateway.headers import request_id_line
from jotgate.gateway.throttle import FailedAttempts
from jotgate.jose.encoding import b64url_encode
from jotgate.ports import Caller, Clock, UpstreamExchange, UpstreamPort

_TO_CONTROL: Final = (
    b"accept",
    b"authorization",
    b"content-encoding",
    b"content-type",
    b"dpop",
    b"idempotency-key",
    b"if-match",
    b"if-none-match",
    b"user-agent",
)
KNOWN_FIELD: Final = b"x-jotgate-known"
"""In this field control tells a worker, and nobody else, that what it refuses was good once: it is no guess."""

# The edge writes framing and connection fields itself.
_NOT_TO_CALLER: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"transfer-encoding",
        b"content-length",
        b"date",
        b"server",
        b"upgrade",
        b"x-request-id",
        KNOWN_FIELD,
    }
)
_DEADLINE_S: Final = 10.0
_SESSION: Final = SESSION_NAME.encode("ascii")


class Passage:
    """One request on its way to control and back. Mutable: it is the state of a request in progress."""

    __slots__ = (
        "_accept",
        "_begun",
        "_caller",
        "_deadline_s",
        "_exchange",
        "_face",
        "_line",
        "_path",
        "_told",
        "bytes_out",
        "known",
        "settled",
        "status",
    )

    def __init__(
        self, caller: Caller, request: Request, deadline_s: float, told: "Callable[[Passage], None] | None"
    ) -> None:
        self._path = request.path
        self._face = request.face
        self._accept = request.headers.get(b"accept", b"")
        self._line = request_id_line(request.request_id)
        self._caller = caller
        self._deadline_s = deadline_s
        self._exchange: UpstreamExchange | None = None
        self._begun = False
        self._told = told
        self.settled = False
        self.status = 0
        self.known = False  # what was refused was good once
        self.bytes_out = 0

    def sent(self, exchange: UpstreamExchange) -> None:
        """The request is on its way."""
        self._exchange = exchange

    def received(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
        """Pass on what came (ports.UpstreamEvents)."""
        self.bytes_out += len(piece)
        if head is not None:
            self.status = head.status
            self.known = any(name == KNOWN_FIELD for name, _ in head.headers)
        if head is None and complete:
            self._caller.end(piece)
        elif head is None:
            self._caller.write(piece)
        else:
            passed = [b"%b: %b\r\n" % field for field in head.headers if field[0] not in _NOT_TO_CALLER]
            lines = self._line + b"".join(passed)
            if complete:
                self._caller.respond(head.status, lines, piece)
            else:
                self._begun = True
                self._caller.start(head.status, lines, head.length, piece)
        if complete:
            self._settle()

    def failed(self, error: UpstreamError, written: bool) -> None:  # noqa: ARG002 - the port has both
        """Control does not answer (ports.UpstreamEvents)."""
        if self._begun:
            self._caller.abort()
        else:
            fault = ControlUnreachable("the control process does not answer", hint="Try again in a moment")
            problem = render_at(self._path, fault, accept=self._accept, face=self._face)
            self.status = problem.status
            self._caller.respond(problem.status, self._line + problem.lines, problem.body)
        self._settle()

    def caller_gone(self) -> None:
        """Nobody reads the answer (ports.Running)."""
        if not self.settled:
            self._abort_exchange()
            self._settle()

    def caller_paused(self) -> None:
        """Slow control down (ports.Running)."""
        if self._exchange is not None:
            self._exchange.pause()

    def caller_resumed(self) -> None:
        """Let control go on (ports.Running)."""
        if self._exchange is not None:
            self._exchange.resume()

    def check_deadline(self, now_s: float) -> None:
        """Give control up when the answer takes too long."""
        if not self.settled and now_s > self._deadline_s:
            self._abort_exchange()
            self.failed(UpstreamTimeout("control exceeded its deadline"), written=True)

    def _settle(self) -> None:
        self.settled = True
        if self._told is not None:
            self._told(self)

    def _abort_exchange(self) -> None:
        if self._exchange is not None:
            self._exchange.abort()


class ControlDoor:
    """Where the edge hands in requests for control. Mutable in the passages that are open.

    `attempts` are those of the whole worker.
    """

    def __init__(self, port: UpstreamPort, clock: Clock) -> None:
        self._port = port
        self._clock = clock
        self._open: set[Passage] = set()
        self.attempts: Final = FailedAttempts(clock)

    def run(
        self,
        request: Request,
        caller: Caller,
        told: Callable[[Passage], None] | None = None,
        whom: Principal | None = None,
    ) -> Passage:
        """Send a request, which has its id, to control; the answer goes to the caller.

        `told` gets the passage when it has ended. `whom` is who was verified here, where control takes our word for it.
        """
        told = partial(self._note, request) if told is None else told
        passage = Passage(caller, request, self._clock.monotonic_s() + _DEADLINE_S, told)
        target = request.path + (b"?" + request.query if request.query else b"")
        lines = b"X-Jotgate-Peer: %b\r\n" % request.peer.encode("ascii", "replace")
        if request.certificate:
            lines += b"X-Jotgate-Certificate: %b\r\n" % b64url_encode(request.certificate)
        if request.face:
            lines += b"X-Jotgate-Face: %b\r\n" % request.face.encode("ascii")
        if whom is not None:
            label = request.headers.get(_SESSION, b"").decode("utf-8", "replace").strip()
            lines += b"%b: %b\r\n" % (FIELD, write_caller(whom, label))
        lines += request_id_line(request.request_id)
        for name in _TO_CONTROL:
            value = request.headers.get(name)
            if value is not None:
                lines += b"%b: %b\r\n" % (name, value)
        outbound = Outbound("", request.method, target, lines, request.body)
        self._open.add(passage)
        passage.sent(self._port.begin(outbound, passage))
        return passage

    def _note(self, request: Request, passage: Passage) -> None:
        self.attempts.passed(request, passage.status)

    def check_deadlines(self) -> None:
        """Forget what has ended and give up what takes too long. Called a few times a second."""
        now_s = self._clock.monotonic_s()
        self._open = {passage for passage in self._open if not passage.settled}
        for passage in tuple(self._open):
            passage.check_deadline(now_s)

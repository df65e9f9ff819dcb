"""Callers behind trusted proxies: each call is its caller's, in the audit log and in what one address may have open."""

from functools import partial

from jotgate.core.calls import Request
from jotgate.edge.crowd import Crowd
from jotgate.edge.http1.listener import Application, Surroundings
from jotgate.edge.surfaces.switched import Talk, followed, switch
from jotgate.errors import JotgateError, TooManyConnections
from jotgate.ports import Answer, Caller, Running
from jotgate.socket_ports import SocketBounds


class ProxiedSurface:
    """Serves what another application serves, and knows whom proxies speak for (edge.http1.listener.Application)."""

    def __init__(self, inner: Application, around: Surroundings) -> None:
        self._inner = inner
        self._around = around

    def open(self, request: Request) -> Answer:
        """Take from the head what a trusted proxy says of the caller, drop the rest, and open.

        Raises:
            JotgateError: as the inner application.
        """
        proxies = self._around.proxies
        if proxies.nobody and proxies.harmless.issuperset(request.headers):
            return self._inner.open(request)  # As it mostly is.
        if not proxies.hear(request):
            return self._inner.open(request)
        answer = self._inner.open(request)
        return answer if proxies.trusts(request.peer) else partial(self._answer, request, answer)

    def refuse(self, request: Request, refusal: JotgateError, caller: Caller) -> None:
        """Tell the caller no."""
        self._inner.refuse(request, refusal, caller)

    def _answer(self, request: Request, answer: Answer, caller: Caller) -> Running | None:
        crowd, limit = self._around.crowd, self._around.limits.connections_per_address
        counted = _Counted(crowd, request.peer, caller)
        if counted.number > limit:
            counted.leave()
            refusal = TooManyConnections(f"this address has {limit} calls under way already")
            self._inner.refuse(request, refusal, caller)
            return None
        begun = False
        try:
            running = answer(counted)
            begun = running is not None
        finally:
            if not begun:
                counted.leave()
        counted.follow(running)
        return counted if begun else None


class _Counted:
    """A call that counts for its caller's address until it ends (socket_ports.SocketCaller, ports.Running)."""

    def __init__(self, crowd: Crowd, address: str, caller: Caller) -> None:
        self.number = crowd.enter(address)
        self._crowd = crowd
        self._address = address
        self._caller = caller
        self._running: Running | None = None
        self._gone = False

    def follow(self, running: Running | None) -> None:
        """Tell this one what becomes of the caller."""
        self._running = running

    def leave(self) -> None:
        """The call has ended; may be said twice."""
        if not self._gone:
            self._gone = True
            self._crowd.leave(self._address)

    def respond(self, status: int, lines: bytes, body: bytes) -> None:
        self.leave()
        self._caller.respond(status, lines, body)

    def start(self, status: int, lines: bytes, length: int | None, piece: bytes) -> None:
        self._caller.start(status, lines, length, piece)

    def write(self, piece: bytes) -> None:
        self._caller.write(piece)

    def end(self, piece: bytes) -> None:
        self.leave()
        self._caller.end(piece)

    def abort(self) -> None:
        self.leave()
        self._caller.abort()

    def switch(self, lines: bytes, bounds: SocketBounds, talk: Talk) -> None:
        switch(self._caller, lines, bounds, followed(talk, self.leave))

    def caller_gone(self) -> None:
        self.leave()
        if self._running is not None:
            self._running.caller_gone()

    def caller_paused(self) -> None:
        if self._running is not None:
            self._running.caller_paused()

    def caller_resumed(self) -> None:
        if self._running is not None:
            self._running.caller_resumed()

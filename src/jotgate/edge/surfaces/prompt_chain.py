"""The surface of the prompt-chaining API: which of its paths is whose, and what every answer says (`prompt-chain`)."""

from functools import partial
from typing import Final

from jotgate.core.calls import Request
from jotgate.core.faces import Face
from jotgate.core.operations import OPERATIONS
from jotgate.core.prompt_chain import PromptChainRules
from jotgate.edge.surfaces.cors import answer_preflight
from jotgate.edge.surfaces.face_health import answer_live, answer_ready
from jotgate.edge.surfaces.prompt_chain_pages import PageLines
from jotgate.edge.surfaces.switched import Talk, switch
from jotgate.errors import JotgateError, MethodRefused, NotReady
from jotgate.gateway.passage import ControlDoor
from jotgate.gateway.pipeline import Gateway
from jotgate.ports import Answer, Caller, Running
from jotgate.socket_ports import SocketBounds

_LIVE: Final = frozenset({b"/health/", b"/health"})
_READY: Final = b"/health/ready"
_FORWARDED: Final = frozenset(row.name for row in OPERATIONS if row.forwarded)
# `nosniff` stands in every answer of every listener.
_NO_PAGE: Final = b"X-Frame-Options: DENY\r\nX-XSS-Protection: 1; mode=block\r\n"
_HSTS: Final = b"Strict-Transport-Security: max-age=31536000\r\n"
_UNBUFFERED: Final = b"X-Accel-Buffering: no\r\n"


class PromptChainSurface:
    """Serves the face's listener (edge.http1.listener.Application); one is made for each snapshot.

    The request's `face` is set when it gets here.
    """

    def __init__(self, face: Face, gateway: Gateway, control: ControlDoor) -> None:  # noqa: ARG002 - as all surfaces
        rules = face.rules
        assert isinstance(rules, PromptChainRules)
        self._face = face
        self._gateway = gateway
        self._body_bytes_max = rules.body_bytes_max
        self._security = _NO_PAGE if rules.security_lines else b""
        self._hsts = _HSTS if rules.security_lines and not face.edge.hsts else b""
        self._pages = PageLines(rules.pages)

    def open(self, request: Request) -> Answer:
        """Decide who answers, from the head alone; the gateway authenticates what is the gateway's.

        Raises:
            JotgateError: nobody does; hand the error to `refuse`.
        """
        return partial(self._answer, request, self._find(request))

    def name(self, request: Request) -> str:
        """The id of a request that somebody else answers, as the gateway gives it."""
        return self._gateway.name(request)

    def refuse(self, request: Request, refusal: JotgateError, caller: Caller) -> None:
        """Tell the caller no."""
        self._gateway.refuse(request, refusal, self._heading(request, caller))

    def _find(self, request: Request) -> Answer:
        preflight = self._pages.of_preflight(request)
        if preflight is not None:
            request.request_id = self.name(request)
            return partial(answer_preflight, request, preflight)
        if request.path == _READY or request.path in _LIVE:
            return self._health(request)
        request.body_bytes_max = self._body_bytes_max
        answer = self._gateway.open(request)
        if self._face.missing and request.operation in _FORWARDED:
            return partial(self._refuse_unready, request)
        return answer

    def _health(self, request: Request) -> Answer:
        request.request_id = self.name(request)
        if request.method not in (b"GET", b"HEAD"):
            raise MethodRefused("GET, HEAD", "health is read with GET")
        request.body_bytes_max = 0
        if request.path == _READY:
            return partial(answer_ready, self._gateway, self._face, "ready", request)
        return partial(answer_live, self._face, "healthy", request)

    def _refuse_unready(self, request: Request, caller: Caller) -> None:
        """Say what the operator has not set; only whoever has a good token gets here."""
        self._gateway.refuse(request, NotReady("; ".join(self._face.missing)), caller)

    def _answer(self, request: Request, answer: Answer, caller: Caller) -> Running | None:
        return answer(self._heading(request, caller))

    def _heading(self, request: Request, caller: Caller) -> "_Heading":
        lines = self._security + self._pages.of_answer(request)
        # Only a trusted proxy's word of the caller's scheme gets here.
        if self._hsts and request.headers.get(b"x-forwarded-proto", b"").strip().lower() == b"https":
            lines += self._hsts
        return _Heading(caller, lines, self._gateway, request)


class _Heading:
    """A caller whose answers get the lines of this API, and how long they took (socket_ports.SocketCaller)."""

    def __init__(self, caller: Caller, lines: bytes, gateway: Gateway, request: Request) -> None:
        self._caller = caller
        self._lines = lines
        self._gateway = gateway
        self._request = request
        self.write = caller.write
        self.end = caller.end
        self.abort = caller.abort

    def respond(self, status: int, lines: bytes, body: bytes) -> None:
        self._caller.respond(status, self._timed(b"X-Response-Time") + lines, body)

    def start(self, status: int, lines: bytes, length: int | None, piece: bytes) -> None:
        if length is None:
            self._caller.start(status, self._timed(b"X-First-Byte-Time") + _UNBUFFERED + lines, length, piece)
        else:
            self._caller.start(status, self._timed(b"X-Response-Time") + lines, length, piece)

    def switch(self, lines: bytes, bounds: SocketBounds, talk: Talk) -> None:
        switch(self._caller, lines, bounds, talk)

    def _timed(self, name: bytes) -> bytes:
        """The lines, with a time in seconds."""
        return self._lines + b"%b: %.6f\r\n" % (name, self._gateway.age_s(self._request))

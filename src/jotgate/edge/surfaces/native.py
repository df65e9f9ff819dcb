"""The native surface: which paths are the gateway's, the control process's and health's.

Paths are compared byte for byte, as they were sent. What is not health's or control's is the gateway's, whose table of
operations is closed.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec
from msgspec import Struct

from jotgate import __version__
from jotgate.core.calls import Request
from jotgate.core.mcp_servers import METHODS as MCP_METHODS
from jotgate.core.mcp_servers import is_mcp
from jotgate.core.metadata import FORM_PATHS
from jotgate.core.operations import PATHS, find_methods
from jotgate.errors import AttemptsThrottled, JotgateError, MethodRefused
from jotgate.gateway.forms import FormDoor
from jotgate.gateway.headers import request_id_line
from jotgate.gateway.passage import ControlDoor
from jotgate.gateway.pipeline import Gateway
from jotgate.ports import Answer, Caller, Running

# Nobody is authenticated here before the body is read, and no request to control is long.
_CONTROL_BODY_BYTES: Final = 65_536
_HEALTH: Final = frozenset({b"/health", b"/health/live", b"/health/ready"})
_CONTROL: Final = (b"/.well-known/", b"/oauth/", b"/admin/")
_LINES: Final = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
_encode: Final = msgspec.json.Encoder().encode


class _Health(Struct, frozen=True, omit_defaults=True):
    status: str
    version: str = ""
    snapshot: int = 0
    reason: str = ""
    issuers_without_keys: tuple[str, ...] = ()


class NativeSurface:
    """Serves one listener (edge.http1.listener.Application)."""

    def __init__(self, gateway: Gateway, control: ControlDoor, forms: FormDoor) -> None:
        self._gateway = gateway
        self._control = control
        self._forms = forms

    def open(self, request: Request) -> Answer:
        """Decide who answers, from the head alone; the gateway authenticates what is the gateway's.

        Raises:
            JotgateError: nobody does; hand the error to `refuse`.
        """
        path = request.path
        if path in PATHS and request.method != b"OPTIONS":
            return self._gateway.open(request)  # As it mostly is.
        if path in _HEALTH:
            request.request_id = self.name(request)
            if request.method not in (b"GET", b"HEAD"):
                raise MethodRefused("GET", "health is read with GET")
            request.body_bytes_max = 0
            return partial(self._answer_health, request)
        if path.startswith(_CONTROL):
            request.request_id = self.name(request)
            request.body_bytes_max = _CONTROL_BODY_BYTES
            if path in FORM_PATHS and request.method == b"POST":
                return partial(self._ask_control, self._forms.run, request)
            return partial(self._ask_control, self._control.run, request)
        if request.method == b"OPTIONS":
            request.request_id = self.name(request)
            return partial(_answer_options, request, MCP_METHODS if is_mcp(path) else find_methods(path))
        return self._gateway.open(request)

    def name(self, request: Request) -> str:
        """The id of a request that somebody else answers, as the gateway gives it."""
        return self._gateway.name(request)

    def refuse(self, request: Request, refusal: JotgateError, caller: Caller) -> None:
        """Tell the caller no."""
        self._gateway.refuse(request, refusal, caller)

    def _ask_control(
        self, run: Callable[[Request, Caller], Running], request: Request, caller: Caller
    ) -> Running | None:
        """Hand a request to control, unless its address has failed there too often; what has no credential may go."""
        attempts = self._control.attempts
        if attempts.blocked and (request.method == b"POST" or b"authorization" in request.headers):
            try:
                attempts.require_client(request)
            except AttemptsThrottled as refusal:
                self.refuse(request, refusal, caller)
                return None
        return run(request, caller)

    def _answer_health(self, request: Request, caller: Caller) -> None:
        """Live: this process answers. Ready, and the summary: it may let calls through."""
        lines = request_id_line(request.request_id) + _LINES
        if request.path == b"/health/live":
            caller.respond(200, lines, _encode(_Health("ok")))
            return
        try:
            world = self._gateway.fresh_world()
        except JotgateError as fault:
            caller.respond(503, lines, _encode(_Health("unavailable", __version__, reason=fault.code)))
            return
        if request.path == b"/health/ready":
            caller.respond(200, lines, _encode(_Health("ok", issuers_without_keys=world.issuers_without_keys)))
        else:
            caller.respond(200, lines, _encode(_Health("ok", __version__, world.snapshot.version)))


def _answer_options(request: Request, methods: str, caller: Caller) -> None:
    """RFC 9110 s9.3.7: what may be asked of this path, which is no secret."""
    lines = request_id_line(request.request_id)
    caller.respond(204, lines + b"Allow: %b\r\nCache-Control: no-store\r\n" % methods.encode("ascii"), b"")

"""The surface of the API gateway: which of its paths is whose (preset `api-gateway`)."""

from functools import partial
from typing import Final

from jotgate.core.calls import Request
from jotgate.core.faces import Face
from jotgate.edge.surfaces.face_health import answer_live
from jotgate.errors import JotgateError, MethodRefused
from jotgate.gateway.passage import ControlDoor
from jotgate.gateway.pipeline import Gateway
from jotgate.ports import Answer, Caller

_HEALTH: Final = b"/health"
_CONTROL: Final = (b"/api/auth/", b"/.well-known/")
# Nobody is authenticated here before the body is read, and no request to control is long.
_CONTROL_BODY_BYTES: Final = 65_536


class ApiGatewaySurface:
    """Serves the face's listener (edge.http1.listener.Application); one is made for each snapshot.

    The request's `face` is set when it gets here; control is told of it (`control.faces`).
    """

    def __init__(self, face: Face, gateway: Gateway, control: ControlDoor) -> None:
        self._face = face
        self._gateway = gateway
        self._control = control

    def open(self, request: Request) -> Answer:
        """Decide who answers, from the head alone; the gateway authenticates what is the gateway's.

        Raises:
            JotgateError: nobody does; hand the error to `refuse`.
        """
        if request.path == _HEALTH:
            request.request_id = self.name(request)
            if request.method not in (b"GET", b"HEAD"):
                raise MethodRefused("GET", "health is read with GET")
            request.body_bytes_max = 0
            return partial(answer_live, self._face, "ok", request)
        if request.path.startswith(_CONTROL):
            request.request_id = self.name(request)
            request.body_bytes_max = _CONTROL_BODY_BYTES
            return partial(self._control.run, request)
        return self._gateway.open(request)

    def name(self, request: Request) -> str:
        """The id of a request that somebody else answers, as the gateway gives it."""
        return self._gateway.name(request)

    def refuse(self, request: Request, refusal: JotgateError, caller: Caller) -> None:
        """Tell the caller no."""
        self._gateway.refuse(request, refusal, caller)

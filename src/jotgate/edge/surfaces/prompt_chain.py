"""The surface of the prompt-chaining API: which of its paths is whose (preset `prompt-chain`)."""

from functools import partial
from typing import Final

from jotgate.core.calls import Request
from jotgate.core.faces import Face
from jotgate.edge.surfaces.face_health import answer_live, answer_ready
from jotgate.errors import JotgateError, MethodRefused
from jotgate.gateway.passage import ControlDoor
from jotgate.gateway.pipeline import Gateway
from jotgate.ports import Answer, Caller

_LIVE: Final = b"/health/"
_READY: Final = b"/health/ready"


class PromptChainSurface:
    """Serves the face's listener (edge.http1.listener.Application); one is made for each snapshot.

    The request's `face` is set when it gets here.
    """

    def __init__(self, face: Face, gateway: Gateway, control: ControlDoor) -> None:  # noqa: ARG002 - as all surfaces
        self._face = face
        self._gateway = gateway

    def open(self, request: Request) -> Answer:
        """Decide who answers, from the head alone; the gateway authenticates what is the gateway's.

        Raises:
            JotgateError: nobody does; hand the error to `refuse`.
        """
        if request.path not in (_LIVE, _READY):
            return self._gateway.open(request)
        request.request_id = self.name(request)
        if request.method not in (b"GET", b"HEAD"):
            raise MethodRefused("GET", "health is read with GET")
        request.body_bytes_max = 0
        if request.path == _READY:
            return partial(answer_ready, self._gateway, self._face, "ready", request)
        return partial(answer_live, self._face, "healthy", request)

    def name(self, request: Request) -> str:
        """The id of a request that somebody else answers, as the gateway gives it."""
        return self._gateway.name(request)

    def refuse(self, request: Request, refusal: JotgateError, caller: Caller) -> None:
        """Tell the caller no."""
        self._gateway.refuse(request, refusal, caller)

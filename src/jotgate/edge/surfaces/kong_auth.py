"""The surface of the Kong auth service: which of its paths is whose, and what anybody may ask (preset `kong-auth`)."""

from functools import partial
from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.calls import Request
from jotgate.core.faces import Face
from jotgate.core.kong_auth import KongAuthRules
from jotgate.core.operations import KONG_OPERATIONS
from jotgate.edge.surfaces.cors import Headed, answer_preflight
from jotgate.edge.surfaces.face_health import answer_live
from jotgate.edge.surfaces.prompt_chain_pages import PageLines
from jotgate.errors import JotgateError, MethodRefused, NotReady, UnknownOperation
from jotgate.gateway.headers import request_id_line
from jotgate.gateway.passage import ControlDoor
from jotgate.gateway.pipeline import Gateway
from jotgate.gateway.plain_answers import FaceOperation
from jotgate.ports import Answer, Caller, Running

_ROOT: Final = b"/"
_HEALTH: Final = b"/health"
_FIGURES: Final = frozenset({b"/metrics", b"/metrics/metrics"})
_OLDER: Final = b"/kong/"
_OPERATIONS: Final = tuple(FaceOperation(one) for one in KONG_OPERATIONS)
"""What this face has. Control answers all of it, and is told who asks."""
_PATHS: Final = frozenset(one.path for one in KONG_OPERATIONS if not one.path.endswith(b"/"))
_MINE: Final = b"/my-tokens/"
# No request to control is long.
_CONTROL_BODY_BYTES: Final = 16_384
_LINES: Final = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
_encode: Final = msgspec.json.Encoder().encode


class _Running(Struct, frozen=True):
    message: str = "Kong Auth Service is running"


class KongAuthSurface:
    """Serves the face's listener (edge.http1.listener.Application); one is made for each snapshot.

    The request's `face` is set when it gets here; control is told of it.
    """

    def __init__(self, face: Face, gateway: Gateway, control: ControlDoor) -> None:
        rules = face.rules
        assert isinstance(rules, KongAuthRules)
        self._face = face
        self._gateway = gateway
        self._control = control
        self._pages = PageLines(rules.pages)
        gateway.serve(face.name, _OPERATIONS)

    def open(self, request: Request) -> Answer:
        """Decide who answers, from the head alone; the gateway authenticates what is the gateway's.

        Raises:
            JotgateError: nobody does; hand the error to `refuse`.
        """
        lines = self._pages.of_answer(request)
        answer = self._find(request)
        return answer if not lines else partial(_answer_page, answer, lines)

    def name(self, request: Request) -> str:
        """The id of a request that somebody else answers, as the gateway gives it."""
        return self._gateway.name(request)

    def refuse(self, request: Request, refusal: JotgateError, caller: Caller) -> None:
        """Tell the caller no."""
        lines = self._pages.of_answer(request)
        self._gateway.refuse(request, refusal, Headed(caller, lines) if lines else caller)

    def _find(self, request: Request) -> Answer:
        preflight = self._pages.of_preflight(request)
        if preflight is not None:
            request.request_id = self.name(request)
            return partial(answer_preflight, request, preflight)
        path = request.path
        if path in _FIGURES or path in (_HEALTH, _ROOT):
            return self._tell_anybody(request)
        if path.startswith(_OLDER):
            raise UnknownOperation(
                "what stands under /kong/ let every user rewrite the gateway, and is not served",
                hint="The operator changes Kong: jotgate kong apply",
            )
        if path == _MINE or (path not in _PATHS and not path.startswith(_MINE)):
            raise UnknownOperation("there is nothing at this path", hint="docs/systems/kong-auth.md lists the paths")
        if self._face.missing:
            raise NotReady("; ".join(self._face.missing), hint="The operator sets it, and nothing is restarted")
        request.body_bytes_max = _CONTROL_BODY_BYTES
        return self._gateway.open(request)

    def _tell_anybody(self, request: Request) -> Answer:
        """What is told without a token: that it runs, what is missing, and figures that name nobody."""
        request.request_id = self.name(request)
        if request.method not in (b"GET", b"HEAD"):
            raise MethodRefused("GET, HEAD", "this path takes GET only")
        request.body_bytes_max = 0
        if request.path in _FIGURES:
            return partial(self._control.run, request)
        if request.path == _HEALTH:
            return partial(answer_live, self._face, "healthy", request)
        return partial(_answer_root, request)


def _answer_root(request: Request, caller: Caller) -> None:
    caller.respond(200, request_id_line(request.request_id) + _LINES, _encode(_Running()))


def _answer_page(answer: Answer, lines: bytes, caller: Caller) -> Running | None:
    return answer(Headed(caller, lines))

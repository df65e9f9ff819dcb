"""The surface of the API gateway: which of its paths is whose (preset `api-gateway`)."""

from functools import partial
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from jotgate.core.calls import Request
from jotgate.core.faces import Face
from jotgate.core.operations import Operation
from jotgate.edge.surfaces.face_health import answer_live
from jotgate.errors import AttemptsThrottled, JotgateError, MethodRefused, UnknownOperation
from jotgate.gateway.credentials import find_token
from jotgate.gateway.passage import ControlDoor, Passage
from jotgate.gateway.pipeline import Gateway
from jotgate.gateway.plain_answers import ANY_METHOD, FaceOperation, Opened, Reply
from jotgate.jose.jwt import peek_unverified
from jotgate.ports import Answer, Caller, Running

PROTECTED: Final = b"/api/protected"
DATA: Final = b"/api/protected/data"
_HEALTH: Final = b"/health"
_LOGIN: Final = b"/api/auth/login"
_REFRESH: Final = b"/api/auth/refresh"
_OF_CONTROL: Final = frozenset({_LOGIN, _REFRESH, b"/.well-known/jwks.json"})
_UNAUTHENTICATED: Final = 401
# Nobody is authenticated here before the body is read, and no request to control is long.
_CONTROL_BODY_BYTES: Final = 65_536
_NAME: Final = "protected"
_encode: Final = msgspec.json.Encoder().encode


class _Granted(Struct, frozen=True):
    message: str
    user: str
    scopes: list[object] | UnsetType = UNSET


def _tell_data(opened: Opened) -> Reply:
    """What the document's example answers: whom the token speaks for, and its roles, in the order that they have."""
    token = find_token(opened.request, opened.world.credentials)
    roles = peek_unverified(token)[1].get("roles")  # It was verified, and the principal has them in no order.
    scopes = roles if isinstance(roles, list) else UNSET
    return Reply(200, _encode(_Granted("Access granted", opened.principal.subject, scopes)))


def _find_nothing(_opened: Opened) -> Reply:
    """Whoever has a good token is told that there is nothing; nobody else is told that."""
    raise UnknownOperation("there is nothing at this path", hint="GET /api/protected/data says whom a token speaks for")


_OPERATIONS: Final = (
    FaceOperation(Operation(_NAME, b"GET", DATA, False), _tell_data),
    FaceOperation(Operation(_NAME, ANY_METHOD, PROTECTED, False), _find_nothing),
    FaceOperation(Operation(_NAME, ANY_METHOD, PROTECTED + b"/", False), _find_nothing),
)
"""The guard: what stands below the last of these is for callers with a good token, whatever it is."""


class ApiGatewaySurface:
    """Serves the face's listener (edge.http1.listener.Application); one is made for each snapshot.

    The request's `face` is set when it gets here; control is told of it.
    """

    def __init__(self, face: Face, gateway: Gateway, control: ControlDoor) -> None:
        self._face = face
        self._gateway = gateway
        self._control = control
        gateway.serve(face.name, _OPERATIONS)

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
        if request.path in _OF_CONTROL:
            request.request_id = self.name(request)
            request.body_bytes_max = _CONTROL_BODY_BYTES
            return partial(self._ask_control, request)
        return self._gateway.open(request)

    def name(self, request: Request) -> str:
        """The id of a request that somebody else answers, as the gateway gives it."""
        return self._gateway.name(request)

    def refuse(self, request: Request, refusal: JotgateError, caller: Caller) -> None:
        """Tell the caller no."""
        self._gateway.refuse(request, refusal, caller)

    def _ask_control(self, request: Request, caller: Caller) -> Running | None:
        """Hand a request to control, unless its address has failed there too often."""
        attempts = self._control.attempts
        if attempts.blocked and request.method == b"POST":
            try:
                attempts.require_client(request)
            except AttemptsThrottled as refusal:
                self.refuse(request, refusal, caller)
                return None
        return self._control.run(request, caller, partial(self._note, request))

    def _note(self, request: Request, passage: Passage) -> None:
        """Take down what control found: at a login whether a client proved itself, else whether a token was a guess."""
        if request.path == _LOGIN:
            self._control.attempts.answered(request, passage.status, b"")
        elif request.path == _REFRESH and passage.status == _UNAUTHENTICATED and not passage.known:
            self._control.attempts.failed(request.peer)

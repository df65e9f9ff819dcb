"""The surface of the Coze proxy: which of its paths is whose, and from where it may be asked (preset `coze-proxy`)."""

import re
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from jotgate.core.calls import Request
from jotgate.core.coze_proxy import LOCAL, CozeProxyRules
from jotgate.core.faces import Face
from jotgate.core.listen_texts import is_loopback
from jotgate.core.operations import CREDENTIALS, Operation
from jotgate.edge.surfaces.cors import Headed, answer_preflight
from jotgate.edge.surfaces.prompt_chain_pages import PageLines
from jotgate.errors import JotgateError, MethodRefused, NotReady, OriginRefused, UnknownOperation
from jotgate.gateway.admission import Shown
from jotgate.gateway.passage import ControlDoor
from jotgate.gateway.pipeline import Gateway
from jotgate.gateway.plain_answers import ANY_METHOD, FaceOperation, Opened
from jotgate.ports import Answer, Caller, Running

_HEALTH: Final = b"/health"
_CHAT: Final = b"/v1/chat/completions"
_MODELS: Final = b"/v1/models"
_ONE_MODEL: Final = b"/v1/models/"
_CONVERSATIONS: Final = b"/v1/conversations"
_WORKFLOWS: Final = b"/v1/workflows/sessions"
_JWT: Final = frozenset({b"/get_jwt", b"/refresh_jwt", b"/clear_jwt"})
_SERVED: Final = _JWT | {_CHAT, _MODELS, _CONVERSATIONS, _WORKFLOWS}
# What stands below: one name, as it was sent, in which an encoded slash is none; of a conversation its history too.
_BELOW: Final = re.compile(rb"/v1/(?:models/.*|conversations/[^/]+(?:/history)?|workflows/sessions/[^/]+)", re.DOTALL)
# No request to control is long.
_CONTROL_BODY_BYTES: Final = 65_536
_TARGET_MAX: Final = 256
_NO_STORE: Final = b"Cache-Control: no-store\r\n"
_OWNED_BY: Final = "coze-proxy"
_encode: Final = msgspec.json.Encoder().encode


class _Model(Struct, frozen=True):
    id: str
    created: int
    root: str
    object: str = "model"
    owned_by: str = _OWNED_BY
    permission: tuple[()] = ()
    parent: None = None


class _ModelList(Struct, frozen=True):
    data: list[_Model]
    object: str = "list"


def _list_models(shown: Shown, opened: Opened) -> bytes:
    rows = [_Model(name, int(opened.now_s), name) for name in shown.aliases]
    return _encode(rows[0] if shown.named else _ModelList(rows))


_OPERATIONS: Final = (
    FaceOperation(Operation(CREDENTIALS, b"GET", b"/get_jwt", False)),
    FaceOperation(Operation(CREDENTIALS, b"POST", b"/refresh_jwt", False)),
    FaceOperation(Operation(CREDENTIALS, b"DELETE", b"/clear_jwt", False)),
    FaceOperation(Operation("health", b"GET", _HEALTH, False)),
    FaceOperation(Operation("models", b"GET", _MODELS, False), list_models=_list_models),
    FaceOperation(Operation("models", b"GET", _ONE_MODEL, False), list_models=_list_models),
    FaceOperation(Operation("conversations", b"GET", _CONVERSATIONS, False)),
    FaceOperation(Operation("conversations", ANY_METHOD, _CONVERSATIONS + b"/", False)),
    FaceOperation(Operation("workflows", b"GET", _WORKFLOWS, False)),
    FaceOperation(Operation("workflows", ANY_METHOD, _WORKFLOWS + b"/", False)),
)
"""What this face has beside chat completions. Control answers all but the list of models, and is told who asks."""


class CozeProxySurface:
    """Serves the face's listener (edge.http1.listener.Application); one is made for each snapshot.

    The request's `face` is set when it gets here; control is told of it.
    """

    def __init__(self, face: Face, gateway: Gateway, control: ControlDoor) -> None:
        rules = face.rules
        assert isinstance(rules, CozeProxyRules)
        self._face = face
        self._open_local = rules.open_local
        self._origins = frozenset(origin.encode("ascii") for origin in rules.pages.origins)
        self._gateway = gateway
        self._control = control
        self._pages = PageLines(rules.pages)
        gateway.serve(face.name, _OPERATIONS)

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
        self._gateway.refuse(request, refusal, _Heading(caller, self._pages.of_answer(request)))

    def _find(self, request: Request) -> Answer:
        if self._open_local:
            self._require_here(request)
        preflight = self._pages.of_preflight(request)
        if preflight is not None:
            request.request_id = self.name(request)
            return partial(answer_preflight, request, preflight)
        path = request.path
        if path == _HEALTH and (self._open_local or b"authorization" not in request.headers):
            return self._health(request)
        if path not in _SERVED and path != _HEALTH and _BELOW.fullmatch(path) is None:
            raise UnknownOperation(f"Unknown endpoint: {_shown(request)}")
        if path != _CHAT:
            request.body_bytes_max = _CONTROL_BODY_BYTES
        answer = self._gateway.open(request)
        if self._face.missing and path == _CHAT:
            return partial(self._refuse_unready, request)
        return answer

    def _require_here(self, request: Request) -> None:
        """Refuse what is not of this machine, and what a web page of elsewhere sends: a browser lets any page reach us.

        A proxy on this machine would make everybody a caller of this machine: what came through one is refused.

        Raises:
            OriginRefused: it is of another machine, or came through a proxy; it calls us by another name than this
                machine's, or comes from a page that is not listed.
        """
        headers = request.headers
        if request.forwarded or b"via" in headers or not is_loopback(request.peer):
            raise OriginRefused(
                "this listener is open to its own machine alone, and the request is of another one, or a proxy passed "
                "it on",
                hint="Start jotgate without --open-local, and give callers tokens, where a proxy is before it",
            )
        host = headers.get(b"host", b"")
        if not is_loopback(_host_of(host)):
            raise OriginRefused(
                "this listener is open to its own machine alone, and the request's Host is no name of that",
                hint="Call it as http://localhost or http://127.0.0.1, or start jotgate without --open-local",
            )
        origin = headers.get(b"origin")
        if origin is not None and (origin in self._origins or origin.partition(b"://")[2] == host):
            return
        if origin is not None or headers.get(b"sec-fetch-site") == b"cross-site":
            raise OriginRefused(
                "this listener is open to its own machine alone, and the request is of a web page of elsewhere",
                hint="List the page's origin in ALLOWED_ORIGINS",
            )

    def _health(self, request: Request) -> Answer:
        """What it says of itself to everybody: how the own session stands is told to who comes with a token alone."""
        request.request_id = self.name(request)
        if request.method not in (b"GET", b"HEAD"):
            raise MethodRefused("GET", "health is read with GET")
        request.body_bytes_max = 0
        return partial(self._ask_control, request)

    def _ask_control(self, request: Request, caller: Caller) -> Running | None:
        return self._control.run(request, caller, whom=LOCAL if self._open_local else None)

    def _refuse_unready(self, request: Request, caller: Caller) -> None:
        """Say what the operator has not set; only whoever may call gets here."""
        self._gateway.refuse(request, NotReady("; ".join(self._face.missing)), caller)

    def _answer(self, request: Request, answer: Answer, caller: Caller) -> Running | None:
        return answer(_Heading(caller, self._pages.of_answer(request)))


class _Heading(Headed):
    """A caller whose answers get the lines for web pages, if there are any, and may not be kept.

    What an upstream says of keeping its answer is passed on to nobody: who else may read it is not its to know.
    """

    def respond(self, status: int, lines: bytes, body: bytes) -> None:
        super().respond(status, _not_kept(lines), body)

    def start(self, status: int, lines: bytes, length: int | None, piece: bytes) -> None:
        super().start(status, _not_kept(lines), length, piece)


def _not_kept(lines: bytes) -> bytes:
    """Header lines that say that the answer may not be kept, in place of what they say of that."""
    if _NO_STORE in lines:
        return lines
    rest = (line for line in lines.splitlines(keepends=True) if not line.lower().startswith(b"cache-control:"))
    return b"".join(rest) + _NO_STORE


def _host_of(field: bytes) -> str:
    """The host of a field Host, without its port and brackets; empty where it is none."""
    try:
        return urlsplit(f"//{field.decode('ascii')}").hostname or ""
    except ValueError:
        return ""


def _shown(request: Request) -> str:
    """Method and target as they were sent, cut and in printable ASCII."""
    target = request.path + (b"?" + request.query if request.query else b"")
    return (request.method + b" " + target[:_TARGET_MAX]).decode("ascii", "backslashreplace")

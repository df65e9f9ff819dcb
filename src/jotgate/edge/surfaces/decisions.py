"""The decision service over HTTP: what Caddy, Traefik, nginx and Envoy ask before they let a request pass."""

from functools import partial
from typing import Final

from jotgate.core.calls import Request
from jotgate.core.decision_questions import EXT_AUTHZ, FORWARD_AUTH, NGINX, Style, read_question, style_of
from jotgate.core.decisions import STATUS_FIELD, Asked
from jotgate.core.edge import CertificateField
from jotgate.edge.certificate_fields import read_certificate
from jotgate.edge.http1.listener import Application
from jotgate.edge.proxies import Proxies
from jotgate.errors import JotgateError, UnknownOperation
from jotgate.gateway.decisions import DecisionDesk
from jotgate.ports import Answer, Caller, Running

_STEMS: Final = (FORWARD_AUTH, EXT_AUTHZ)
_FORBIDDEN: Final = 403
_KNOWN_TO_NGINX: Final = frozenset({401, _FORBIDDEN})
_STATUS_LINE: Final = STATUS_FIELD.encode("ascii") + b": %d\r\n"
_REFUSED: Final = 300


class DecisionSurface:
    """Serves what another application serves, and decisions to `proxies` (edge.http1.listener.Application)."""

    def __init__(
        self, inner: Application, *, desk: DecisionDesk, proxies: Proxies, certificate_field: CertificateField
    ) -> None:
        self._inner = inner
        self._desk = desk
        self._proxies = proxies
        self._certificate_field: CertificateField = certificate_field

    def open(self, request: Request) -> Answer:
        """Have what a proxy asks decided; leave the rest to the inner application.

        Raises:
            JotgateError: who asks is none of the proxies, or does not say what about; or as the inner application.
        """
        if not request.path.startswith(_STEMS):
            return self._inner.open(request)
        style = style_of(request.path, request.query)
        if style is None:
            return self._inner.open(request)
        if not self._proxies.trusts(request.peer):
            raise UnknownOperation(
                "this address may not ask for decisions", hint="decisions.proxies lists those that may"
            )
        request.body_bytes_max = 0  # The body is no part of the question.
        answer = self._ask(style, request)
        return partial(_answer_nginx, answer) if style == "nginx" else answer

    def refuse(self, request: Request, refusal: JotgateError, caller: Caller) -> None:
        """Tell the caller no."""
        if request.path == FORWARD_AUTH and request.query == NGINX:
            caller = _NginxCaller(caller)
        self._inner.refuse(request, refusal, caller)

    def _ask(self, style: Style, request: Request) -> Answer:
        headers = request.headers
        question = read_question(style, request.method, (request.path, request.query), headers)
        field = self._certificate_field
        asked = Asked(
            method=question.method,
            path=question.path,
            query=question.query,
            headers=headers,
            address=self._proxies.find_caller(question.chain, request.peer),
            host=question.host,
            certificate=read_certificate(headers, field) if field else b"",
        )
        return self._desk.ask(asked, request.begun_s)


def _answer_nginx(answer: Answer, caller: Caller) -> Running | None:
    return answer(_NginxCaller(caller))


class _NginxCaller:
    """Tells nginx each refusal with a status that it passes on, and says in a field which it is (ports.Caller).

    Of all others than 401 and 403 nginx makes a 500.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def respond(self, status: int, lines: bytes, body: bytes) -> None:
        if status >= _REFUSED:
            lines += _STATUS_LINE % status
            status = status if status in _KNOWN_TO_NGINX else _FORBIDDEN
        self._caller.respond(status, lines, body)

    def start(self, status: int, lines: bytes, length: int | None, piece: bytes) -> None:
        self._caller.start(status, lines, length, piece)

    def write(self, piece: bytes) -> None:
        self._caller.write(piece)

    def end(self, piece: bytes) -> None:
        self._caller.end(piece)

    def abort(self) -> None:
        self._caller.abort()

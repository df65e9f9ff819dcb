"""The OAuth endpoints over HTTP, and the documents that describe them; what is answered is decided elsewhere."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jotgate.control.answers import problem_response
from jotgate.control.senders import sender_of
from jotgate.core.forms import FormAnswered, FormAsked
from jotgate.core.metadata import INTROSPECTION_PATH, LOGOUT_PATH, REVOCATION_PATH, TOKEN_PATH
from jotgate.core.oauth_form import Form, read_form
from jotgate.core.oauth_problems import render_oauth
from jotgate.core.problems import Problem
from jotgate.errors import EncodingRefused, OAuthRefused, RequestError, Unavailable
from jotgate.services.introspection import Introspection
from jotgate.services.logout import BackChannelLogout
from jotgate.services.token_returns import TokenReturns
from jotgate.services.token_service import TokenService

METADATA_AGE_S: Final = 300
_PLAIN: Final = "Send the form as it is, without Content-Encoding"
_LINES: Final = b"Cache-Control: no-store\r\n"
_JSON_LINES: Final = _LINES + b"Content-Type: application/json\r\n"
_encode: Final = msgspec.json.Encoder().encode


class OAuthDesk:
    """Answers the endpoints that take forms. Immutable; `documents` are the descriptions of then, as JSON by path.

    `check_fresh` raises ControlStale while what was revoked is not known: nothing is granted or vouched for then.
    """

    def __init__(
        self,
        *,
        tokens: TokenService,
        returns: TokenReturns,
        introspection: Introspection,
        logout: BackChannelLogout,
        check_fresh: Callable[[], None],
        documents: Callable[[], Mapping[str, bytes]],
    ) -> None:
        self.documents: Final = documents

        async def token(asked: FormAsked) -> bytes:
            try:
                form = _read(asked)
            except OAuthRefused as refusal:
                tokens.unread(refusal, asked.sender)
                raise
            check_fresh()
            return _encode(await tokens.answer(form, asked.sender))

        async def revoke(asked: FormAsked) -> bytes:
            await returns.answer(_read(asked), asked.sender)
            return b""

        async def introspect(asked: FormAsked) -> bytes:
            check_fresh()
            return _encode(await introspection.answer(_read(asked), asked.sender))

        async def log_out(asked: FormAsked) -> bytes:
            await logout.answer(_read(asked), asked.sender)
            return b""

        self.asks: Final[Mapping[str, Ask]] = {
            TOKEN_PATH: token,
            REVOCATION_PATH: revoke,
            INTROSPECTION_PATH: introspect,
            LOGOUT_PATH: log_out,
        }

    async def answer(self, asked: FormAsked) -> FormAnswered:
        """The answer to a form, whatever is wrong with it. A fault of jotgate's own is raised."""
        try:
            body = await self.asks[asked.path](asked)
        except (OAuthRefused, RequestError, Unavailable) as error:  # All else is a fault of ours, and says where.
            problem = render_oauth(error)
            return FormAnswered(asked.number, problem.status, problem.lines, problem.body)
        return FormAnswered(asked.number, 200, _JSON_LINES if body else _LINES, body)


Ask = Callable[[FormAsked], Awaitable[bytes]]
"""Answers a form with a body."""


def _read(asked: FormAsked) -> Form:
    return read_form(asked.body, asked.content_type, asked.query)


def oauth_routes(desk: OAuthDesk) -> list[Route]:
    """The routes of the public application."""
    return [
        *(_post(path, desk) for path in desk.asks),
        *(_document(path, desk) for path in desk.documents()),
        _further_document(desk),
    ]


def _post(path: str, desk: OAuthDesk) -> Route:
    async def answer(request: Request) -> Response:
        headers = request.headers
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            return problem_response(render_oauth(EncodingRefused("the form has a Content-Encoding", hint=_PLAIN)))
        asked = FormAsked(
            0,
            path,
            await request.body(),
            headers.get("content-type", ""),
            request.scope.get("query_string", b""),
            sender_of(request),
        )
        answered = await desk.answer(asked)
        return problem_response(Problem(answered.status, answered.lines, answered.body))

    return Route(path, answer, methods=["POST"])


def _document(path: str, desk: OAuthDesk) -> Route:
    async def answer(request: Request) -> Response:
        return _describe(desk.documents().get(path))

    return Route(path, answer, methods=["GET"])


def _further_document(desk: OAuthDesk) -> Route:
    """Those of resources that came with settings which were read later."""

    async def answer(request: Request) -> Response:
        return _describe(desk.documents().get(request.scope["path"]))

    return Route("/.well-known/oauth-protected-resource/{resource:path}", answer, methods=["GET"])


def _describe(body: bytes | None) -> Response:
    if body is None:
        raise HTTPException(404)
    headers = {"Cache-Control": f"public, max-age={METADATA_AGE_S}"}
    return Response(body, media_type="application/json", headers=headers)

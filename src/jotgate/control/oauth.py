"""The OAuth endpoints over HTTP, and the documents that describe them; what is answered is decided elsewhere."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jotgate.control.answers import problem_response
from jotgate.core.metadata import INTROSPECTION_PATH, REVOCATION_PATH, TOKEN_PATH
from jotgate.core.oauth_form import Form, read_form
from jotgate.core.oauth_problems import render_oauth
from jotgate.errors import OAuthRefused, RequestError, Unavailable
from jotgate.services.introspection import Introspection
from jotgate.services.token_returns import TokenReturns
from jotgate.services.token_service import TokenService

METADATA_AGE_S: Final = 300
_PEER: Final = "x-jotgate-peer"


class OAuthDesk(Struct, frozen=True):
    """Who answers what; `documents` are the descriptions as JSON by their paths."""

    tokens: TokenService
    returns: TokenReturns
    introspection: Introspection
    documents: Mapping[str, bytes]


Ask = Callable[[Form, tuple[str, ...], str], Awaitable[bytes]]
"""Answers the form of a request, its Authorization fields and the address that it comes from, with a body."""


def oauth_routes(desk: OAuthDesk) -> list[Route]:
    """The routes of the public application."""

    async def token(form: Form, authorization: tuple[str, ...], peer: str) -> bytes:
        return msgspec.json.encode(await desk.tokens.answer(form, authorization, peer))

    async def revoke(form: Form, authorization: tuple[str, ...], peer: str) -> bytes:
        await desk.returns.answer(form, authorization, peer)
        return b""

    async def introspect(form: Form, authorization: tuple[str, ...], peer: str) -> bytes:
        return msgspec.json.encode(await desk.introspection.answer(form, authorization, peer))

    return [
        _post(TOKEN_PATH, token),
        _post(REVOCATION_PATH, revoke),
        _post(INTROSPECTION_PATH, introspect),
        *(_document(path, body) for path, body in desk.documents.items()),
    ]


def _post(path: str, ask: Ask) -> Route:
    async def answer(request: Request) -> Response:
        try:
            form = read_form(
                await request.body(),
                request.headers.get("content-type", ""),
                request.scope.get("query_string", b""),
            )
            body = await ask(form, tuple(request.headers.getlist("authorization")), request.headers.get(_PEER, ""))
        except (OAuthRefused, RequestError, Unavailable) as error:  # All else is a fault of ours, and says where.
            return problem_response(render_oauth(error))
        return Response(body, headers={"Cache-Control": "no-store"}, media_type="application/json" if body else None)

    return Route(path, answer, methods=["POST"])


def _document(path: str, body: bytes) -> Route:
    async def answer(request: Request) -> Response:
        headers = {"Cache-Control": f"public, max-age={METADATA_AGE_S}"}
        return Response(body, media_type="application/json", headers=headers)

    return Route(path, answer, methods=["GET"])

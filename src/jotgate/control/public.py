"""What control answers through the edge, on the native listener or for a face: a key set, and routes that it is given.

Any other path is refused, in the dialect that belongs to it.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from jotgate.control.answers import problem_response
from jotgate.core.dialects import render_at
from jotgate.core.key_set import KeySetDocument, is_fresh
from jotgate.errors import InternalError, JotgateError, MethodRefused, UnknownOperation

_JWKS_TYPE: Final = "application/jwk-set+json"


def build_public(key_set: Callable[[], KeySetDocument], *routes: BaseRoute, face: str = "") -> Starlette:
    """The application of the native listener, or of a face. `key_set` is what verifies its tokens at that moment."""

    async def serve_keys(request: Request) -> Response:
        found = key_set()
        headers = {"Cache-Control": f"public, max-age={found.max_age_s}", "ETag": found.etag}
        if is_fresh(request.headers.get("if-none-match", ""), found.etag):
            return Response(status_code=304, headers=headers)
        return Response(found.body, media_type=_JWKS_TYPE, headers=headers)

    application = Starlette(
        routes=[Route("/.well-known/jwks.json", serve_keys, methods=["GET"]), *routes],
        exception_handlers={HTTPException: partial(_refuse, face), Exception: partial(_fail, face)},
    )
    application.router.redirect_slashes = False  # A redirect would repeat the Host that the caller chose.
    return application


async def _refuse(face: str, request: Request, exception: Exception) -> Response:
    refusal: JotgateError = UnknownOperation("this path is not one that jotgate serves")
    if isinstance(exception, HTTPException) and exception.status_code == MethodRefused.status:
        taken = sorted((exception.headers or {}).get("Allow", "GET").split(", "))
        named = " and ".join(method for method in taken if method != "HEAD")
        refusal = MethodRefused(", ".join(taken), f"this path takes {named} only")
    return _tell(request, refusal, face)


async def _fail(face: str, request: Request, exception: Exception) -> Response:
    return _tell(request, InternalError("jotgate failed to answer this request"), face)


def _tell(request: Request, refusal: JotgateError, face: str) -> Response:
    """The refusal in the dialect of its path, with the request's ID where that dialect says it."""
    path, accept = str(request.scope["path"]).encode(), request.headers.get("accept", "").encode("latin-1")
    request_id = request.headers.get("x-request-id", "")
    return problem_response(render_at(path, refusal, request_id, accept=accept, face=face))

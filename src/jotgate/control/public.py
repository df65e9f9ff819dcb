"""What control answers through the edge: the issuer's key set, and routes that it is given.

Any other path is refused in the native form.
"""

from collections.abc import Callable
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from jotgate.control.answers import problem_response
from jotgate.core.key_set import KeySetDocument, is_fresh
from jotgate.core.problems import render
from jotgate.errors import InternalError, MethodRefused, UnknownOperation

_JWKS_TYPE: Final = "application/jwk-set+json"


def build_public(key_set: Callable[[], KeySetDocument], *routes: BaseRoute) -> Starlette:
    """The application. `key_set` is what verifies this issuer's tokens at that moment."""

    async def serve_keys(request: Request) -> Response:
        found = key_set()
        headers = {"Cache-Control": f"public, max-age={found.max_age_s}", "ETag": found.etag}
        if is_fresh(request.headers.get("if-none-match", ""), found.etag):
            return Response(status_code=304, headers=headers)
        return Response(found.body, media_type=_JWKS_TYPE, headers=headers)

    application = Starlette(
        routes=[Route("/.well-known/jwks.json", serve_keys, methods=["GET"]), *routes],
        exception_handlers={HTTPException: _refuse, Exception: _fail},
    )
    application.router.redirect_slashes = False  # A redirect would repeat the Host that the caller chose.
    return application


async def _refuse(request: Request, exception: Exception) -> Response:
    if isinstance(exception, HTTPException) and exception.status_code == MethodRefused.status:
        allowed = (exception.headers or {}).get("Allow", "GET")
        if "POST" in allowed:
            return problem_response(render(MethodRefused("POST", "this path takes POST only")))
        return problem_response(render(MethodRefused("GET, HEAD", "this path takes GET only")))
    return problem_response(render(UnknownOperation("this path is not one that jotgate serves")))


async def _fail(request: Request, exception: Exception) -> Response:
    return problem_response(render(InternalError("jotgate failed to answer this request")))

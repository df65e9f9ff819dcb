"""What control answers through the edge: the issuer's key set, and routes that it is given.

Any other path is refused in the native form.
"""

from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jotgate.core.problems import render
from jotgate.errors import InternalError, JotgateError, MethodRefused, UnknownOperation

_JWKS_TYPE: Final = "application/jwk-set+json"
_JWKS_CACHE: Final = "public, max-age=300"


def build_public(jwks: bytes, *routes: Route) -> Starlette:
    """The application. `jwks` is the JWK Set (RFC 7517 s5) that verifies this issuer's tokens."""

    async def key_set(request: Request) -> Response:
        return Response(jwks, media_type=_JWKS_TYPE, headers={"Cache-Control": _JWKS_CACHE})

    return Starlette(
        routes=[Route("/.well-known/jwks.json", key_set, methods=["GET"]), *routes],
        exception_handlers={HTTPException: _refuse, Exception: _fail},
    )


async def _refuse(request: Request, exception: Exception) -> Response:
    if isinstance(exception, HTTPException) and exception.status_code == MethodRefused.status:
        return _answer(MethodRefused("GET, HEAD", "this path takes GET only"))
    return _answer(UnknownOperation("this path is not one that jotgate serves"))


async def _fail(request: Request, exception: Exception) -> Response:
    return _answer(InternalError("jotgate failed to answer this request"))


def _answer(error: JotgateError) -> Response:
    problem = render(error)
    response = Response(problem.body, problem.status)
    lines = problem.lines.decode("latin-1").removesuffix("\r\n").split("\r\n")
    for line in lines:
        name, _, value = line.partition(": ")
        response.headers[name] = value
    return response

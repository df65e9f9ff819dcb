"""What control answers to commands on its 0600 socket: tokens made and checked, and how it is doing.

Who can open the socket is the operator; no token is asked for. Errors are `{"error": {"code", "message", "hint"}}`.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jotgate.core.claims import CLI_CLIENT_ID, TokenRequest, TokenText
from jotgate.core.issuer_orders import IssuerAnswer, IssuerOrder
from jotgate.core.key_orders import KeyAnswer, KeyOrder
from jotgate.core.principals import LAST_S, Verified
from jotgate.core.status import Status
from jotgate.errors import CommandError, InternalError, JotgateError
from jotgate.services.issuer import TokenIssuer

_REFUSED: Final = 400


class _Fault(Struct, frozen=True):
    code: str
    message: str
    hint: str


class _Envelope(Struct, frozen=True):
    error: _Fault


_Body = TypeVar("_Body", bound=Struct)


def build_operator(
    issuer: TokenIssuer,
    verify_token: Callable[[bytes], Awaitable[Verified]],
    status: Callable[[], Status],
    keys: Callable[[KeyOrder], Awaitable[KeyAnswer]],
    *,
    issuers: Callable[[IssuerOrder], Awaitable[IssuerAnswer]],
    orders: Sequence[Route] = (),
) -> Starlette:
    """The application. `orders` are routes made by `order_route`."""

    async def create(request: Request) -> Response:
        grant = _read(await request.body(), TokenRequest).grant(issuer.issuer)
        return _json(await issuer.issue(grant, actor=CLI_CLIENT_ID), 201)

    async def verify(request: Request) -> Response:
        token = _read(await request.body(), TokenText).token
        found = await verify_token(token.encode("utf-8", "replace"))
        until_s = min(found.principal.expires_at_s, LAST_S)
        return _json(replace(found, principal=replace(found.principal, expires_at_s=until_s)), 200)

    async def report(request: Request) -> Response:
        return _json(status(), 200)

    return Starlette(
        routes=[
            Route("/tokens", create, methods=["POST"]),
            Route("/tokens/verify", verify, methods=["POST"]),
            order_route("/keys", KeyOrder, keys),
            order_route("/issuers", IssuerOrder, issuers),
            *orders,
            Route("/status", report, methods=["GET"]),
        ],
        exception_handlers={JotgateError: _refuse, Exception: _refuse},
    )


def order_route(path: str, kind: type[_Body], carry_out: Callable[[_Body], Awaitable[Struct]]) -> Route:
    """The route at which commands of one kind are ordered."""

    async def serve(request: Request) -> Response:
        return _json(await carry_out(_read(await request.body(), kind)), 200)

    return Route(path, serve, methods=["POST"])


def _read(body: bytes, kind: type[_Body]) -> _Body:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CommandError(f"the request of the command is not understood: {error}") from None


def _json(content: Struct, status: int) -> Response:
    return Response(msgspec.json.encode(content), status, {"Cache-Control": "no-store"}, media_type="application/json")


async def _refuse(request: Request, exception: Exception) -> Response:
    error = exception if isinstance(exception, JotgateError) else InternalError("control failed")
    status = _REFUSED if isinstance(error, CommandError) else error.status
    return _json(_Envelope(_Fault(error.code, error.message, error.hint)), status)

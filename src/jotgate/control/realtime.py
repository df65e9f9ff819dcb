"""`POST /v1/realtime/client_secrets`: a short token that whoever has one hands to a page or device to connect with."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jotgate.control.answers import problem_response
from jotgate.core.claims import Issued
from jotgate.core.operations import CLIENT_SECRETS_PATH
from jotgate.core.problems import render
from jotgate.core.realtime_secrets import SecretOrder, read_secret_order, write_secret
from jotgate.errors import JotgateError
from jotgate.gateway.credentials import bearer_token

Mint = Callable[[str, SecretOrder], Awaitable[Issued]]
"""The child of a token. Raises TokenError, OAuthRefused, and Unavailable."""


def secrets_route(mint: Mint) -> Route:
    """The route. The gateway has looked whether the caller may use the model, and at what its token's bearer proves."""

    async def answer(request: Request) -> Response:
        try:
            field = request.headers.get("authorization")
            token = bearer_token(None if field is None else field.encode("latin-1"))
            order = read_secret_order(await request.body())
            issued = await mint(token.decode("utf-8", "replace"), order)
        except JotgateError as refusal:
            return problem_response(render(refusal, request.headers.get("x-request-id", "")))
        body = write_secret(issued.token, issued.token_id, issued.expires_at_s, order.model)
        return Response(body, headers={"Content-Type": "application/json", "Cache-Control": "no-store"})

    return Route(CLIENT_SECRETS_PATH.decode("ascii"), answer, methods=["POST"])

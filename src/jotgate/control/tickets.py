"""`POST /v1/ws-tickets`: a ticket by which a page opens one WebSocket, in place of a token in its URL."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jotgate.control.answers import problem_response
from jotgate.control.faces import FACE
from jotgate.core.dialects import render_at
from jotgate.core.face_callers import FIELD, read_caller
from jotgate.core.operations import TICKETS_PATH
from jotgate.core.principals import Principal
from jotgate.core.socket_tickets import TicketAsk, read_ticket_ask, write_ticket
from jotgate.core.values import Secret
from jotgate.errors import JotgateError, TokenMissing
from jotgate.gateway.credentials import bearer_token

Verify = Callable[[bytes], Awaitable[Principal]]
"""The principal of a token, as the gateway judges it. Raises TokenError, and Unavailable."""
Issue = Callable[[bytes, TicketAsk], Awaitable[tuple[Secret, int]]]
"""A ticket for a token, and when it ends. Raises StoreUnavailable."""


def tickets_route(verify: Verify, issue: Issue) -> Route:
    """The route. The gateway has looked whether the caller may open the WebSocket, and at what its token must prove.

    At a face the token is one of that face's issuers, which the gateway alone knows: it says whose it is.
    """

    async def answer(request: Request) -> Response:
        face = request.headers.get(FACE.decode("ascii"), "")
        try:
            field = request.headers.get("authorization")
            token = bearer_token(None if field is None else field.encode("latin-1"))
            if not face:
                await verify(token)
            elif read_caller(request.headers.get(FIELD.decode("ascii"), "")) is None:
                raise TokenMissing("nobody has said whose the token is")
            asked = read_ticket_ask(await request.body(), face)
            ticket, expires_at_s = await issue(token, asked)
        except JotgateError as refusal:
            return problem_response(
                render_at(TICKETS_PATH, refusal, request.headers.get("x-request-id", ""), face=face)
            )
        body = write_ticket(ticket, expires_at_s, asked)
        return Response(body, headers={"Content-Type": "application/json", "Cache-Control": "no-store"})

    return Route(TICKETS_PATH.decode("ascii"), answer, methods=["POST"])

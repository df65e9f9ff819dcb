"""`POST /v1/ws-tickets`: a ticket by which a page opens one WebSocket, in place of a token in its URL."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jotgate.control.answers import problem_response
from jotgate.core.operations import TICKETS_PATH
from jotgate.core.principals import Principal
from jotgate.core.problems import render
from jotgate.core.socket_tickets import TicketAsk, read_ticket_ask, write_ticket
from jotgate.core.values import Secret
from jotgate.errors import JotgateError
from jotgate.gateway.credentials import bearer_token

Verify = Callable[[bytes], Awaitable[Principal]]
"""The principal of a token, as the gateway judges it. Raises TokenError, and Unavailable."""
Issue = Callable[[bytes, TicketAsk], Awaitable[tuple[Secret, int]]]
"""A ticket for a token, and when it ends. Raises StoreUnavailable."""


def tickets_route(verify: Verify, issue: Issue) -> Route:
    """The route. The gateway has looked whether the caller may open the WebSocket, and at what its token must prove."""

    async def answer(request: Request) -> Response:
        try:
            field = request.headers.get("authorization")
            token = bearer_token(None if field is None else field.encode("latin-1"))
            await verify(token)
            asked = read_ticket_ask(await request.body())
            ticket, expires_at_s = await issue(token, asked)
        except JotgateError as refusal:
            return problem_response(render(refusal, request.headers.get("x-request-id", "")))
        body = write_ticket(ticket, expires_at_s, asked)
        return Response(body, headers={"Content-Type": "application/json", "Cache-Control": "no-store"})

    return Route(TICKETS_PATH.decode("ascii"), answer, methods=["POST"])

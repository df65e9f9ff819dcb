"""What control answers for the MCP daemon (preset `mcp-daemon`): new tokens for those that are good yet."""

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from jotgate.control.answers import problem_response
from jotgate.control.json_bodies import read_members
from jotgate.control.senders import sender_of
from jotgate.core.mcp_daemon_problems import render_refresh
from jotgate.core.mcp_daemon_tokens import Renewed, read_refresh, write_renewed
from jotgate.core.problems import Problem
from jotgate.errors import CommandError, JotgateError, RequestMalformed
from jotgate.gateway.credentials import bearer_token
from jotgate.ports import Clock
from jotgate.services.renewals import Renewals

REFRESH_PATH: Final = "/refresh"
_JSON_LINES: Final = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"


def mcp_daemon_routes(renewals: Renewals, check: Callable[[], None], clock: Clock) -> tuple[BaseRoute, ...]:
    """The route of refreshes. `check` raises Unavailable while what was revoked is not known."""

    async def renew(request: Request) -> Renewed:
        refresh_token = read_refresh(await read_members(request))
        check()
        sender = sender_of(request)
        if refresh_token:  # It counts alone: clients send the token that they had along with everything.
            return await renewals.by_refresh_token(refresh_token, sender)
        field = request.headers.get("authorization")
        return await renewals.by_access_token(bearer_token(None if field is None else field.encode("latin-1")), sender)

    async def respond(request: Request) -> Response:
        try:
            renewed = await renew(request)
        except CommandError:
            refusal = RequestMalformed("the token names somebody whose name cannot be kept")
            return problem_response(render_refresh(refusal, _name_of(request)))
        except JotgateError as error:
            return problem_response(render_refresh(error, _name_of(request)))
        return problem_response(Problem(200, _JSON_LINES, write_renewed(renewed, clock.now_s())))

    return (Route(REFRESH_PATH, respond, methods=["POST"]),)


def _name_of(request: Request) -> str:
    return request.headers.get("x-request-id", "")

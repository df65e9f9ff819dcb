"""What control answers for the API gateway (preset `api-gateway`): logins, and refresh tokens that are traded in."""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from jotgate.control.answers import problem_response
from jotgate.control.json_bodies import read_members
from jotgate.control.senders import sender_of
from jotgate.core.api_gateway_problems import refresh_refused, refresh_required, render_code
from jotgate.core.logins import CLIENT_MEMBERS
from jotgate.core.oauth_form import Form
from jotgate.core.problems import Problem
from jotgate.errors import GrantRefused, OAuthRefused, RequestError, Unavailable
from jotgate.services.logins import Logins

LOGIN_PATH: Final = "/api/auth/login"
REFRESH_PATH: Final = "/api/auth/refresh"
_JSON_LINES: Final = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
_encode: Final = msgspec.json.Encoder().encode


def api_gateway_routes(logins: Logins, check: Callable[[], None]) -> tuple[BaseRoute, ...]:
    """The routes under `/api/auth/`; the key set at `/.well-known/jwks.json` is served beside them.

    `check` raises Unavailable while what was revoked is not known, or what would be signed would not be taken.
    """

    async def log_in(request: Request) -> Problem:
        members = await read_members(request)
        check()
        proof = Form({name: (text,) for name in CLIENT_MEMBERS if (text := _text(members.get(name)))})
        return _answer(await logins.log_in(members, proof, sender_of(request)))

    async def refresh(request: Request) -> Problem:
        token = _text((await read_members(request)).get("refreshToken"))
        if not token:
            return refresh_required()
        check()
        try:
            return _answer(await logins.refresh(token, sender_of(request)))
        except GrantRefused as refusal:
            return refresh_refused(refusal)

    return (_post(LOGIN_PATH, log_in), _post(REFRESH_PATH, refresh))


def _post(path: str, answer: Callable[[Request], Awaitable[Problem]]) -> Route:
    async def respond(request: Request) -> Response:
        try:
            return problem_response(await answer(request))
        except (OAuthRefused, RequestError, Unavailable) as error:  # All else is a fault of ours, and says where.
            return problem_response(render_code(error))

    return Route(path, respond, methods=["POST"])


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _answer(pair: msgspec.Struct) -> Problem:
    return Problem(200, _JSON_LINES, _encode(pair))

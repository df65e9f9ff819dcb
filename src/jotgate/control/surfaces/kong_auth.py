"""What control answers for the Kong auth service (preset `kong-auth`): tokens for Kong, consumers, figures.

The edge has verified the caller's access token, and says so in a field of its own (`core.face_callers`); without it
nothing is answered but figures. What else that token says of the user is read here, of the same request.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from jotgate.control.answers import problem_response
from jotgate.control.json_bodies import read_members
from jotgate.core.face_callers import FIELD, read_caller
from jotgate.core.kong_auth import (
    DESCRIPTION_CHARS_MAX,
    OPERATOR,
    KongAuthRules,
    KongUser,
    check_token_name,
    name_fault,
    read_user,
)
from jotgate.core.kong_auth_problems import render_kong
from jotgate.core.kong_credentials import KongCredential
from jotgate.core.problems import Problem
from jotgate.core.values import Secret
from jotgate.errors import (
    CommandError,
    InternalError,
    JotgateError,
    KongTimeout,
    PolicyDenied,
    RequestMalformed,
    TokenMalformed,
    TokenMissing,
)
from jotgate.jose.jwt import peek_unverified
from jotgate.services.casdoor_standing import CasdoorStanding
from jotgate.services.kong_consumers import KongConsumers
from jotgate.services.kong_tokens import Handed, KongTokens

WITHIN_S: Final = 9.0
"""Less than the edge waits for control: what Kong has not done by then is told as such."""
_LINES: Final = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
_encode: Final = msgspec.json.Encoder().encode


class _Token(Struct, frozen=True):
    token: str
    expires_at: str
    token_name: str
    token_id: str


class _ConsumerToken(Struct, frozen=True):
    username: str
    consumer_uuid: str
    token: str
    expires_at: str


class _AutoToken(Struct, frozen=True):
    username: str
    consumer_uuid: str
    token: str
    expires_at: str
    token_name: str
    token_id: str
    consumer_created: bool


class _Listed(Struct, frozen=True):
    id: str
    key: str
    token_name: str
    algorithm: str
    created_at: int
    consumer_id: str
    rsa_public_key: str | None
    token: None
    expires_at: str
    description: str | None


class _Tokens(Struct, frozen=True):
    username: str
    total_tokens: int
    tokens: list[_Listed]


class _Deleted(Struct, frozen=True):
    message: str = "Token deleted successfully"


class _DeletedNamed(Struct, frozen=True):
    deleted_token_name: str
    deleted_token_id: str
    message: str = "Token deleted successfully"


class _Me(Struct, frozen=True):
    id: str
    name: str
    display_name: str | None
    email: str | None
    phone: str | None
    avatar: str | None
    organization: str | None
    roles: tuple[str, ...]
    permissions: tuple[str, ...]


class KongAuthDesks(Struct, frozen=True):
    """Who does what is asked: tokens, consumers, and who asks Casdoor how a user stands."""

    tokens: KongTokens
    consumers: KongConsumers
    standing: CasdoorStanding


class KongAuthRoutes:
    """What answers. Immutable. `rules` is how the face is configured now; None: there is none any more.

    `figures` gives the figures, in the type `figures_type`.
    """

    def __init__(
        self,
        desks: KongAuthDesks,
        rules: Callable[[], KongAuthRules | None],
        figures: Callable[[], Awaitable[bytes]],
        *,
        figures_type: str,
        within_s: float = WITHIN_S,
    ) -> None:
        self._tokens = desks.tokens
        self._consumers = desks.consumers
        self._standing = desks.standing
        self._rules = rules
        self._figures = figures
        self._figures_type = figures_type
        self._within_s = within_s

    @property
    def routes(self) -> tuple[BaseRoute, ...]:
        """The paths of the face that control answers."""
        return (
            Route("/metrics", self._tell_figures, methods=["GET"]),
            Route("/metrics/metrics", self._tell_figures, methods=["GET"]),
            self._route("POST", "/generate-token-auto", self._make),
            self._route("POST", "/auto-generate-consumer", self._make_all),
            self._route("POST", "/create-consumer", self._make_for),
            self._route("GET", "/my-tokens", self._list),
            self._route("DELETE", "/my-tokens/by-name/{token_name}", self._delete_named),
            self._route("DELETE", "/my-tokens/{token_id}", self._delete),
            self._route("GET", "/consumers", self._list_consumers),
            self._route("GET", "/me", self._tell_user),
        )

    def _route(self, method: str, path: str, answer: Callable[[Request, KongUser], Awaitable[Struct]]) -> Route:
        async def respond(request: Request) -> Response:
            request_id = request.headers.get("x-request-id", "")
            try:
                async with asyncio.timeout(self._within_s):
                    found = await answer(request, self._read_user(request))
            except TimeoutError:
                return problem_response(render_kong(KongTimeout("Kong did not answer in time"), request_id))
            except CommandError:
                raise  # What is wrong with DATA is the operator's to know.
            except JotgateError as refusal:
                return problem_response(render_kong(refusal, request_id))
            return problem_response(Problem(200, _LINES, _encode(found)))

        return Route(path, respond, methods=[method])

    def _read_user(self, request: Request) -> KongUser:
        """The user, of the token that the edge has verified."""
        told = read_caller(request.headers.get(FIELD.decode("ascii"), ""))
        token = _bearer(request)
        if told is None or self._rules() is None:
            raise TokenMissing("the request carries no bearer token")
        try:
            claims = peek_unverified(token.encode("ascii", "replace"))[1]
        except TokenMalformed:
            raise InternalError("the token is not the one that was verified") from None
        user = read_user(claims)
        if user.subject != told.subject:
            raise InternalError("the token is not the one that was verified")
        return user

    async def _require_standing(self, request: Request, user: KongUser) -> None:
        """Raise unless Casdoor lets the user log in now: what is made here lives longer than what was shown."""
        told = read_caller(request.headers.get(FIELD.decode("ascii"), ""))
        assert told is not None, "whose token it is was read of the same field"
        request_id = request.headers.get("x-request-id", "")
        await self._standing.check(told.issuer, user, Secret(_bearer(request)), request_id)

    def _require_admin(self, user: KongUser) -> None:
        rules = self._rules()
        wanted = () if rules is None else rules.admin_roles
        if set(wanted).isdisjoint(user.roles):
            raise PolicyDenied("", "this is for those alone who have a role of kong_auth.admin_roles in Casdoor")

    # Tokens

    async def _make(self, request: Request, user: KongUser) -> Struct:
        members = await _read(request, {"token_name", "description"})
        name = check_token_name(given) if (given := _text(members, "token_name")) else ""
        description = _described(_text(members, "description"))
        await self._require_standing(request, user)
        handed = await self._tokens.make(user, name, description)
        row = handed.row
        return _Token(handed.token.reveal(), _time(row.expires_at_s), row.token_name, row.credential_id)

    async def _make_all(self, request: Request, user: KongUser) -> Struct:
        await _read(request, set())
        await self._require_standing(request, user)
        handed = await self._tokens.make(user, auto=True)
        row = handed.row
        return _AutoToken(
            username=row.consumer,
            consumer_uuid=row.consumer_id,
            token=handed.token.reveal(),
            expires_at=_time(row.expires_at_s),
            token_name=row.token_name,
            token_id=row.credential_id,
            consumer_created=handed.consumer.created,
        )

    async def _make_for(self, request: Request, user: KongUser) -> Struct:
        self._require_admin(user)
        name = _text(await _read(request, {"username"}), "username")
        if fault := name_fault(name):
            raise RequestMalformed(f"'username' {fault}", param="username")
        await self._require_standing(request, user)
        handed: Handed = await self._tokens.make(KongUser(subject=OPERATOR + name, name=name), by=user.subject)
        row = handed.row
        return _ConsumerToken(row.consumer, row.consumer_id, handed.token.reveal(), _time(row.expires_at_s))

    async def _list(self, _request: Request, user: KongUser) -> Struct:
        held = await self._tokens.held(user)
        return _Tokens(user.name, len(held), [_listed(row) for row in held])

    async def _delete(self, request: Request, user: KongUser) -> Struct:
        rules = self._rules()
        anybodys = rules is not None and not set(rules.admin_roles).isdisjoint(user.roles)
        await self._tokens.delete(user, request.path_params["token_id"], anybodys=anybodys)
        return _Deleted()

    async def _delete_named(self, request: Request, user: KongUser) -> Struct:
        row = await self._tokens.delete_named(user, request.path_params["token_name"])
        return _DeletedNamed(row.token_name, row.credential_id)

    # What is not the user's own

    async def _list_consumers(self, request: Request, user: KongUser) -> Struct:
        self._require_admin(user)
        return await self._consumers.page(request.query_params.get("offset", ""))

    async def _tell_user(self, _request: Request, user: KongUser) -> Struct:
        return _Me(
            id=user.subject,
            name=user.name,
            display_name=user.display_name or None,
            email=user.email or None,
            phone=user.phone or None,
            avatar=user.avatar or None,
            organization=user.organization or None,
            roles=user.roles,
            permissions=user.permissions,
        )

    async def _tell_figures(self, request: Request) -> Response:
        try:
            content = await self._figures()
        except JotgateError as refusal:
            return problem_response(render_kong(refusal, request.headers.get("x-request-id", "")))
        return Response(content, headers={"Content-Type": self._figures_type, "Cache-Control": "no-store"})


def _bearer(request: Request) -> str:
    return request.headers.get("authorization", "").partition(" ")[2].strip()


async def _read(request: Request, known: set[str]) -> Mapping[str, object]:
    """The members of the body, none of which is unknown."""
    members = await read_members(request)
    for name in sorted(members.keys() - known):
        raise RequestMalformed(f"'{name}' is not a member that this takes", param=name)
    return members


def _text(members: Mapping[str, object], name: str) -> str:
    """A member that is a text; null is as good as none."""
    found = members.get(name)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise RequestMalformed(f"'{name}' is not a text", param=name)
    return found


def _described(text: str) -> str:
    if len(text) > DESCRIPTION_CHARS_MAX or not text.isprintable():
        raise RequestMalformed(
            f"'description' must be at most {DESCRIPTION_CHARS_MAX} printable characters", param="description"
        )
    return text


def _listed(row: KongCredential) -> _Listed:
    return _Listed(
        id=row.credential_id,
        key=row.key,
        token_name=row.token_name,
        algorithm=row.algorithm,
        created_at=row.created_at_s,
        consumer_id=row.consumer_id,
        rsa_public_key=row.public_key_pem,
        token=None,
        expires_at=_time(row.expires_at_s),
        description=row.description or None,
    )


def _time(time_s: int) -> str:
    """A NumericDate as RFC 3339 has it."""
    return datetime.fromtimestamp(time_s, UTC).isoformat().replace("+00:00", "Z")

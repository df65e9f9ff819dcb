"""What control answers for the Coze proxy (preset `coze-proxy`): its token, its health, conversations, workflows.

The edge has verified who asks, and says so in a field of its own (`core.face_callers`); without it nothing is answered
but health. Whatever is told is the caller's own: the token of a session, and the session, are below the caller.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote

import msgspec
from msgspec import UNSET, Struct, UnsetType
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.routing import Route as WebRoute  # Ours are `core.routes.Route`.
from starlette.types import Scope

from jotgate.control.answers import problem_response
from jotgate.core.coze_codes import CozeFault
from jotgate.core.coze_histories import Message
from jotgate.core.coze_proxy import UPSTREAM, CozeProxyRules
from jotgate.core.coze_proxy_problems import render_coze
from jotgate.core.coze_sessions import is_label, session_of
from jotgate.core.face_callers import FIELD, FaceCaller, read_caller
from jotgate.core.principals import Principal
from jotgate.core.problems import Problem
from jotgate.core.token_grants import has_sessions
from jotgate.core.upstream_tokens import HeldToken, TokenStatus
from jotgate.errors import (
    InternalError,
    RequestError,
    RequestMalformed,
    TokenMalformed,
    TokenMissing,
    Unavailable,
    UpstreamError,
    UpstreamTimeout,
    UpstreamTokenUnavailable,
    UpstreamTokenUnconfigured,
)
from jotgate.jose.encoding import parse_object
from jotgate.ports import Clock
from jotgate.services.coze_desk import CozeDesk, Held, Waiting
from jotgate.services.upstream_tokens import Asker, UpstreamTokenKeeper

SESSION_NAME: Final = "sessionName"
"""The parameter of the query, and the member of a body, that names a session below the caller."""
WITHIN_S: Final = 9.0
"""Less than the edge waits for control: what Coze has not answered by then is told as Coze's fault, not as ours."""
CLEARED: Final = "JWT token cleared successfully"
ALL_CLEARED: Final = f"{CLEARED}; it was that of all sessions, since this grant has one token for all"

_LINES: Final = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
_encode: Final = msgspec.json.Encoder().encode


class CozeProxyState(Struct, frozen=True):
    """How the face is configured at this moment; `missing` is as for a Face."""

    rules: CozeProxyRules
    missing: tuple[str, ...] = ()


class _Info(Struct, frozen=True, rename="camel"):
    has_token: bool
    is_valid: bool
    expires_in: int | None


class _Token(Struct, frozen=True):
    token: str
    info: _Info
    success: bool = True


class _Refreshed(Struct, frozen=True):
    access_token: str
    expires_in: int
    token_type: str = "Bearer"
    success: bool = True


class _Done(Struct, frozen=True, omit_defaults=True):
    success: bool
    message: str = ""


class _Config(Struct, frozen=True):
    hasCozeApiKey: bool  # noqa: N815 - the document's name
    hasJWTConfig: bool  # noqa: N815
    defaultModelType: str  # noqa: N815
    hasBotId: bool  # noqa: N815
    hasWorkflowId: bool  # noqa: N815


class _Health(Struct, frozen=True):
    status: str
    timestamp: str
    config: _Config
    jwt: _Info
    mode: str
    missing: tuple[str, ...] | UnsetType = UNSET


class _Conversation(Struct, frozen=True, rename="camel"):
    id: str
    message_count: int
    created_at: int
    updated_at: int


class _Conversations(Struct, frozen=True):
    conversations: list[_Conversation]


class _Session(Struct, frozen=True, rename="camel"):
    id: str
    conversation_id: str
    message_count: int
    created_at: int
    updated_at: int


class _History(Struct, frozen=True):
    session: _Session
    messages: list[Message]


class _WorkflowSession(Struct, frozen=True, rename="camel"):
    id: str
    workflow_id: str
    status: str
    created_at: int


class _OneWorkflow(Struct, frozen=True):
    session: _WorkflowSession


class _Workflows(Struct, frozen=True):
    sessions: list[_WorkflowSession]


class _SentRoute(WebRoute):
    """A route of the path as it was sent: an encoded slash (`%2F`) is part of a name, and no border."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        sent = bytes(scope["raw_path"]).decode("latin-1")
        match, found = super().matches({**scope, "path": sent})
        if match is not Match.NONE:
            found["path_params"] = {name: unquote(value) for name, value in found["path_params"].items()}
        return match, found


class _Asks:
    """Who asks what. Made for each request."""

    def __init__(self, request: Request, told: FaceCaller, state: CozeProxyState) -> None:
        self.request = request
        self.caller: Final = told.principal
        self.label: Final = told.label or state.rules.label

    @property
    def session(self) -> str:
        """The session that is asked about, as Coze knows it."""
        return session_of(self.caller, self.label)


class CozeProxyRoutes:
    """What answers. Immutable. `state` is how the face is configured now; None: there is none any more."""

    def __init__(
        self,
        keeper: UpstreamTokenKeeper,
        desk: CozeDesk,
        clock: Clock,
        state: Callable[[], CozeProxyState | None],
        within_s: float = WITHIN_S,
    ) -> None:
        self._keeper = keeper
        self._desk = desk
        self._clock = clock
        self._state = state
        self._within_s = within_s

    @property
    def routes(self) -> tuple[BaseRoute, ...]:
        """The paths of the face that control answers."""
        return (
            WebRoute("/health", self._answer_health, methods=["GET"]),
            self._route("GET", "/get_jwt", self._get_jwt),
            self._route("POST", "/refresh_jwt", self._refresh_jwt),
            self._route("DELETE", "/clear_jwt", self._clear_jwt),
            self._route("GET", "/v1/conversations", self._list_conversations),
            self._route("GET", "/v1/conversations/{name}/history", self._tell_history),
            self._route("DELETE", "/v1/conversations/{name}", self._clear_conversation),
            self._route("GET", "/v1/workflows/sessions", self._list_workflows),
            self._route("GET", "/v1/workflows/sessions/{name}", self._tell_workflow),
        )

    def _route(self, method: str, path: str, answer: Callable[[_Asks], Awaitable[Struct | CozeFault]]) -> WebRoute:
        async def respond(request: Request) -> Response:
            try:
                async with asyncio.timeout(self._within_s):
                    return problem_response(_written(await answer(self._read(request))))
            except TimeoutError:
                return problem_response(render_coze(_late(path), ""))
            except (RequestError, UpstreamError, Unavailable, TokenMissing, InternalError) as error:
                return problem_response(render_coze(error, ""))

        return _SentRoute(path, respond, methods=[method])

    def _read(self, request: Request) -> _Asks:
        state = self._state()
        told = read_caller(request.headers.get(FIELD.decode("ascii"), ""))
        if state is None or told is None:
            raise TokenMissing("the request carries no bearer token")
        if told.label and not is_label(told.label):
            raise _no_label("x-session-name")
        return _Asks(request, told, state)

    # The token

    async def _get_jwt(self, asks: _Asks) -> Struct:
        session = await self._session_of(asks)
        held = await self._keeper.held(UPSTREAM, session, by=_asker(asks.caller))
        return _Token(held.token.reveal(), _info(self._keeper.status(UPSTREAM, session)))

    async def _refresh_jwt(self, asks: _Asks) -> Struct:
        session = await self._session_of(asks)
        held = await self._keeper.renew(UPSTREAM, session, by=_asker(asks.caller))
        return _Refreshed(held.token.reveal(), self._left_s(held))

    async def _clear_jwt(self, asks: _Asks) -> Struct:
        session = await self._session_of(asks)
        if not self._keeper.is_configured(UPSTREAM):
            raise UpstreamTokenUnconfigured("nothing says how a token is got")
        self._keeper.clear(UPSTREAM, session, by=_asker(asks.caller))
        return _Done(True, CLEARED if self._has_sessions() else ALL_CLEARED)

    def _has_sessions(self) -> bool:
        """Whether a token of Coze is one session's alone."""
        return any(one.upstream == UPSTREAM and has_sessions(one.kind) for one in self._keeper.standings())

    async def _session_of(self, asks: _Asks) -> str:
        """The session that the request names, in its query or its body; else that of the head, or of the settings."""
        named = await _named(asks.request)
        return session_of(asks.caller, named) if named else asks.session

    def _left_s(self, held: HeldToken) -> int:
        return max(0, int(held.ends_s - self._clock.now_s()))

    # Health

    async def _answer_health(self, request: Request) -> Response:
        state = self._state()
        if state is None:
            return problem_response(render_coze(InternalError("this face is not configured any more"), ""))
        told = read_caller(request.headers.get(FIELD.decode("ascii"), ""))
        rules = state.rules
        if told is None or not rules.has_jwt:
            info = self._all_sessions()
        else:
            info = _info(self._keeper.status(UPSTREAM, _Asks(request, told, state).session))
        config = _Config(
            rules.has_api_key, rules.has_jwt, rules.default_mode, rules.bot_id != "", rules.workflow_id != ""
        )
        now = datetime.fromtimestamp(self._clock.now_s(), UTC).isoformat(timespec="milliseconds")
        health = _Health(
            "ok",
            now.replace("+00:00", "Z"),
            config,
            info,
            "open-local" if rules.open_local else "tokens",
            state.missing or UNSET,
        )
        return problem_response(_written(health))

    def _all_sessions(self) -> _Info:
        """Whether a token is held at all, and whether they can be got: what may be told to everybody."""
        for one in self._keeper.standings():
            if one.upstream == UPSTREAM:
                return _Info(one.sessions > 0, one.sessions > 0 and not one.fault, None)
        return _Info(False, False, None)

    # What the caller has at Coze

    async def _list_conversations(self, asks: _Asks) -> Struct:
        found = await self._desk.conversations(asks.caller, asks.label)
        rows = [_Conversation(one.name, one.kept.messages, _ms(one.created_s), _ms(one.used_s)) for one in found]
        return _Conversations(rows)

    async def _tell_history(self, asks: _Asks) -> Struct | CozeFault:
        found = await self._desk.history(asks.caller, asks.label, asks.request.path_params["name"])
        return found if isinstance(found, CozeFault) else _History(_session(found[0]), found[1])

    async def _clear_conversation(self, asks: _Asks) -> Struct | CozeFault:
        return await self._desk.clear(asks.caller, asks.label, asks.request.path_params["name"]) or _Done(True)

    async def _list_workflows(self, asks: _Asks) -> Struct:
        return _Workflows([_waiting(one) for one in await self._desk.workflows(asks.caller, asks.label)])

    async def _tell_workflow(self, asks: _Asks) -> Struct:
        name = asks.request.path_params["name"]
        return _OneWorkflow(_waiting(await self._desk.workflow(asks.caller, asks.label, name)))


async def _named(request: Request) -> str:
    """The session that the query or the body names; empty: neither. Raises RequestMalformed."""
    listed = request.query_params.getlist(SESSION_NAME)
    if len(listed) > 1:
        raise RequestMalformed(f"'{SESSION_NAME}' stands in the query more than once", param=SESSION_NAME)
    named = listed[0] if listed else ""
    if body := await request.body():
        try:
            written = parse_object(body, "body").get(SESSION_NAME, "")
        except TokenMalformed as fault:
            raise RequestMalformed(fault.message, hint="Send one JSON object in UTF-8, or no body") from None
        if not isinstance(written, str) or (named and written and named != written):
            raise RequestMalformed(f"'{SESSION_NAME}' is no text, or not that of the query", param=SESSION_NAME)
        named = written or named
    if named and not is_label(named):
        raise _no_label(SESSION_NAME)
    return named


def _late(path: str) -> UpstreamError:
    if path.startswith("/v1/"):
        return UpstreamTimeout("Coze did not answer in time")
    return UpstreamTokenUnavailable("the token endpoint did not answer in time", retry_after_s=1)


def _no_label(param: str) -> RequestMalformed:
    return RequestMalformed(f"'{param}' is not 1 to 128 printable characters", param=param)


def _asker(caller: Principal) -> Asker:
    return Asker(actor=caller.subject, subject=caller.subject)


def _info(status: TokenStatus) -> _Info:
    return _Info(status.has_token, status.is_valid, status.expires_in_s)


def _session(held: Held) -> _Session:
    kept = held.kept
    return _Session(held.name, kept.conversation_id, kept.messages, _ms(held.created_s), _ms(held.used_s))


def _waiting(waiting: Waiting) -> _WorkflowSession:
    return _WorkflowSession(waiting.call_id, waiting.kept.workflow_id, "interrupted", _ms(waiting.created_s))


def _ms(time_s: int) -> int:
    """Milliseconds since the epoch, as JavaScript has times."""
    return time_s * 1_000


def _written(answer: Struct | CozeFault) -> Problem:
    if not isinstance(answer, CozeFault):
        return Problem(200, _LINES, _encode(answer))
    retry = answer.meaning.retry_after_s
    return Problem(answer.meaning.status, _LINES + (b"Retry-After: %d\r\n" % retry if retry else b""), answer.body())

"""The admin API as an ASGI application: every request passes the same gates in the same order, whatever its route.

Path, method, token, scope, query, body, If-Match, Idempotency-Key; then its handler. Paths are matched as they were
sent, and a name in one is percent-decoded once, behind the match: no spelling of a path leads to another route.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from jotgate.control.admin.guard import Verify, authorize, identify
from jotgate.control.admin.reading import etag_of, read_body, read_names, read_query, read_version, read_window
from jotgate.control.admin.replays import Replays, Sent
from jotgate.control.admin.shapes import AdminRoute, By, Call, Handler, Window
from jotgate.control.answers import problem_response
from jotgate.core.problem_details import render_details
from jotgate.errors import (
    AuditUnavailable,
    CredentialsAmbiguous,
    InternalError,
    JotgateError,
    MethodRefused,
    PermissionRefused,
    RecordChanged,
    RequestMalformed,
    TokenError,
    UnknownOperation,
)
from jotgate.ports import StoreAccess
from jotgate.services.recorder import Recorder
from jotgate.services.refusal_log import RefusalLog

PREFIX: Final = "/admin/api"
_CHARS_MAX: Final = 256
_RECORDED: Final = (TokenError, PermissionRefused, CredentialsAmbiguous)
"""Whoever is refused so tried what is not theirs; other refusals tell those who may what is wrong."""

_QUERY_FIELDS_MAX: Final = 16
_encode: Final = msgspec.json.Encoder().encode


class Admission(msgspec.Struct, frozen=True):
    """What guards the admin API. `access` leads to the accounts that tokens rest on, `recorder` to the audit log.

    `metadata_url` is where it describes itself (RFC 9728). `refusals` takes note of requests that are refused.
    """

    verify: Verify
    access: StoreAccess
    recorder: Recorder
    replays: Replays
    metadata_url: str
    refusals: RefusalLog


class AdminDoor(BaseRoute):
    """Leads all that begins with `PREFIX`, as it was sent, to the admin API."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a request is for the admin API."""
        ours = scope["type"] == "http" and _sent_path(scope).startswith(PREFIX + "/")
        return (Match.FULL, {}) if ours else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Match the path as it was sent, not as the server decoded it."""
        await self._application({**scope, "path": _sent_path(scope), "root_path": PREFIX}, receive, send)


def build_admin(routes: Sequence[AdminRoute], handlers: Mapping[str, Handler], admission: Admission) -> AdminDoor:
    """The admin API. There is a handler for each route, by its name, and no other."""
    assert handlers.keys() == {route.name for route in routes}, "the table and the handlers differ"
    by_path: dict[str, dict[str, AdminRoute]] = {}
    for route in routes:
        by_path.setdefault(route.path, {})[route.method] = route
    application = Starlette(
        routes=[
            Route(path, partial(_serve, found, handlers, admission), methods=list(found))
            for path, found in by_path.items()
        ],
        exception_handlers={
            JotgateError: partial(_refuse, admission),
            HTTPException: partial(_refuse, admission),
            Exception: partial(_refuse, admission),
        },
    )
    application.router.redirect_slashes = False  # A redirect would repeat the Host that the caller chose.
    return AdminDoor(application)


async def _serve(
    routes: Mapping[str, AdminRoute], handlers: Mapping[str, Handler], admission: Admission, request: Request
) -> Response:
    route = routes["GET" if request.method == "HEAD" else request.method]
    fields = request.headers.getlist("authorization")
    by = await identify(admission.verify, admission.access, fields, _request_id(request))
    request.state.by = by
    authorize(by, route)
    names = read_names(route, request.path_params)
    query = read_query(route, _pairs(request))
    window = read_window(route, query) if route.paged else Window()
    raw, body = await read_body(route, request)
    version = _read_version(route, request)
    if route.changes:
        admission.recorder.check()
    filters = {one.name: query[one.name] for one in route.filters if one.name in query}
    call = Call(by=by, names=names, filters=filters, window=window, version=version, body=body)

    async def work() -> Sent:
        return await _do(route, handlers[route.name], call)

    keys = request.headers.getlist("idempotency-key")
    if route.method != "POST" or not keys:
        sent = await work()
    elif len(keys) > 1:
        raise RequestMalformed("the Idempotency-Key stands more than once")
    else:
        versions = ", ".join(request.headers.getlist("if-match")).encode("latin-1")
        asked = b"\0".join((str(request.url.path).encode(), request.scope["query_string"], versions, raw))
        sent = await admission.replays.once(by, keys[0], asked, route, work)
    headers = {"Cache-Control": "no-store", **sent.fields}
    return Response(sent.body, sent.status, headers, media_type="application/json" if sent.body else None)


async def _do(route: AdminRoute, handler: Handler, call: Call) -> Sent:
    done = await handler(call)
    fields = {}
    if route.tagged and done.version is not None:
        fields["ETag"] = etag_of(done.version)
    if done.location:
        fields["Location"] = PREFIX + done.location
    if done.content is None:
        return Sent(204, fields)
    return Sent(route.status, fields, _encode(done.content))


def _read_version(route: AdminRoute, request: Request) -> int | None:
    """The version that is to be changed, which some requests must name, and any may (RFC 9110 s13.1.1)."""
    fields = request.headers.getlist("if-match")
    if not route.changes or not (route.guarded or fields):
        return None
    version = read_version(fields)
    if version is not None and not route.versioned:
        raise RecordChanged("there are no versions here", hint="Leave If-Match out")
    return version


def _pairs(request: Request) -> list[tuple[str, str]]:
    text = request.scope["query_string"].decode("latin-1")
    try:
        return parse_qsl(
            text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=_QUERY_FIELDS_MAX
        )
    except ValueError:
        raise RequestMalformed("the query is not of the form name=value&name=value, in UTF-8") from None


def _sent_path(scope: Scope) -> str:
    return bytes(scope.get("raw_path") or b"").partition(b"?")[0].decode("latin-1")


def _request_id(request: Request) -> str:
    """The id that the edge gave the request."""
    return request.headers.get("x-request-id", "")


async def _refuse(admission: Admission, request: Request, exception: Exception) -> Response:
    told = _told(exception)
    try:
        if isinstance(told, _RECORDED):
            _note(admission.refusals, request, told)
    except AuditUnavailable as fault:
        told = fault
    return problem_response(render_details(told, _request_id(request), admission.metadata_url))


def _note(refusals: RefusalLog, request: Request, refusal: JotgateError) -> None:
    """Record that a request was refused: whose, as far as its token was taken, and which. Raises AuditUnavailable."""
    by: By | None = getattr(request.state, "by", None)
    details = {
        "code": str(refusal.code),
        "method": request.method[:_CHARS_MAX],
        "path": str(request.scope["path"])[:_CHARS_MAX],
        "peer": request.headers.get("x-jotgate-peer", ""),
        **({"request_id": _request_id(request)} if by is None else by.details),
    }
    subject = "" if by is None else by.subject
    refusals.note(subject, details, subject)


def _told(exception: Exception) -> JotgateError:
    if isinstance(exception, JotgateError):
        return exception
    if isinstance(exception, HTTPException) and exception.status_code == MethodRefused.status:
        allowed = ", ".join(sorted((exception.headers or {}).get("Allow", "").split(", ")))
        return MethodRefused(allowed, f"this path takes {allowed} only")
    if isinstance(exception, HTTPException):
        return UnknownOperation(
            "this path is not one of the admin API", hint=f"{PREFIX}/openapi.json and docs/admin-api.md list its paths"
        )
    return InternalError("jotgate failed to answer this request")

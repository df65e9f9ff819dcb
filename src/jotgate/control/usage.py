"""`GET /v1/usage`: what the bearer of a token has used of the quotas that meet it, and what is left."""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jotgate.control.answers import problem_response
from jotgate.core.operations import USAGE
from jotgate.core.principals import Principal
from jotgate.core.problems import render
from jotgate.core.quota_answers import quoted_amount, rfc3339
from jotgate.core.quota_orders import QuotaFinding, QuotaView
from jotgate.core.quotas import Level
from jotgate.errors import JotgateError
from jotgate.gateway.credentials import bearer_token

_encode: Final = msgspec.json.Encoder().encode

Verify = Callable[[bytes], Awaitable[Principal]]
"""The principal of a token, as the gateway judges it. Raises TokenError, and Unavailable."""
Usage = Callable[[Principal, str], Awaitable[QuotaFinding]]
"""The quotas that meet calls of a principal that name a model (empty: whichever). Raises StoreUnavailable."""


class _Quota(Struct, frozen=True):
    """One quota as its bearer may know it: whose else it is stays unsaid. Money is in US dollars."""

    name: str
    limit: str
    unit: str
    per: tuple[Level, ...]
    amount: int | float
    used: int | float
    reserved: int | float
    left: int | float
    began_at: str | None
    resets_at: str | None


class _Answer(Struct, frozen=True):
    subject: str
    quotas: list[_Quota]
    object: str = USAGE


def usage_route(verify: Verify, usage: Usage) -> Route:
    """The route. The gateway has looked at the token already, and at what its bearer must prove."""

    async def answer(request: Request) -> Response:
        try:
            field = request.headers.get("authorization")
            principal = await verify(bearer_token(None if field is None else field.encode("latin-1")))
            found = await usage(principal, request.query_params.get("model", ""))
        except JotgateError as refusal:
            return problem_response(render(refusal, request.headers.get("x-request-id", "")))
        body = _encode(_Answer(principal.subject, [_quota(one) for one in found.quotas]))
        return Response(body, headers={"Content-Type": "application/json", "Cache-Control": "no-store"})

    return Route("/v1/usage", answer, methods=["GET"])


def _quota(one: QuotaView) -> _Quota:
    def amount(units: int) -> int | float:
        return quoted_amount(one.unit, units)

    return _Quota(
        name=one.quota,
        limit=one.limit,
        unit=one.unit,
        per=one.per,
        amount=amount(one.amount),
        used=amount(one.spent),
        reserved=amount(one.leased),
        left=amount(one.left),
        began_at=rfc3339(one.window_s) if one.window_s else None,
        resets_at=None if one.ends_at_s is None else rfc3339(one.ends_at_s),
    )

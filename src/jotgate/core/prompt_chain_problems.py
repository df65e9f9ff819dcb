"""Renders a refusal as the prompt-chaining API does: mostly `{"detail": …}`, with its own statuses and words.

The words of 401, 403, 413, 429 and 500 are those of its document. It tells whoever calls with a bad token no more than
that it is none: `jotgate explain` and the audit log have the reason.
"""

import re
from math import ceil, inf
from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.problems import Problem, challenge_of, further_lines
from jotgate.core.quota_answers import quoted_amount
from jotgate.core.quotas import QUOTED_UNITS
from jotgate.errors import (
    BodyTooLarge,
    InternalError,
    JotgateError,
    MethodRefused,
    QuotaExceeded,
    QuotaStanding,
    RequestMalformed,
    SchemeRefused,
    TokenError,
    TokenExpired,
    TokenMissing,
    TokenRevoked,
    UnknownOperation,
    UpstreamTimeout,
)

NOT_AUTHENTICATED: Final = "Not authenticated"
INVALID: Final = "Invalid authentication credentials"
EXPIRED: Final = "Token has expired"
REVOKED: Final = "Token has been revoked"
"""Beside the document, which knows no revocation."""

_JSON_LINES: Final = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
_SPANS: Final = ((2_592_000, "month"), (86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_UNITS: Final = {str(unit): words for unit, words in QUOTED_UNITS.items()}
_PLACE: Final = re.compile(r"[^.\[\]]+")
_encode: Final = msgspec.json.Encoder().encode


class _Detail(Struct, frozen=True):
    detail: str


class _Wrong(Struct, frozen=True):
    """One thing that is wrong with a body, as FastAPI tells it."""

    type: str
    loc: tuple[str | int, ...]
    msg: str


class _Unprocessable(Struct, frozen=True):
    detail: tuple[_Wrong, ...]


class _TooLarge(Struct, frozen=True):
    message: str
    actual_size_bytes: int | None
    max_size_bytes: int
    error: str = "request_too_large"


class _Coded(Struct, frozen=True):
    error: str
    message: str


def render_detail(error: JotgateError, request_id: str) -> Problem:  # noqa: ARG001 - it stands in X-Request-Id
    """The refusal as that system's callers read it (`core.problems.Dialect`)."""
    status, body = _status_and_body(error)
    lines = _JSON_LINES
    challenge = challenge_of(error) if status == 401 else b""
    if challenge:
        lines += b"WWW-Authenticate: " + challenge + b"\r\n"
    if isinstance(error, QuotaExceeded):
        lines += _rate_lines(error)
    return Problem(status, lines + further_lines(error), _encode(body))


def _status_and_body(error: JotgateError) -> tuple[int, Struct]:
    if isinstance(error, TokenError):
        return _of_token(error)
    if isinstance(error, QuotaExceeded):
        return 429, _Detail(limit_words(error.standing))
    if isinstance(error, BodyTooLarge):
        return 413, _TooLarge(f"Request body too large: {error.message}", error.size or None, error.limit)
    if isinstance(error, UnknownOperation):
        return 404, _Detail("Not Found")
    if isinstance(error, MethodRefused):
        return 405, _Detail("Method Not Allowed")
    if isinstance(error, RequestMalformed):
        if error.param:
            return 422, _Unprocessable((_Wrong("value_error", ("body", *_place(error.param)), error.message),))
        return 400, _Coded(error.code, _sentence(error))
    if isinstance(error, UpstreamTimeout):
        return 504, _Coded("streaming_timeout", _sentence(error))
    if isinstance(error, InternalError):
        return 500, _Detail("Internal Server Error")
    return error.status, _Detail(_sentence(error))


def _place(param: str) -> tuple[str | int, ...]:
    """Where a member stands, as FastAPI tells it: `messages[0].role` is messages, 0, role."""
    return tuple(int(part) if part.isdecimal() else part for part in _PLACE.findall(param))


def _of_token(error: TokenError) -> tuple[int, _Detail]:
    """401 where a token is wanted, or another one; 403 for one that is not good."""
    if isinstance(error, SchemeRefused):
        return 401, _Detail(INVALID)
    if isinstance(error, TokenMissing):
        return 401, _Detail(NOT_AUTHENTICATED)
    if isinstance(error, TokenExpired):
        return 401, _Detail(EXPIRED)
    if isinstance(error, TokenRevoked):
        return 401, _Detail(REVOKED)
    return 403, _Detail(INVALID)


def limit_words(standing: QuotaStanding) -> str:
    """A limit in the words of that API, such as `10 per 1 minute`."""
    amount = f"{quoted_amount(standing.unit, standing.limit):g}" if standing.unit == "cost" else str(standing.limit)
    if standing.unit == "cost":
        amount += " USD"
    elif standing.unit != "requests":
        amount += f" {_UNITS.get(standing.unit, standing.unit)}"
    if not standing.window_s:
        return amount
    size, name = next((size, name) for size, name in _SPANS if standing.window_s % size == 0)
    count = standing.window_s // size
    return f"{amount} per {count} {name}"


def _rate_lines(error: QuotaExceeded) -> bytes:
    """The fields that its rate limiter writes, beside those of `core.rate_fields`: `Reset` is a NumericDate."""
    standing = error.standing
    left = max(0, standing.limit - standing.spent)
    lines = f"X-RateLimit-Limit: {standing.limit}\r\nX-RateLimit-Remaining: {left}\r\n"
    if standing.resets_s != inf and standing.resets_at:
        lines += f"X-RateLimit-Reset: {ceil(standing.resets_at)}\r\n"
    return lines.encode("ascii")


def _sentence(error: JotgateError) -> str:
    return f"{error.message}. {error.hint}." if error.hint else f"{error.message}."

"""Renders a refusal for clients of the MCP daemon: the codes of its protocol, the messages of its document."""

from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.problems import Problem, challenge_of, further_lines
from jotgate.core.quota_answers import TOKEN_QUOTA_EXCEEDED, rfc3339
from jotgate.errors import (
    Code,
    GrantRefused,
    JotgateError,
    McpMalformed,
    QuotaExceeded,
    RefreshExpired,
    RequestMalformed,
    TokenError,
    TokenExpired,
    TokenMissing,
    TokenRevoked,
)

TOOL_NOT_FOUND: Final = "TOOL_NOT_FOUND"
UNAUTHORIZED: Final = "UNAUTHORIZED"
FORBIDDEN: Final = "FORBIDDEN"
_LINES: Final = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
_NATIVE: Final = "jotgate token create"
"""What makes tokens for the native listener, which nobody takes here."""
_HINT: Final = "Get a new token as the first was got, and have it renewed before it ends: docs/systems/mcp-daemon.md"
_KNOWN: Final = b"X-Jotgate-Known: 1\r\n"
_REFUSED: Final = 401
_MESSAGES: Final = {
    Code.TOKEN_EXPIRED: "Token has expired",
    Code.SIGNATURE_INVALID: "Invalid signature",
}
_CLAIMS: Final = {"aud": "Audience mismatch", "iss": "Issuer mismatch"}
_CODES: Final = {
    401: UNAUTHORIZED,
    403: FORBIDDEN,
    404: "NOT_FOUND",
    413: "INVALID_REQUEST",
    429: "OVER_CAPACITY",
    502: "PROVIDER_ERROR",
    503: "SERVICE_UNAVAILABLE",
    504: "TIMEOUT",
}
_encode: Final = msgspec.json.Encoder().encode


class ToldError(Struct, frozen=True, omit_defaults=True):
    """An error as this protocol has it; `details` are texts."""

    code: str
    message: str
    details: dict[str, str] = {}


class _Refused(Struct, frozen=True):
    request_id: str
    error: ToldError


def tell_error(error: JotgateError) -> ToldError:
    """The code, the message, and as details jotgate's own code and what to do next."""
    details = {"code": str(error.code)}
    if error.hint:
        is_native = isinstance(error, TokenError) and _NATIVE in error.hint
        details["hint"] = _HINT if is_native else error.hint
    if isinstance(error, RequestMalformed) and error.param:
        details["member"] = error.param
    if isinstance(error, QuotaExceeded):
        details["quota"] = error.standing.name
        if error.standing.resets_at:
            details["reset"] = rfc3339(error.standing.resets_at)
    return ToldError(_code_of(error), message_of(error), details)


def message_of(error: JotgateError) -> str:
    """One of the document's five messages where it has one for it."""
    known = _MESSAGES.get(error.code)
    if known is not None:
        return known
    if isinstance(error, QuotaExceeded) and error.standing.levels == ("token",):
        return TOKEN_QUOTA_EXCEEDED
    if isinstance(error, TokenError) and not isinstance(error, TokenMissing):
        claim = getattr(error, "claim", "")
        return _CLAIMS.get(claim, f"Invalid token: {error.message}")
    return error.message


def render_daemon(error: JotgateError, request_id: str) -> Problem:
    """The refusal as clients of this face read it (`core.problems.Dialect`)."""
    lines = _LINES
    challenge = challenge_of(error)
    if challenge:
        lines += b"WWW-Authenticate: " + challenge + b"\r\n"
    return Problem(error.status, lines + further_lines(error), _encode(_Refused(request_id, tell_error(error))))


def render_refresh(error: JotgateError, request_id: str) -> Problem:
    """The same for who asks for a new token: 401 where the old one, or the refresh token, gets nothing.

    Workers are told if nobody has guessed it, in a field that goes no further.
    """
    if not isinstance(error, GrantRefused):
        problem = render_daemon(error, request_id)
        known = isinstance(error, TokenExpired | TokenRevoked)
        return msgspec.structs.replace(problem, lines=problem.lines + _KNOWN) if known else problem
    late = isinstance(error, RefreshExpired)
    message = "Token has expired" if late else f"Invalid token: {error.message}"
    told = msgspec.structs.replace(tell_error(error), code=UNAUTHORIZED, message=message)
    return Problem(_REFUSED, _LINES + (_KNOWN if error.known else b""), _encode(_Refused(request_id, told)))


def _code_of(error: JotgateError) -> str:
    if isinstance(error, McpMalformed) and error.param == "params.name":
        return TOOL_NOT_FOUND
    known = _CODES.get(error.status)
    return known or ("INVALID_REQUEST" if error.status < 500 else "INTERNAL_ERROR")

"""Renders a refusal for the clients of the API gateway's face: `error` for people, `code` for programs, `details`.

What a token is refused for comes from a closed set, and nothing of the token stands in it.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from jotgate.codes import Code
from jotgate.core.oauth_problems import CLIENT_CHALLENGE
from jotgate.core.problems import Problem, challenge_of, further_lines
from jotgate.errors import (
    ClaimRefused,
    ClientRefused,
    GrantRefused,
    JotgateError,
    RefreshExpired,
    TokenError,
    TokenExpired,
    TokenMissing,
)

DETAILS: Final[Mapping[Code, str]] = {
    Code.TOKEN_MALFORMED: "malformed token",
    Code.TOKEN_ENCRYPTED: "encrypted token",
    Code.ALGORITHM_REFUSED: "algorithm not allowed",
    Code.KEY_UNKNOWN: "unknown signing key",
    Code.KEY_AMBIGUOUS: "no key id, and several keys",
    Code.SIGNATURE_INVALID: "invalid signature",
    Code.CLAIM_REFUSED: "invalid claim",
    Code.TOKEN_IMMATURE: "token not active yet",
    Code.TOKEN_REVOKED: "token revoked",
    Code.TOKEN_UNKNOWN: "unknown token",
    Code.TICKET_REFUSED: "unknown ticket",
    Code.TOKEN_BOUND: "proof of possession missing",
    Code.PROOF_REFUSED: "proof of possession refused",
    Code.PROOF_NONCE_WANTED: "proof of possession without nonce",
}
"""Why a token is invalid, by the error's code."""

_OF_CLAIMS: Final[Mapping[str, str]] = {
    "aud": "wrong audience",
    "iss": "wrong issuer",
    "typ": "wrong token type",
    "exp": "invalid lifetime",
}
"""The same by the claim that is not the one that is expected; all others are told alike."""

_TITLES: Final[Mapping[int, str]] = {
    400: "Bad request",
    401: "Authentication failed",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    408: "Request timeout",
    413: "Request too large",
    415: "Unsupported media type",
    429: "Too many requests",
    431: "Headers too large",
    502: "Bad gateway",
    503: "Service unavailable",
    504: "Gateway timeout",
}
_FAULTS: Final = 500
"""From this status on it is not the caller's."""
_KNOWN: Final = b"X-Jotgate-Known: 1\r\n"
_LINES: Final = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
_encode: Final = msgspec.json.Encoder().encode


class _Refused(Struct, frozen=True):
    error: str
    code: str
    details: str | UnsetType = UNSET


class _RefreshRefused(Struct, frozen=True):
    error: str


def render_code(error: JotgateError, request_id: str = "") -> Problem:  # noqa: ARG001 - a Dialect
    """The refusal as the document's middleware words it: MISSING_TOKEN, TOKEN_EXPIRED or INVALID_TOKEN.

    All others have our code in capital letters, and our message with its hint as `details`.
    """
    lines = _LINES
    challenge = CLIENT_CHALLENGE if isinstance(error, ClientRefused) else challenge_of(error)
    if challenge:
        lines += b"WWW-Authenticate: " + challenge + b"\r\n"
    return Problem(error.status, lines + further_lines(error), _encode(_told(error)))


def refresh_required() -> Problem:
    """The answer to who sends no refresh token."""
    return Problem(400, _LINES, _encode(_RefreshRefused("Refresh token required")))


def refresh_refused(refusal: GrantRefused) -> Problem:
    """The answer to who sends a refresh token that gets nothing; 401, as the document has it.

    Workers are told if nobody has guessed it, in a field that goes no further.
    """
    told = "Refresh token expired" if isinstance(refusal, RefreshExpired) else "Invalid refresh token"
    return Problem(401, _LINES + (_KNOWN if refusal.known else b""), _encode(_RefreshRefused(told)))


def _told(error: JotgateError) -> _Refused:
    if isinstance(error, TokenMissing):
        return _Refused("Authentication required", "MISSING_TOKEN")
    if isinstance(error, TokenExpired):
        return _Refused("Token expired", "TOKEN_EXPIRED")
    if isinstance(error, TokenError):
        return _Refused("Invalid token", "INVALID_TOKEN", _detail(error))
    if isinstance(error, ClientRefused):
        return _Refused("Invalid client", "INVALID_CLIENT", f"{error.message}.")
    title = _TITLES.get(error.status, "Bad request" if error.status < _FAULTS else "Internal error")
    details = f"{error.message}. {error.hint}." if error.hint else f"{error.message}."
    return _Refused(title, error.code.upper(), details)


def _detail(error: TokenError) -> str:
    if isinstance(error, ClaimRefused):
        return "missing claim" if error.reason == "missing" else _OF_CLAIMS.get(error.claim, DETAILS[error.code])
    return DETAILS[error.code]

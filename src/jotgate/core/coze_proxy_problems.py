"""Renders a refusal as the Coze proxy does: the error object of OpenAI, with its own words and codes for some.

The words for a missing, a refused and an unreachable token of Coze are those of its document. What is not its own is
told as the native listener tells it.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.coze_aims import MODEL_TYPE
from jotgate.core.coze_proxy import LACKING_BOT, LACKING_WORKFLOW
from jotgate.core.operations import ALL_OPERATIONS_SCOPE, CREDENTIALS
from jotgate.core.problems import Problem, challenge_of, further_lines, render
from jotgate.core.upstream_tokens import NOT_LOGGED_IN
from jotgate.errors import (
    InternalError,
    JotgateError,
    RecordMissing,
    RequestMalformed,
    TokenError,
    TokenMissing,
    UnknownOperation,
    UpstreamTokenError,
    UpstreamTokenUnavailable,
    UpstreamTokenUnconfigured,
)

NOT_PROVIDED: Final = "JWT configuration not provided"
NOT_REFRESHED: Final = "Failed to refresh JWT token"
REFRESH_FAILED: Final = "Token refresh failed"
MAKE_TOKEN: Final = f"jotgate token create --subject me --scope {ALL_OPERATIONS_SCOPE} --scope {CREDENTIALS}"
"""The command whose token may do all that this face does."""
_MAKE: Final = "jotgate token create"
"""What the hint names of a refused token that this installation can make anew."""

_CODES: Final[Mapping[str, str]] = {
    "messages": "missing_messages",
    MODEL_TYPE: "invalid_model_type",
    LACKING_BOT: "missing_bot_id",
    LACKING_WORKFLOW: "missing_workflow_id",
}
"""The code of a body that is at fault, by the member that is; all others have ours."""
_LINES: Final = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
_encode: Final = msgspec.json.Encoder().encode


class _Error(Struct, frozen=True):
    message: str
    type: str
    code: str
    param: str | None = None


class _Envelope(Struct, frozen=True):
    error: _Error


def render_coze(error: JotgateError, request_id: str) -> Problem:
    """The refusal as callers of this face read it (`core.problems.Dialect`)."""
    told = _told(error, request_id)
    if told is None:
        return render(error, request_id)
    lines = _LINES
    challenge = challenge_of(error)
    if challenge:
        lines += b"WWW-Authenticate: " + challenge + b"\r\n"
    return Problem(error.status, lines + further_lines(error), _encode(_Envelope(told)))


def _told(error: JotgateError, request_id: str) -> _Error | None:
    """What is told in words of this face; None: nothing is."""
    if isinstance(error, UpstreamTokenError):
        return _Error(_of_jwt(error), "server_error", error.code)
    if isinstance(error, UnknownOperation):
        return _Error(error.message, "invalid_request_error", "endpoint_not_found")
    if isinstance(error, InternalError):
        return _Error(error.message, "server_error", "internal_error")
    if isinstance(error, RecordMissing):
        return _Error(error.message, "invalid_request_error", "session_not_found")
    if isinstance(error, RequestMalformed) and error.param in _CODES:
        text = f"{error.message}. {error.hint}." if error.hint else error.message
        return _Error(text, "invalid_request_error", _CODES[error.param], error.param)
    if isinstance(error, TokenError) and _MAKE in error.hint:
        return _Error(_of_token(error, request_id), "authentication_error", error.code)
    return None


def _of_token(error: TokenError, request_id: str) -> str:
    text = f"{error.message}. Make a token with: {MAKE_TOKEN}"
    return text if isinstance(error, TokenMissing) or not request_id else f"{text} (request {request_id})"


def _of_jwt(error: UpstreamTokenError) -> str:
    if error.cause.startswith(NOT_LOGGED_IN):
        return error.message  # No setting is missing: the cause has the command that helps.
    if isinstance(error, UpstreamTokenUnconfigured):
        return NOT_PROVIDED
    if isinstance(error, UpstreamTokenUnavailable):
        return REFRESH_FAILED
    return f"{NOT_REFRESHED}: {error.cause or error.message}"

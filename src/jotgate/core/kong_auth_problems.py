"""Renders a refusal for the users of the Kong auth service: `detail`, which clients read, beside an object `error`.

`detail` is what the original's framework answers; the object is the form that its own error module has, and that
nothing there ever sent.
"""

from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.problems import Problem, challenge_of, further_lines
from jotgate.errors import JotgateError, RequestMalformed, TokenError, UnknownOperation

_LINES: Final = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
_encode: Final = msgspec.json.Encoder().encode
_LOG_IN: Final = "Send an access token of Casdoor as 'Authorization: Bearer TOKEN'; log in there for a new one"
_PATHS: Final = "docs/systems/kong-auth.md lists the paths"


class _Error(Struct, frozen=True):
    code: str
    message: str
    reference_id: str
    details: dict[str, str]


class _Refused(Struct, frozen=True):
    detail: str
    error: _Error


def render_kong(error: JotgateError, request_id: str) -> Problem:
    """The refusal as users of this face read it (`core.problems.Dialect`)."""
    lines = _LINES
    challenge = challenge_of(error)
    if challenge:
        lines += b"WWW-Authenticate: " + challenge + b"\r\n"
    hint = _hint(error)
    details = {"hint": hint} if hint else {}
    if isinstance(error, RequestMalformed) and error.param:
        details["member"] = error.param
    told = _Refused(error.message, _Error(error.code, error.message, request_id, details))
    return Problem(error.status, lines + further_lines(error), _encode(told))


def _hint(error: JotgateError) -> str:
    """What to do about it here, where tokens are Casdoor's and none that jotgate makes opens anything."""
    if isinstance(error, TokenError) and error.hint in (error.default_hint, error.foreign_hint):
        return _LOG_IN
    if isinstance(error, UnknownOperation) and error.hint == error.default_hint:
        return _PATHS
    return error.hint

"""Renders a refusal for OAuth clients: the error object of RFC 6749 s5.2."""

from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.problems import Problem, further_lines, scrub
from jotgate.errors import AttemptsThrottled, ClientRefused, JotgateError, OAuthRefused, Unavailable

CLIENT_CHALLENGE: Final = b'Basic realm="jotgate", charset="UTF-8"'
_FAULTS: Final = 500
"""From this status on it is not the client's."""
_encode: Final = msgspec.json.Encoder().encode


class _Refused(Struct, frozen=True):
    error: str
    error_description: str
    code: str


def render_oauth(error: JotgateError) -> Problem:
    """The error as an OAuth client may see it: its word, message and hint, and its code, which docs/errors.md explains.

    There is no `error_uri`: no page that it could lead to is served.

    A client that is not known is told how clients prove themselves, whatever it tried (RFC 9110 s11.6.1).
    """
    text = f"{error.message}. {error.hint}." if error.hint else f"{error.message}."
    body = _encode(_Refused(_word(error), scrub(text).decode("ascii"), error.code))
    lines = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
    if isinstance(error, ClientRefused):
        lines += b"WWW-Authenticate: " + CLIENT_CHALLENGE + b"\r\n"
    return Problem(error.status, lines + further_lines(error), body)


def _word(error: JotgateError) -> str:
    if isinstance(error, OAuthRefused):
        return error.error
    if isinstance(error, Unavailable | AttemptsThrottled):
        return "temporarily_unavailable"
    return "invalid_request" if error.status < _FAULTS else "server_error"

"""Renders a refusal for the native and `/v1` dialect: the OpenAI error object and the RFC 6750 challenge."""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from jotgate.core.dpop import PROOF_ALGORITHMS
from jotgate.core.quota_answers import QuotaTold, told
from jotgate.core.rate_fields import refusal_lines
from jotgate.errors import (
    AttemptsThrottled,
    ChainStepHeld,
    CredentialsAmbiguous,
    DpopNonceWanted,
    InsufficientScope,
    JotgateError,
    MethodRefused,
    PermissionRefused,
    PolicyDenied,
    ProofNonceWanted,
    ProofRefused,
    QuotaExceeded,
    RequestMalformed,
    TokenBound,
    TokenError,
    TokenMissing,
    Unavailable,
    UpgradeRequired,
    UpstreamTokenUnavailable,
)

_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
}
_QUOTABLE: Final = bytes(byte if 0x20 <= byte <= 0x7E and byte not in b'"\\' else 0x3F for byte in range(256))
_encode: Final = msgspec.json.Encoder().encode


class _Error(Struct, frozen=True):
    message: str
    type: str
    param: str | None
    code: str
    quota: QuotaTold | UnsetType = UNSET


class _Envelope(Struct, frozen=True):
    error: _Error


class Problem(Struct, frozen=True):
    """A rendered refusal: status, whole header lines (CRLF-ended), body."""

    status: int
    lines: bytes
    body: bytes


Dialect = Callable[[JotgateError, str], Problem]
"""How one audience is told no: the refusal, with the id of its request, as that audience reads it.

`render` is the native one. It decides no status and no code: those are the error's, in every dialect.
"""


def render(error: JotgateError, request_id: str = "", resource_metadata: str = "", scopes: str = "") -> Problem:
    """The error as its caller may see it: message, hint and code, never `debug` nor evidence.

    Who had a token refused is told the id of the request, by which `jotgate explain` shows the rest.
    `resource_metadata` is where the resource describes itself, for the challenge (RFC 9728 s5.1). `scopes` are what
    whoever has no good token needs there at least.
    """
    kind = _TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "server_error")
    param = error.param if isinstance(error, RequestMalformed) and error.param else None
    text = f"{error.message}. {error.hint}." if error.hint else f"{error.message}."
    if request_id and isinstance(error, TokenError) and not isinstance(error, TokenMissing):
        text += f" Request {request_id}."
    lines = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
    challenge = challenge_of(error)
    if challenge and scopes and isinstance(error, TokenError):
        challenge += b', scope="%b"' % scrub(scopes)
    if challenge and resource_metadata:
        challenge += b', resource_metadata="%b"' % scrub(resource_metadata)
    if challenge:
        lines += b"WWW-Authenticate: " + challenge + b"\r\n"
    lines += further_lines(error)
    quota = told(error.standing) if isinstance(error, QuotaExceeded) else UNSET
    return Problem(error.status, lines, _encode(_Envelope(_Error(text, kind, param, error.code, quota))))


def further_lines(error: JotgateError) -> bytes:
    """Header lines that a refusal has in every dialect, beside its challenge.

    They are Allow, Retry-After, DPoP-Nonce, and those of quotas (`core.rate_fields`).
    """
    if isinstance(error, QuotaExceeded):
        return refusal_lines(error)
    if isinstance(error, MethodRefused):
        return b"Allow: " + error.allowed.encode("ascii") + b"\r\n"
    if isinstance(error, Unavailable | AttemptsThrottled | ChainStepHeld | UpstreamTokenUnavailable):
        return b"Retry-After: %d\r\n" % error.retry_after_s
    if isinstance(error, UpgradeRequired):
        return b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    if isinstance(error, DpopNonceWanted):
        return b"DPoP-Nonce: %b\r\n" % error.nonce.encode("ascii")
    return b""


def challenge_of(error: JotgateError) -> bytes:
    """RFC 6750 s3, RFC 9449 s7.1: each parameter once, quoted; without credentials the challenge carries no error."""
    if isinstance(error, TokenMissing):
        return b'Bearer realm="jotgate"'
    if isinstance(error, ProofRefused):
        return _dpop(b"use_dpop_nonce" if isinstance(error, ProofNonceWanted) else b"invalid_dpop_proof", error)
    if isinstance(error, TokenBound) and error.by_key:
        return _dpop(b"invalid_token", error)
    if isinstance(error, TokenError):
        return _bearer(b"invalid_token", error)
    if isinstance(error, CredentialsAmbiguous):
        return _bearer(b"invalid_request", error)
    if isinstance(error, InsufficientScope):
        return _bearer(b"insufficient_scope", error) + b', scope="%b"' % scrub(error.scope)
    if isinstance(error, PermissionRefused) and not isinstance(error, PolicyDenied):
        return _bearer(b"insufficient_scope", error)
    return b""


def _bearer(code: bytes, error: JotgateError) -> bytes:
    return b'Bearer realm="jotgate", error="%b", error_description="%b"' % (code, scrub(error.message))


def _dpop(code: bytes, error: JotgateError) -> bytes:
    return b'DPoP realm="jotgate", error="%b", error_description="%b", algs="%b"' % (
        code,
        scrub(error.message),
        " ".join(PROOF_ALGORITHMS).encode("ascii"),
    )


def scrub(text: str) -> bytes:
    """Only %x20-21, %x23-5B and %x5D-7E may stand in a quoted parameter (RFC 6750 s3)."""
    return text.encode("ascii", "replace").translate(_QUOTABLE)

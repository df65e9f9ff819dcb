"""Every way in which jotgate says no or fails, one class per failure.

    JotgateError
    ├── ConfigurationError              start-up and commands only; carries every (path, fault) found
    ├── CommandError                    a command cannot do what it was asked; exit code 1
    │   ├── DirectoryRefused            DATA cannot be used: modes, owner, path, disk
    │   ├── DirectoryBusy               another process holds DATA
    │   ├── AddressUnavailable          the host and port cannot be listened on
    │   └── StoreRefused                the store cannot be used as it is: its schema, its URL, its owner
    ├── KeyRefused                      a key or a key set cannot be used as it is given
    ├── Refusal                         a caller is told no
    │   ├── TokenError                  401; RFC 6750 s3.1 invalid_token
    │   │   ├── TokenMissing            401 without an error attribute (RFC 6750 s3.1)
    │   │   ├── TokenMalformed          not a compact JWS, or not strict JSON inside
    │   │   ├── TokenEncrypted          a JWE; only signed tokens are taken
    │   │   ├── AlgorithmRefused        `alg` is not one that the issuer's keys carry
    │   │   ├── KeyUnknown              no verification key for this `kid`
    │   │   ├── SignatureInvalid        the signature does not fit the key
    │   │   ├── ClaimRefused            a claim is missing, mistyped or not what is expected
    │   │   ├── TokenExpired            `exp` has passed
    │   │   └── TokenImmature           `nbf` or `iat` lies in the future
    │   ├── PermissionRefused           403; the principal is known and may not
    │   │   ├── InsufficientScope       RFC 6750 s3.1 insufficient_scope
    │   │   └── ModelNotPermitted       the token's `models` claim does not name the model
    │   └── RequestError                4xx; the request itself is at fault
    │       ├── CredentialsAmbiguous    RFC 6750 s3.1: more than one credential
    │       ├── RequestMalformed · BodyTooLarge · HeadersTooLarge · EncodingRefused · RequestLate
    │       ├── TooManyConnections      429; one address has its share
    │       └── UnknownOperation · MethodRefused · UnknownModel
    ├── UpstreamError                   502/504; an upstream, not the caller, is at fault
    │   └── UpstreamUnavailable · UpstreamTimeout · UpstreamTorn · UpstreamRefused
    ├── Unavailable                     503 with Retry-After; jotgate cannot know the answer now
    │   ├── NotReady · ControlStale · ControlUnreachable · AuditUnavailable · UpstreamBusy · UpstreamSuspended
    │   └── StoreUnavailable            the store does not answer
    └── InternalError                   500; the only wrapper of the unexpected

`message` says what and why and is safe for the caller. `hint` says what to do next. `debug` never leaves the
process except into its own log. A `code` is stable and never used again for another meaning.
"""

from typing import ClassVar

from jotgate.codes import Code as Code  # noqa: PLC0414 # errors and their codes are taken from one place


class JotgateError(Exception):
    """The base of all: a stable `code`, an HTTP `status`, a safe `message` and `hint`, a private `debug`."""

    code: ClassVar[Code]
    status: ClassVar[int]
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str = "", debug: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint
        self.debug = debug


class ConfigurationError(JotgateError):
    """Configuration that does not load. `faults` holds (path, what is wrong and what to do) for each fault."""

    code = Code.CONFIGURATION
    status = 500

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__("\n".join(f"{path}: {fault}" for path, fault in faults))
        self.faults = faults


class CommandError(JotgateError):
    """A command that cannot do what it was asked."""

    code = Code.COMMAND
    status = 500


class DirectoryRefused(CommandError):
    """DATA, or a file in it, cannot be used: its mode, owner, path or disk."""

    code = Code.DIRECTORY_REFUSED


class DirectoryBusy(CommandError):
    """Another process holds the lock on DATA."""

    code = Code.DIRECTORY_BUSY


class AddressUnavailable(CommandError):
    """The host and port cannot be listened on."""

    code = Code.ADDRESS_UNAVAILABLE


class StoreRefused(CommandError):
    """The store cannot be used as it is: another schema, no driver for its URL, or another installation's."""

    code = Code.STORE_REFUSED


class KeyRefused(JotgateError):
    """A key or a key set that is malformed, too weak, or not what its algorithm needs."""

    code = Code.KEY_REFUSED
    status = 500


class Refusal(JotgateError):
    """The caller is told no."""


class TokenError(Refusal):
    """RFC 6750 s3.1 `invalid_token`."""

    status = 401
    default_hint = "Create a new token: jotgate token create --subject NAME"


class TokenMissing(TokenError):
    """No credentials at all (RFC 6750 s3.1: the challenge then carries no error)."""

    code = Code.TOKEN_MISSING
    default_hint = "Send the header 'Authorization: Bearer TOKEN'; 'jotgate token create --subject NAME' makes one"


class TokenMalformed(TokenError):
    """Not a compact JWS (RFC 7515 s7.1), or not strict JSON inside."""

    code = Code.TOKEN_MALFORMED


class TokenEncrypted(TokenError):
    """A JWE (RFC 7516): jotgate holds no key to decrypt with, and takes signed tokens only."""

    code = Code.TOKEN_ENCRYPTED
    default_hint = "Have the issuer sign its tokens and not encrypt them"


class AlgorithmRefused(TokenError):
    """`alg` is outside the allow-list or is not the algorithm of the key (RFC 8725 s3.1)."""

    code = Code.ALGORITHM_REFUSED


class KeyUnknown(TokenError):
    """No verification key of the issuer carries the token's `kid`."""

    code = Code.KEY_UNKNOWN
    default_hint = "The token was signed by another jotgate or with a key that is gone; create a new token"


class SignatureInvalid(TokenError):
    """The signature does not verify (RFC 7515 s5.2)."""

    code = Code.SIGNATURE_INVALID


class ClaimRefused(TokenError):
    """A claim is missing, mistyped or unexpected. `claim` names it, `reason` is missing | invalid | mismatch."""

    code = Code.CLAIM_REFUSED

    def __init__(self, claim: str, reason: str, message: str, *, hint: str = "", debug: str = "") -> None:
        super().__init__(message, hint=hint, debug=debug)
        self.claim = claim
        self.reason = reason


class TokenExpired(TokenError):
    """`exp` has passed (RFC 7519 s4.1.4: on or after)."""

    code = Code.TOKEN_EXPIRED


class TokenImmature(TokenError):
    """`nbf` or `iat` lies further in the future than the leeway."""

    code = Code.TOKEN_IMMATURE
    default_hint = "Compare the clocks of the machine that made the token and of this one"


class PermissionRefused(Refusal):
    """A known principal may not do this."""

    status = 403


class InsufficientScope(PermissionRefused):
    """RFC 6750 s3.1 `insufficient_scope`; `scope` names one that would be enough."""

    code = Code.INSUFFICIENT_SCOPE

    def __init__(self, scope: str, message: str, *, hint: str = "", debug: str = "") -> None:
        super().__init__(message, hint=hint, debug=debug)
        self.scope = scope


class ModelNotPermitted(PermissionRefused):
    """The token's `models` claim does not name this model."""

    code = Code.MODEL_NOT_PERMITTED
    default_hint = "GET /v1/models lists the models this token may use"


class RequestError(Refusal):
    """The request itself is at fault."""


class CredentialsAmbiguous(RequestError):
    """More than one credential in one request (RFC 6750 s2)."""

    code = Code.CREDENTIALS_AMBIGUOUS
    status = 400
    default_hint = "Send one Authorization header and no other credential"


class RequestMalformed(RequestError):
    """The request is not HTTP/1.1 as RFC 9112 has it, or its body is not what the operation takes.

    `param` names the body's member at fault, if it is one.
    """

    code = Code.REQUEST_MALFORMED
    status = 400

    def __init__(self, message: str, *, param: str = "", hint: str = "", debug: str = "") -> None:
        super().__init__(message, hint=hint, debug=debug)
        self.param = param


class BodyTooLarge(RequestError):
    """The body is longer than `limits.body_bytes`."""

    code = Code.BODY_TOO_LARGE
    status = 413


class HeadersTooLarge(RequestError):
    """The header section is longer than `limits.header_bytes` or has too many fields."""

    code = Code.HEADERS_TOO_LARGE
    status = 431


class EncodingRefused(RequestError):
    """A request body with a Content-Encoding: it cannot be checked, so it is not forwarded."""

    code = Code.ENCODING_REFUSED
    status = 415
    default_hint = "Send the JSON body without Content-Encoding"


class RequestLate(RequestError):
    """The request was begun and not sent to its end within `limits.header_s` or `limits.body_s`."""

    code = Code.REQUEST_TIMEOUT
    status = 408
    default_hint = "Send the whole request without long pauses"


class TooManyConnections(RequestError):
    """One address has as many connections, or behind a proxy calls under way, as `connections_per_address` allows."""

    code = Code.TOO_MANY_CONNECTIONS
    status = 429
    default_hint = "Use fewer connections at once, and keep them"


class UnknownOperation(RequestError):
    """The path is no row of the operation table."""

    code = Code.UNKNOWN_OPERATION
    status = 404
    default_hint = "docs/operations.md lists the paths that jotgate serves"


class MethodRefused(RequestError):
    """The path is known and the method is not; `allowed` becomes the Allow header (RFC 9110 s15.5.6)."""

    code = Code.METHOD_REFUSED
    status = 405

    def __init__(self, allowed: str, message: str, *, hint: str = "", debug: str = "") -> None:
        super().__init__(message, hint=hint, debug=debug)
        self.allowed = allowed


class UnknownModel(RequestError):
    """No route carries this model alias."""

    code = Code.UNKNOWN_MODEL
    status = 404
    default_hint = "GET /v1/models lists the models this token may use"


class UpstreamError(JotgateError):
    """An upstream, not the caller, is at fault."""

    status = 502


class UpstreamUnavailable(UpstreamError):
    """No connection could be made, or it closed before an answer."""

    code = Code.UPSTREAM_UNAVAILABLE


class UpstreamTimeout(UpstreamError):
    """A deadline (first byte, idle or total) passed."""

    code = Code.UPSTREAM_TIMEOUT
    status = 504


class UpstreamTorn(UpstreamError):
    """The answer broke off, or was not HTTP."""

    code = Code.UPSTREAM_TORN


class UpstreamRefused(UpstreamError):
    """The upstream refused jotgate's own credential; never shown as the caller's 401."""

    code = Code.UPSTREAM_REFUSED


class Unavailable(JotgateError):
    """The answer cannot be known now; `retry_after_s` becomes the Retry-After header."""

    status = 503
    retry_after_s: int = 1


class NotReady(Unavailable):
    """This worker has no snapshot yet."""

    code = Code.NOT_READY


class ControlStale(Unavailable):
    """The control process has been silent for longer than `max_staleness`; what is held may be out of date."""

    code = Code.CONTROL_STALE


class ControlUnreachable(Unavailable):
    """The path is the control process's to answer, and it does not answer now."""

    code = Code.CONTROL_UNREACHABLE


class AuditUnavailable(Unavailable):
    """The audit buffer is full: nothing is let through unrecorded."""

    code = Code.AUDIT_UNAVAILABLE


class StoreUnavailable(Unavailable):
    """The store cannot be reached, is locked for too long, or its disk is full or broken."""

    code = Code.STORE_UNAVAILABLE


class UpstreamBusy(Unavailable):
    """Every upstream of the route is at its bound: the queue is full, or the call's time in it is over."""

    code = Code.UPSTREAM_BUSY


class UpstreamSuspended(Unavailable):
    """No upstream of the route is asked for now: each has failed several times in a row."""

    code = Code.UPSTREAM_SUSPENDED


class InternalError(JotgateError):
    """The only wrapper of the unexpected."""

    code = Code.INTERNAL
    status = 500

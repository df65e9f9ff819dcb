"""How a caller is told no: a token, a permission or the request itself is at fault."""

from jotgate.codes import Code
from jotgate.fault import JotgateError


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


class KeyUnpublished(KeyUnknown):
    """None of the keys that are held of a remote issuer has this `kid`; fetching them anew may bring it.

    `issuer` is jotgate's name for the issuer.
    """

    default_hint = "Get a new token; if that is refused too, its issuer does not publish the key that it signs with"

    def __init__(self, issuer: str, message: str, *, hint: str = "", debug: str = "") -> None:
        super().__init__(message, hint=hint, debug=debug)
        self.issuer = issuer


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

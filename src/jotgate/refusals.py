"""How a caller is told no: a token, a permission or the request itself is at fault."""

from typing import ClassVar, Literal, Self

from jotgate.codes import Code
from jotgate.fault import JotgateError

ClaimFault = Literal["missing", "invalid", "mismatch"]
"""What may be said of a claim: it is not there, is not of its form, or is not the one that is expected."""


class Refusal(JotgateError):
    """The caller is told no."""


class TokenError(Refusal):
    """RFC 6750 s3.1 `invalid_token`.

    `claim` is the claim or header member at fault, `wanted` and `got` what was expected of it and what the token says;
    they are not for the caller. `foreign_hint` is the hint for a token of an issuer that is not this installation.
    """

    status = 401
    default_hint = "Create a new token: jotgate token create --subject NAME"
    foreign_hint: ClassVar[str] = "Get a new token from its issuer"
    claim: str = ""
    wanted: object = None
    got: object = None

    def showing(self, claim: str, wanted: object, got: object) -> Self:
        """This refusal, with what was expected of a claim or header member and what the token says there."""
        self.claim, self.wanted, self.got = claim, wanted, got
        return self


class TokenMissing(TokenError):
    """No credentials at all (RFC 6750 s3.1: the challenge then carries no error)."""

    code = Code.TOKEN_MISSING
    default_hint = "Send the header 'Authorization: Bearer TOKEN'; 'jotgate token create --subject NAME' makes one"


class SchemeRefused(TokenMissing):
    """The Authorization field has another scheme than Bearer; told as if there were none (RFC 6750 s3)."""


class TokenMalformed(TokenError):
    """Not a compact JWS (RFC 7515 s7.1), or not strict JSON inside."""

    code = Code.TOKEN_MALFORMED
    default_hint = "Send the token exactly as it was issued; 'jotgate token create --subject NAME' makes a new one"
    foreign_hint = "Send the token exactly as it was issued, whole and with nothing around it"


class TokenEncrypted(TokenError):
    """A JWE (RFC 7516): jotgate holds no key to decrypt with, and takes signed tokens only."""

    code = Code.TOKEN_ENCRYPTED
    default_hint = "Have the issuer sign its tokens and not encrypt them"
    foreign_hint = default_hint


class AlgorithmRefused(TokenError):
    """`alg` is outside the allow-list or is not the algorithm of the key (RFC 8725 s3.1)."""

    code = Code.ALGORITHM_REFUSED


class KeyUnknown(TokenError):
    """No verification key of the issuer carries the token's `kid`."""

    code = Code.KEY_UNKNOWN
    default_hint = "The token was signed by another jotgate or with a key that is gone; create a new token"
    foreign_hint = "Get a new token; if that is refused too, its issuer does not publish the key that it signs with"


class KeyAmbiguous(TokenError):
    """The token names no key, and more than one of its issuer's could be meant."""

    code = Code.KEY_AMBIGUOUS
    default_hint = "Have the issuer name the key in its tokens ('kid')"
    foreign_hint = default_hint


class KeyUnpublished(KeyUnknown):
    """None of the keys that are held of a remote issuer has this `kid`; fetching them anew may bring it.

    `issuer` is jotgate's name for the issuer.
    """

    default_hint = KeyUnknown.foreign_hint

    def __init__(self, issuer: str, message: str, *, hint: str = "", debug: str = "") -> None:
        super().__init__(message, hint=hint, debug=debug)
        self.issuer = issuer


class SignatureInvalid(TokenError):
    """The signature does not verify (RFC 7515 s5.2)."""

    code = Code.SIGNATURE_INVALID


class ClaimRefused(TokenError):
    """A claim is missing, mistyped or unexpected. `claim` names it, `reason` says which of the three."""

    code = Code.CLAIM_REFUSED

    def __init__(self, claim: str, reason: ClaimFault, message: str, *, hint: str = "", debug: str = "") -> None:
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
    foreign_hint = default_hint


class TokenRevoked(TokenError):
    """The token, one that it was narrowed from, or its refresh-token family was revoked."""

    code = Code.TOKEN_REVOKED
    foreign_hint = "Log in again for a new token of its issuer, a few seconds after a logout at the earliest"


class TicketRefused(TokenError):
    """A ticket for a WebSocket is unknown, used, over, or for another path or Origin."""

    code = Code.TICKET_REFUSED


class TokenUnknown(TokenError):
    """No personal token has this text: it was revoked or replaced, or another installation made it."""

    code = Code.TOKEN_UNKNOWN
    default_hint = "Send the newest text of the token; 'jotgate pat roll' and 'jotgate pat create' make one"
    foreign_hint = "Send the newest text of the token"


class TokenBound(TokenError):
    """The token is bound to a key or a certificate (RFC 9449 s7.1, RFC 8705 s3), which the request does not prove.

    `by_key`: it is bound to a key, or was sent as if it were.
    """

    code = Code.TOKEN_BOUND
    default_hint = "Send it as its holder: docs/proof-of-possession.md says what must come with it"
    foreign_hint = default_hint

    def __init__(self, message: str, *, by_key: bool, hint: str = "", debug: str = "") -> None:
        super().__init__(message, hint=hint, debug=debug)
        self.by_key = by_key


class ProofRefused(TokenError):
    """RFC 9449 s7.1 `invalid_dpop_proof`: the proof is malformed, of another request or key, too old, or was used."""

    code = Code.PROOF_REFUSED
    default_hint = "Make a new proof for each request: docs/proof-of-possession.md has what stands in one"
    foreign_hint = default_hint


class ProofNonceWanted(ProofRefused):
    """RFC 9449 s9 `use_dpop_nonce`: the proof must have the `nonce` that goes back in the field DPoP-Nonce."""

    code = Code.PROOF_NONCE_WANTED
    default_hint = "Send the request again, with a new proof whose 'nonce' is that of the field DPoP-Nonce"
    foreign_hint = default_hint

    def __init__(self, nonce: str, message: str, *, hint: str = "", debug: str = "") -> None:
        super().__init__(message, hint=hint, debug=debug)
        self.nonce = nonce


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


class PolicyDenied(PermissionRefused):
    """A policy of the operator refuses the call, or none allows it. `policy` names it, for the operator alone."""

    code = Code.POLICY_DENIED
    default_hint = "Ask the operator of this gateway; another token of the same kind is refused too"

    def __init__(self, policy: str, message: str, *, hint: str = "", debug: str = "") -> None:
        super().__init__(message, hint=hint, debug=debug)
        self.policy = policy


class RequestError(Refusal):
    """The request itself is at fault."""


class CredentialsAmbiguous(RequestError):
    """More than one credential in one request (RFC 6750 s2)."""

    code = Code.CREDENTIALS_AMBIGUOUS
    status = 400
    default_hint = "Send one Authorization header and no other credential"


class OriginRefused(RequestError):
    """A cookie is a credential only in the requests of web pages that may send it, which their Origin says."""

    code = Code.ORIGIN_REFUSED
    status = 403
    default_hint = "Call from a page of an origin in cors.origins, or send the token in the Authorization header"


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
    """The body is longer than `limit` bytes, mostly `limits.body_bytes`.

    `size` is how long its head says that it is, or as much of it as had come; 0: neither is known.
    """

    code = Code.BODY_TOO_LARGE
    status = 413

    def __init__(self, message: str, *, size: int = 0, limit: int = 0, hint: str = "", debug: str = "") -> None:
        super().__init__(message, hint=hint, debug=debug)
        self.size = size
        self.limit = limit


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


class UpgradeRequired(RequestError):
    """The path is a WebSocket, and the request asks for none that can be granted (RFC 9110 s15.5.22)."""

    code = Code.UPGRADE_REQUIRED
    status = 426
    default_hint = "Connect with a WebSocket client: RFC 6455, version 13, over HTTP/1.1"


class UnknownModel(RequestError):
    """No route carries this model alias."""

    code = Code.UNKNOWN_MODEL
    status = 404
    default_hint = "GET /v1/models lists the models this token may use"


class RecordMissing(RequestError):
    """There is no record of this name."""

    code = Code.RECORD_MISSING
    status = 404


class RecordChanged(RequestError):
    """Somebody else changed the record first (RFC 9110 s13.1.1: If-Match does not hold)."""

    code = Code.RECORD_CHANGED
    status = 412
    default_hint = "Read it again, and decide anew"


class RecordExists(RequestError):
    """There is a record of this name already."""

    code = Code.RECORD_EXISTS
    status = 409
    default_hint = "Choose another name, or change the one that is there"


class PreconditionRequired(RequestError):
    """A change must say which version of the record it is of (RFC 6585 s3)."""

    code = Code.PRECONDITION_REQUIRED
    status = 428
    default_hint = "Read the record, and send its ETag as If-Match; 'If-Match: *' changes whatever is there"


class MediaTypeRefused(RequestError):
    """The body is of another media type than the one that is taken (RFC 9110 s15.5.16)."""

    code = Code.MEDIA_TYPE_REFUSED
    status = 415
    default_hint = "Send JSON, with Content-Type: application/json"


class IdempotencyMismatch(RequestError):
    """The Idempotency-Key was used for another request."""

    code = Code.IDEMPOTENCY_MISMATCH
    status = 422
    default_hint = "Use a new key for each new request, and the same key for the same request alone"


class IdempotencyPending(RequestError):
    """The first request with this Idempotency-Key is not answered yet, or nobody knows what became of it."""

    code = Code.IDEMPOTENCY_PENDING
    status = 409
    default_hint = "Look whether it was done; if not, send it with another key"


class SecretShown(RequestError):
    """The first answer to this Idempotency-Key held a secret, which is shown once and not kept."""

    code = Code.SECRET_SHOWN
    status = 409
    default_hint = "It was done; if the secret was lost on the way, make a new one"

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
    │   │   │   └── SchemeRefused       … there is a credential of another scheme
    │   │   ├── TokenMalformed          not a compact JWS, or not strict JSON inside
    │   │   ├── TokenEncrypted          a JWE; only signed tokens are taken
    │   │   ├── AlgorithmRefused        `alg` is not one that the issuer's keys carry
    │   │   ├── KeyUnknown              no verification key for this `kid`
    │   │   │   └── KeyUnpublished      … of those held; its issuer may have published it since
    │   │   ├── KeyAmbiguous            no `kid`, and several keys could be meant
    │   │   ├── SignatureInvalid        the signature does not fit the key
    │   │   ├── ClaimRefused            a claim is missing, mistyped or not what is expected
    │   │   ├── TokenExpired            `exp` has passed
    │   │   ├── TokenImmature           `nbf` or `iat` lies in the future
    │   │   ├── TokenRevoked            it, an ancestor or its family was revoked; its owner is disabled
    │   │   ├── TicketRefused           a ticket for a WebSocket is unknown, used, over, or for something else
    │   │   ├── TokenUnknown            no personal token has this text
    │   │   ├── TokenBound              it is bound to a key or certificate that the request does not prove
    │   │   └── ProofRefused            RFC 9449 s7.1 invalid_dpop_proof
    │   │       └── ProofNonceWanted    … use_dpop_nonce: it must have the nonce that goes back
    │   ├── PermissionRefused           403; the principal is known and may not
    │   │   ├── InsufficientScope       RFC 6750 s3.1 insufficient_scope
    │   │   ├── ModelNotPermitted       the token's `models` claim does not name the model
    │   │   ├── McpToolUnapproved       the operator has not approved a tool as it is now
    │   │   └── PolicyDenied            a policy of the operator refuses, or none allows
    │   ├── QuotaExceeded               429; a quota has not so much left
    │   ├── PriceUnknown                403; a limit in money meets the call, whose model has no price
    │   ├── AttemptsThrottled           429; too many refused credentials came from one address
    │   ├── OAuthRefused                400 or 401; an OAuth client is told no, in the words of RFC 6749
    │   │   ├── OAuthMalformed · ClientRefused · ClientNotAllowed
    │   │   ├── GrantRefused            … RefreshExpired: it was not used in its time
    │   │   ├── GrantUnsupported · RevocationUnsupported · ScopeRefused · TargetRefused
    │   │   ├── DpopRefused · DpopNonceWanted · BindingRequired     RFC 9449 s5, s8; RFC 8705 s3
    │   │   ├── AuthorizationDetailsRefused         RFC 9396 s5
    │   │   ├── LogoutRefused           OIDC Back-Channel Logout 1.0 s2.8
    │   │   └── SubjectTokenRefused     RFC 8693 s2.2.2: the token that is to be traded is no good
    │   └── RequestError                4xx; the request itself is at fault
    │       ├── CredentialsAmbiguous    RFC 6750 s3.1: more than one credential
    │       ├── OriginRefused           403; a cookie from a page that may not send it
    │       ├── RequestMalformed · BodyTooLarge · HeadersTooLarge · EncodingRefused · RequestLate
    │       │   └── ChainCallRefused    … is none that a chain or a step's upstream takes; an UpstreamError too
    │       │   └── McpMalformed        … is no message of MCP
    │       ├── McpHeaderMismatch · McpVersionUnsupported · McpSessionUnknown   400, 400, 404; of MCP clients
    │       ├── TooManyConnections      429; one address has its share
    │       ├── UnknownOperation · MethodRefused · UnknownModel · UpgradeRequired
    │       │   └── McpMethodUnknown    … a method of MCP
    │       ├── RecordMissing · RecordChanged · RecordExists        404, 412, 409; of the admin API
    │       ├── PreconditionRequired · MediaTypeRefused             428, 415; of the admin API
    │       └── IdempotencyMismatch · IdempotencyPending · SecretShown  422, 409, 409; of the admin API
    ├── UpstreamError                   502/504; an upstream, not the caller, is at fault
    │   ├── UpstreamUnavailable · UpstreamTimeout · UpstreamTorn · UpstreamFailed · UpstreamRefused
    │   ├── UpstreamTokenError          there is no token that it could be sent
    │   │   ├── UpstreamTokenRefused · UpstreamTokenUnconfigured     … what gets one is refused; nothing gets one (503)
    │   │   └── UpstreamTokenUnavailable                            503 with Retry-After
    │   ├── ChainStepFailed             a step of a chain
    │   │   └── ChainStepHeld           503 with Retry-After
    │   └── ChainOutputInvalid · ChainGateClosed    … its output; the last 422
    ├── Unavailable                     503 with Retry-After; jotgate cannot know the answer now
    │   ├── NotReady · ControlStale · ControlUnreachable · AuditUnavailable · UpstreamBusy · UpstreamSuspended
    │   │   ├── TokenUnresolved         … about a personal token that is not held
    │   │   ├── IdentityUnwritten       … what tells the upstream of a decision who calls
    │   │   ├── TicketUnredeemed        … about a ticket for a WebSocket
    │   │   └── ProofUnmarked           … whether a DPoP proof was used before
    │   ├── QuotaUnavailable            what is left of a quota cannot be known
    │   │   └── UnitsUnresolved         … yet: control has been asked
    │   ├── StoreUnavailable            the store does not answer
    │   ├── KongUnavailable             Kong's Admin API is out of reach or fails
    │   │   └── KongTimeout             … did not answer in time (504)
    │   ├── IssuanceHeld                a token would be refused: what it is met by was revoked a moment ago
    │   └── IssuerUnavailable           the keys of the token's issuer are out of reach
    │       └── StatusUnresolved        … or a status list of its, which names the token
    ├── KongRefused                     502; Kong refuses what jotgate asks of its Admin API
    │   └── KongConflict                … 409; it has that name or key already, and not of jotgate
    └── InternalError                   500; the only wrapper of the unexpected

`message` says what and why and is safe for the caller. `hint` says what to do next. `debug` never leaves the
process except into its own log. A `code` is stable and never used again for another meaning.
"""

from jotgate.codes import Code
from jotgate.failures import (
    AuditUnavailable,
    ChainGateClosed,
    ChainOutputInvalid,
    ChainStepFailed,
    ChainStepHeld,
    ControlStale,
    ControlUnreachable,
    IdentityUnwritten,
    IssuanceHeld,
    IssuerUnavailable,
    KongConflict,
    KongRefused,
    KongTimeout,
    KongUnavailable,
    NotReady,
    ProofUnmarked,
    QuotaUnavailable,
    StatusUnresolved,
    StoreUnavailable,
    TicketUnredeemed,
    TokenUnresolved,
    Unavailable,
    UnitsUnresolved,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamSuspended,
    UpstreamTimeout,
    UpstreamTokenError,
    UpstreamTokenRefused,
    UpstreamTokenUnavailable,
    UpstreamTokenUnconfigured,
    UpstreamTorn,
    UpstreamUnavailable,
)
from jotgate.fault import Evidence, JotgateError
from jotgate.mcp_refusals import (
    McpHeaderMismatch,
    McpMalformed,
    McpMethodAbsent,
    McpMethodUnknown,
    McpSessionUnknown,
    McpToolUnapproved,
    McpVersionUnsupported,
)
from jotgate.oauth_refusals import (
    AuthorizationDetailsRefused,
    BindingRequired,
    ClientNotAllowed,
    ClientRefused,
    DpopNonceWanted,
    DpopRefused,
    GrantRefused,
    GrantUnsupported,
    LogoutRefused,
    OAuthMalformed,
    OAuthRefused,
    RefreshExpired,
    RevocationUnsupported,
    ScopeRefused,
    SubjectTokenRefused,
    TargetRefused,
)
from jotgate.quota_refusals import AttemptsThrottled, PriceUnknown, QuotaExceeded, QuotaStanding
from jotgate.refusals import (
    AlgorithmRefused,
    BodyTooLarge,
    ClaimFault,
    ClaimRefused,
    CredentialsAmbiguous,
    EncodingRefused,
    HeadersTooLarge,
    IdempotencyMismatch,
    IdempotencyPending,
    InsufficientScope,
    KeyAmbiguous,
    KeyUnknown,
    KeyUnpublished,
    MediaTypeRefused,
    MethodRefused,
    ModelNotPermitted,
    OriginRefused,
    PermissionRefused,
    PolicyDenied,
    PreconditionRequired,
    ProofNonceWanted,
    ProofRefused,
    RecordChanged,
    RecordExists,
    RecordMissing,
    Refusal,
    RequestError,
    RequestLate,
    RequestMalformed,
    SchemeRefused,
    SecretShown,
    SignatureInvalid,
    TicketRefused,
    TokenBound,
    TokenEncrypted,
    TokenError,
    TokenExpired,
    TokenImmature,
    TokenMalformed,
    TokenMissing,
    TokenRevoked,
    TokenUnknown,
    TooManyConnections,
    UnknownModel,
    UnknownOperation,
    UpgradeRequired,
)

__all__ = [
    "AddressUnavailable",
    "AlgorithmRefused",
    "AttemptsThrottled",
    "AuditUnavailable",
    "AuthorizationDetailsRefused",
    "BindingRequired",
    "BodyTooLarge",
    "ChainCallRefused",
    "ChainGateClosed",
    "ChainOutputInvalid",
    "ChainStepFailed",
    "ChainStepHeld",
    "ClaimFault",
    "ClaimRefused",
    "ClientNotAllowed",
    "ClientRefused",
    "Code",
    "CommandError",
    "ConfigurationError",
    "ControlStale",
    "ControlUnreachable",
    "CredentialsAmbiguous",
    "DirectoryBusy",
    "DirectoryRefused",
    "DpopNonceWanted",
    "DpopRefused",
    "EncodingRefused",
    "Evidence",
    "GrantRefused",
    "GrantUnsupported",
    "HeadersTooLarge",
    "IdempotencyMismatch",
    "IdempotencyPending",
    "IdentityUnwritten",
    "InsufficientScope",
    "InternalError",
    "IssuanceHeld",
    "IssuerUnavailable",
    "JotgateError",
    "KeyAmbiguous",
    "KeyRefused",
    "KeyUnknown",
    "KeyUnpublished",
    "KongConflict",
    "KongRefused",
    "KongTimeout",
    "KongUnavailable",
    "LogoutRefused",
    "McpHeaderMismatch",
    "McpMalformed",
    "McpMethodAbsent",
    "McpMethodUnknown",
    "McpSessionUnknown",
    "McpToolUnapproved",
    "McpVersionUnsupported",
    "MediaTypeRefused",
    "MethodRefused",
    "ModelNotPermitted",
    "NotReady",
    "OAuthMalformed",
    "OAuthRefused",
    "OriginRefused",
    "PermissionRefused",
    "PolicyDenied",
    "PreconditionRequired",
    "PriceUnknown",
    "ProofNonceWanted",
    "ProofRefused",
    "ProofUnmarked",
    "QuotaExceeded",
    "QuotaStanding",
    "QuotaUnavailable",
    "RecordChanged",
    "RecordExists",
    "RecordMissing",
    "RefreshExpired",
    "Refusal",
    "RequestError",
    "RequestLate",
    "RequestMalformed",
    "RevocationUnsupported",
    "SchemeRefused",
    "ScopeRefused",
    "SecretShown",
    "SignatureInvalid",
    "StatusUnresolved",
    "StoreRefused",
    "StoreUnavailable",
    "SubjectTokenRefused",
    "TargetRefused",
    "TicketRefused",
    "TicketUnredeemed",
    "TokenBound",
    "TokenEncrypted",
    "TokenError",
    "TokenExpired",
    "TokenImmature",
    "TokenMalformed",
    "TokenMissing",
    "TokenRevoked",
    "TokenUnknown",
    "TokenUnresolved",
    "TooManyConnections",
    "Unavailable",
    "UnitsUnresolved",
    "UnknownModel",
    "UnknownOperation",
    "UpgradeRequired",
    "UpstreamBusy",
    "UpstreamError",
    "UpstreamFailed",
    "UpstreamRefused",
    "UpstreamSuspended",
    "UpstreamTimeout",
    "UpstreamTokenError",
    "UpstreamTokenRefused",
    "UpstreamTokenUnavailable",
    "UpstreamTokenUnconfigured",
    "UpstreamTorn",
    "UpstreamUnavailable",
]


class ConfigurationError(JotgateError):
    """Configuration that does not load. `faults` holds (path, what is wrong and what to do) for each fault."""

    code = Code.CONFIGURATION
    status = 500

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__("\n".join(f"{path}: {fault}" if path else fault for path, fault in faults))
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


class ChainCallRefused(RequestMalformed, UpstreamError):
    """A chain does not take the body, or the upstream of one of its steps refuses what the caller said in it.

    It comes from where answers come from, and tells that the caller is at fault; no other upstream is asked for it.
    """


class InternalError(JotgateError):
    """The only wrapper of the unexpected."""

    code = Code.INTERNAL
    status = 500

"""How an OAuth endpoint tells a client no: each class has its word of RFC 6749 s5.2 and its kin."""

from collections.abc import Mapping
from typing import ClassVar

from jotgate.codes import Code
from jotgate.refusals import Refusal


class OAuthRefused(Refusal):
    """A request to the token service is refused; `error` is the word that an OAuth client understands.

    `presented` is what the audit log says of the token that came with it: `issuer`, `jti` and `subject` of one that was
    verified, and the `reason`; of one that was not its `reason` alone, which is a code.
    """

    status = 400
    error: ClassVar[str]
    presented: Mapping[str, str] = {}


class OAuthMalformed(OAuthRefused):
    """`invalid_request`: a parameter is missing, stands twice or is not of its form."""

    code = Code.OAUTH_MALFORMED
    error = "invalid_request"


class ClientRefused(OAuthRefused):
    """`invalid_client`: who asks is not known to be the client that it says; it is sent the challenge of HTTP Basic."""

    code = Code.CLIENT_REFUSED
    status = 401
    error = "invalid_client"
    default_hint = "Check client_id and secret; 'jotgate client show NAME' tells how the client authenticates"


class GrantRefused(OAuthRefused):
    """`invalid_grant`: the assertion or refresh token is wrong, ended, revoked, or another client's.

    `known`: it was given to whoever is asked about it, and was good once, so that nobody has guessed it.
    """

    code = Code.GRANT_REFUSED
    error = "invalid_grant"
    known: bool = False


class RefreshExpired(GrantRefused):
    """The refresh token was good, and was not used in its time."""


class SubjectTokenRefused(OAuthRefused):
    """`invalid_request` (RFC 8693 s2.2.2): the token that is to be traded is wrong, has ended, or was revoked."""

    code = Code.SUBJECT_TOKEN_REFUSED
    error = "invalid_request"


class ClientNotAllowed(OAuthRefused):
    """`unauthorized_client`: this client may not use this grant."""

    code = Code.CLIENT_NOT_ALLOWED
    error = "unauthorized_client"


class GrantUnsupported(OAuthRefused):
    """`unsupported_grant_type`: jotgate has no such grant."""

    code = Code.GRANT_UNSUPPORTED
    error = "unsupported_grant_type"


class RevocationUnsupported(OAuthRefused):
    """`unsupported_token_type` (RFC 7009 s2.2.1): tokens of this type are not clients' to give back."""

    code = Code.REVOCATION_UNSUPPORTED
    error = "unsupported_token_type"


class DpopRefused(OAuthRefused):
    """`invalid_dpop_proof` (RFC 9449 s5): the proof that came with the request is refused."""

    code = Code.DPOP_REFUSED
    error = "invalid_dpop_proof"


class DpopNonceWanted(OAuthRefused):
    """`use_dpop_nonce` (RFC 9449 s8): the proof must have the `nonce` that goes back in the field DPoP-Nonce."""

    code = Code.DPOP_NONCE_WANTED
    error = "use_dpop_nonce"

    def __init__(self, nonce: str, message: str, *, hint: str = "", debug: str = "") -> None:
        super().__init__(message, hint=hint, debug=debug)
        self.nonce = nonce


class BindingRequired(OAuthRefused):
    """`invalid_request`: the client's tokens must be bound, and the request proves nothing to bind them to."""

    code = Code.BINDING_REQUIRED
    error = "invalid_request"


class ScopeRefused(OAuthRefused):
    """`invalid_scope`: more is asked for than may be granted, or what is unknown."""

    code = Code.SCOPE_REFUSED
    error = "invalid_scope"


class TargetRefused(OAuthRefused):
    """`invalid_target` (RFC 8707 s2): the resource is unknown, or not for this client."""

    code = Code.TARGET_REFUSED
    error = "invalid_target"


class AuthorizationDetailsRefused(OAuthRefused):
    """`invalid_authorization_details` (RFC 9396 s5): they are not understood, or ask for more than may be granted."""

    code = Code.AUTHORIZATION_DETAILS_REFUSED
    error = "invalid_authorization_details"


class LogoutRefused(OAuthRefused):
    """`invalid_request` (OIDC Back-Channel Logout 1.0 s2.8): the logout token is no good, or not for this gateway."""

    code = Code.LOGOUT_REFUSED
    error = "invalid_request"

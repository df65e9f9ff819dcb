"""Grants on the wire: their names, a checked request for one, and the answer to it (RFC 6749 s4, s5.1)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from jotgate.core.accounts import ClientRecord, GrantName
from jotgate.core.bindings import UNBOUND, Binding
from jotgate.core.call_details import CallDetails
from jotgate.core.claims import AccessGrant, Issued
from jotgate.core.lineage import Confirmation
from jotgate.core.oauth_form import Form
from jotgate.core.rights import Rights

GRANT_TYPES: Final[Mapping[str, GrantName]] = {
    "client_credentials": "client_credentials",
    "refresh_token": "refresh_token",
    "urn:ietf:params:oauth:grant-type:token-exchange": "token_exchange",
    "urn:ietf:params:oauth:grant-type:jwt-bearer": "jwt_bearer",
}
"""RFC 6749 s4.4, s6; RFC 8693 s2.1; RFC 7523 s2.1. By the value of `grant_type`."""

ACCESS_TOKEN_URN: Final = "urn:ietf:params:oauth:token-type:access_token"
REFRESH_TOKEN_URN: Final = "urn:ietf:params:oauth:token-type:refresh_token"
JWT_URN: Final = "urn:ietf:params:oauth:token-type:jwt"
"""RFC 8693 s3."""

OFFLINE_ACCESS: Final = "offline_access"
"""The scope that asks for a refresh token; it stands in no access token."""

_BEARER: Final = "Bearer"
_DPOP: Final = "DPoP"


async def _none_to_use() -> None:
    """There was no proof."""


class GrantRequest(Struct, frozen=True):
    """A request of a client that has proved who it is and may use the grant.

    `rights` is what it may do now, `peer` the address that the request came from, `came_s` when (NumericDate).
    `binding` is what the request proves, to which its tokens are bound. `use_proof` uses up the proof of a key, once
    nothing else stands against the request (RFC 9449 s11.1); it raises what `services.binding.Binder.use` does.
    """

    client: ClientRecord
    rights: Rights
    form: Form
    peer: str
    came_s: float
    binding: Binding = UNBOUND
    use_proof: Callable[[], Awaitable[None]] = _none_to_use


class TokenResponse(Struct, frozen=True, kw_only=True):
    """What is answered to a request that was granted (RFC 6749 s5.1, RFC 8693 s2.2.1). `expires_in` is in seconds."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str
    refresh_token: str | UnsetType = UNSET
    issued_token_type: str | UnsetType = UNSET
    authorization_details: tuple[CallDetails, ...] | UnsetType = UNSET

    def __repr__(self) -> str:
        return f"TokenResponse(scope={self.scope!r}, expires_in={self.expires_in})"


def token_type_of(confirmation: Confirmation | None) -> str:
    """The scheme that a token is sent with (RFC 9449 s5): one that is bound to a certificate is a bearer token too."""
    return _DPOP if confirmation is not None and confirmation.method == "jkt" else _BEARER


def answer_with(
    issued: Issued,
    grant: AccessGrant,
    now_s: float,
    *,
    refresh_token: str = "",
    issued_token_type: str = "",
    details: CallDetails | None = None,
) -> TokenResponse:
    """The answer that hands out a new token, and with it a refresh token if there is one.

    `details` is what the request bounded it by, all of which was granted (RFC 9396 s7).
    """
    return TokenResponse(
        access_token=issued.token,
        token_type=token_type_of(grant.confirmation),
        expires_in=max(0, issued.expires_at_s - int(now_s)),
        scope=" ".join(grant.scopes),
        refresh_token=refresh_token or UNSET,
        issued_token_type=issued_token_type or UNSET,
        authorization_details=UNSET if details is None else (details,),
    )

"""Another token for a connection that is open: of the same subject, and bound to what the first one is bound to."""

from typing import Final

from msgspec import structs

from jotgate.core.calls import Request
from jotgate.core.principals import Principal
from jotgate.errors import ClaimRefused, TokenBound
from jotgate.gateway.admission import Call, authenticate
from jotgate.gateway.world import World

_CREDENTIALS: Final = frozenset(
    {b"authorization", b"cookie", b"x-api-key", b"api-key", b"sec-websocket-protocol", b"dpop"}
)


def renew(call: Call, world: World, token: bytes, now_s: float) -> tuple[Request, Principal]:
    """The request of an open connection as it would be with this token, and whose that is.

    A connection whose handshake has proven a key goes on with tokens that are bound to the same key, without another
    proof: it is its holder's, and a token that is taken elsewhere is of no use on any other.

    Raises:
        TokenError, IssuerUnavailable: as for a call; TokenBound: it is not bound to what this connection has proven.
        ClaimRefused: it is another subject's.
    """
    had, before = call.request, call.principal
    scheme = b"Bearer " if had.possession is None else b"DPoP "
    headers = {name: value for name, value in had.headers.items() if name not in _CREDENTIALS}
    headers[b"authorization"] = scheme + token
    request = structs.replace(had, headers=headers, query=b"", credential_place="", redemption=None)
    try:
        principal = authenticate(request, call.operation, world, now_s)
    except TokenBound as refusal:
        raise _bound(by_key=refusal.by_key) from None
    if before.confirmation is not None and principal.confirmation != before.confirmation:
        raise _bound(by_key=before.confirmation.method == "jkt")
    if (principal.issuer, principal.subject, principal.tenant) != (before.issuer, before.subject, before.tenant):
        raise ClaimRefused("sub", "mismatch", "the token is another subject's than that of this connection")
    return request, principal


def _bound(*, by_key: bool) -> TokenBound:
    return TokenBound(
        "the token is not bound to what this connection was opened with",
        by_key=by_key,
        hint="Get one for the same key or certificate, or open another connection with it",
    )

"""Verifies an access token of ours whatever resource it is for: for those who give it back, or ask what it says."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from jotgate.core.principals import Principal
from jotgate.errors import ClaimRefused
from jotgate.jose import jws, jwt
from jotgate.jose.jwt import Claims
from jotgate.ports import Clock
from jotgate.services.federation import TrustedIssuer
from jotgate.services.verifier import Verifier


class OwnToken(Struct, frozen=True):
    """A good token of ours: whom it speaks for, its claims, and the name of ours by which it is revoked."""

    principal: Principal
    claims: Claims
    revoked_as: str


def _no_faces() -> Sequence[TrustedIssuer]:
    return ()


class OwnTokens:
    """Holds tokens to what workers hold them to, apart from their audience. `verifier` is control's newest.

    `faces` are the issuers of faces whose tokens are ours too, at that moment.
    """

    def __init__(
        self,
        verifier: Callable[[], Verifier],
        clock: Clock,
        faces: Callable[[], Sequence[TrustedIssuer]] = _no_faces,
    ) -> None:
        self._verifier = verifier
        self._clock = clock
        self._faces = faces

    def verify(self, token: str) -> OwnToken:
        """What a token says.

        Raises:
            TokenError: it is not ours, or is not good: malformed, expired, forged, revoked.
        """
        now_s = self._clock.now_s()
        verifier = self._verifier()
        parsed = jws.parse(token.encode())
        claims = jwt.read_claims(parsed.payload)
        ours = verifier.federation.issuers[0]
        own = next((one for one in self._faces() if one.content.issuer == claims.iss), ours)
        if not all(claims.aud) or not claims.aud:
            raise ClaimRefused("aud", "invalid", "the token is for nobody")
        trusted = own.verify(parsed, claims, now_s, audiences=claims.aud)
        verifier.revoked.check(trusted.principal, trusted.names, own.reach_s)
        return OwnToken(trusted.principal, claims, own.own_name)

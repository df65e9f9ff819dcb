"""Verifies tokens for `jotgate token verify`: those of the native listener, and those that count at a face alone."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from jotgate.assembly.authority import VERIFIED_TOKENS
from jotgate.core.faces import Face
from jotgate.core.issuers import Issuer
from jotgate.core.principals import Principal, Verified
from jotgate.errors import TokenError, TokenExpired, TokenImmature, TokenRevoked
from jotgate.gateway.world import build_verifier
from jotgate.ports import Clock
from jotgate.services.revocation import RevokedSet
from jotgate.services.verifier import Verifier

_KNOWN: Final = (TokenExpired, TokenImmature, TokenRevoked)
"""What is only said of a token whose signature is good."""


class FaceTokens:
    """Mutable: what verifies the tokens of each face. `faces` are those that are served at that moment."""

    def __init__(self, faces: Callable[[], Sequence[Face]], revoked: RevokedSet, clock: Clock) -> None:
        self._faces = faces
        self._revoked = revoked
        self._clock = clock
        self._built: dict[str, tuple[tuple[Issuer, ...], Verifier]] = {}

    def beside(self, native: Callable[[bytes], Awaitable[Principal]]) -> Callable[[bytes], Awaitable[Verified]]:
        """What has a token verified by `native`, and then as each face does.

        It raises what `native` raises, unless a face refuses a token whose signature it knows: that is its own then.
        """

        async def verify(token: bytes) -> Verified:
            try:
                return Verified(await native(token))
            except TokenError as refusal:
                return self._at_a_face(token, refusal)

        return verify

    def _at_a_face(self, token: bytes, refusal: TokenError) -> Verified:
        for face in self._faces():
            try:
                return Verified(self._verifier(face.name, face.issuers).verify(token, self._clock.now_s()), face.name)
            except TokenError as found:
                if isinstance(found, _KNOWN) and not isinstance(refusal, _KNOWN):
                    refusal = found
        raise refusal.with_traceback(None)

    def _verifier(self, face: str, issuers: tuple[Issuer, ...]) -> Verifier:
        known = self._built.get(face)
        if known is None or known[0] != issuers:
            known = issuers, build_verifier(issuers, VERIFIED_TOKENS, revoked=self._revoked)
            self._built[face] = known
        return known[1]

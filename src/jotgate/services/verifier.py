"""Turns a bearer token into a principal, or refuses it for one stated reason.

The cache is keyed by the SHA-256 of the whole token. What it holds belongs to one compiled issuer, and is good while
that issuer is trusted as it was, while its key is in the issuer's set, while the token's time has not passed, and while
neither the token nor anything that it came of was revoked: all checked on every call. Refusals are never cached.
"""

from hashlib import sha256
from math import inf
from typing import Final

from jotgate.core.durable import RevocationKind
from jotgate.core.principals import Principal
from jotgate.core.revocations import handle_name, token_handle
from jotgate.errors import KeyUnknown, TokenError, TokenExpired, TokenImmature
from jotgate.jose import jws, jwt
from jotgate.services.endless_sights import EndlessSights
from jotgate.services.federation import Federation, Trusted, TrustedIssuer
from jotgate.services.revocation import RevokedSet

_GENERATIONS: Final = 2


class TokenCache:
    """At most `capacity` verified tokens by digest, in two generations. Mutable: it outlives the worlds that use it.

    `sights` are those of them that never expire, and of which nobody was told yet.
    """

    __slots__ = ("_generation_size", "_old", "_young", "capacity", "sights")

    def __init__(self, capacity: int, sights: EndlessSights | None = None) -> None:
        self.capacity: Final = capacity
        self.sights: Final = EndlessSights() if sights is None else sights
        self._generation_size = max(1, capacity // _GENERATIONS)
        self._young: dict[bytes, Trusted] = {}
        self._old: dict[bytes, Trusted] = {}

    def find(self, digest: bytes) -> Trusted | None:
        """What is remembered under a digest; it is the caller's to see whether that still holds."""
        found = self._young.get(digest)
        if found is None:
            found = self._old.get(digest)
            if found is not None:
                self.keep(digest, found)
        return found

    def keep(self, digest: bytes, found: Trusted) -> None:
        """Remember a token; the oldest generation is let go when there is no room."""
        if len(self._young) >= self._generation_size:
            self._old = self._young
            self._young = {}
        self._young[digest] = found

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())


class Verifier:
    """Verifies tokens of all trusted issuers; mutable only in its counts and in its cache."""

    def __init__(self, federation: Federation, cache: TokenCache, revoked: RevokedSet) -> None:
        self.federation: Final = federation
        self.cache: Final = cache
        self.revoked: Final = revoked
        self._trusted = frozenset(federation.issuers)
        self.lookups = 0
        self.misses = 0

    def verify(self, token: bytes, now_s: float) -> Principal:
        """The principal that the token speaks for at `now_s`.

        Raises:
            TokenError: one subclass for each reason.
            IssuerUnavailable: its issuer's keys are out of reach, so that the answer cannot be known.
        """
        self.lookups += 1
        digest = sha256(token).digest()
        found = self.cache.find(digest)
        if found is None or found.issuer not in self._trusted:
            return self._verify_new(token, digest, now_s)
        issuer = found.issuer
        if now_s >= issuer.ends_s:
            issuer.drop_ended(now_s)
        if found.key not in issuer.keys:
            return self._verify_new(token, digest, now_s)  # It is refused for what a worker says that never saw it.
        if now_s >= found.due_s:
            self._look_closely(found, digest, now_s)
        if now_s < found.not_before_s:
            leeway_s = issuer.content.leeway_s
            early = TokenImmature("the token is not valid yet")
            raise early.showing("nbf", f"at most {now_s + leeway_s:.3f}", found.not_before_s + leeway_s)
        if found.spared_at is not self.revoked.growth:
            self._check_revoked(found)
        return found.principal

    def knows(self, token: bytes) -> bool:
        """Whether a token was good at some time; it may have ended since, or its issuer may be trusted otherwise."""
        return self.cache.find(sha256(token).digest()) is not None

    def look_again(self, token: bytes, now_s: float) -> Trusted:
        """What is known of a token that a running call came with. Raises as `verify` does."""
        self.verify(token, now_s)
        found = self.cache.find(sha256(token).digest())
        assert found is not None, "what was verified just now is remembered"
        return found

    def _verify_new(self, token: bytes, digest: bytes, now_s: float) -> Principal:
        self.misses += 1
        parsed = jws.parse(token)
        claims = jwt.read_claims(parsed.payload)
        issuer = self.federation.find(claims.iss)
        try:
            found = issuer.verify(parsed, claims, now_s)
        except KeyUnknown:
            if self._was_key_revoked(issuer, parsed.kid):
                revoked = KeyUnknown("the key that the token names was revoked", hint=TokenError.default_hint)
                raise revoked.showing("kid", None, parsed.kid) from None
            raise
        self._check_revoked(found)
        self.cache.keep(digest, found)
        if found.not_after_s == inf:
            self.cache.sights.see(found, digest, now_s)
        return found.principal

    def _look_closely(self, found: Trusted, digest: bytes, now_s: float) -> None:
        """Refuse what has ended; note of what never ends that it is used. Raises TokenExpired, TokenRevoked."""
        if found.not_after_s < inf:
            leeway_s = found.issuer.content.leeway_s
            late = TokenExpired("the token has expired")
            raise late.showing("exp", f"more than {now_s - leeway_s:.3f}", found.principal.expires_at_s)
        self._check_revoked(found)
        self.cache.sights.see(found, digest, now_s)

    def _was_key_revoked(self, issuer: TrustedIssuer, kid: str | None) -> bool:
        """Whether a key of this installation's that is gone was revoked, and not replaced in its time."""
        if kid is None or not issuer.own_name:
            return False
        return not self.revoked.spares((handle_name(RevocationKind.KEY, token_handle(issuer.own_name, kid)),))

    def _check_revoked(self, found: Trusted) -> None:
        revoked = self.revoked
        growth = revoked.growth
        if revoked and not revoked.spares(found.names):
            revoked.check(found.principal, found.names, found.issuer.reach_s)
        found.spared_at = growth  # What it spares, it spares until something is added to it.

"""Turns a bearer token into a principal, or refuses it for one stated reason.

A verifier belongs to one issuer's expectation and key set; a snapshot with other ones gets a new verifier with an
empty cache. The cache is keyed by the SHA-256 of the whole token and holds principals only: a hit is good while its
key is in the set and the token's time has not passed, both checked on every call. Refusals are never cached.
"""

from hashlib import sha256
from typing import Final

from msgspec import Struct

from jotgate.core.principals import Principal
from jotgate.errors import ClaimRefused, KeyUnknown, TokenExpired, TokenImmature
from jotgate.jose import jwt
from jotgate.jose.jwt import Claims, Expectation
from jotgate.jose.keys import KeySet, VerificationKey

_GENERATIONS: Final = 2


class _Verified(Struct, frozen=True):
    key: VerificationKey
    principal: Principal
    not_after_s: float
    not_before_s: float


class Verifier:
    """Verifies tokens of one issuer; mutable only in its counts and in its cache of at most `capacity` tokens."""

    def __init__(
        self, *, keys: KeySet, expectation: Expectation, default_scopes: frozenset[str], capacity: int
    ) -> None:
        self._keys = keys
        self._expectation = expectation
        self._default_scopes = default_scopes
        self._generation_size = max(1, capacity // _GENERATIONS)
        self._young: dict[bytes, _Verified] = {}
        self._old: dict[bytes, _Verified] = {}
        self.lookups = 0
        self.misses = 0

    def verify(self, token: bytes, now_s: float) -> Principal:
        """The principal that the token speaks for at `now_s`.

        Raises:
            TokenError: one subclass for each reason.
        """
        self.lookups += 1
        digest = sha256(token).digest()
        found = self._young.get(digest) or self._promote(digest)
        if found is None:
            found = self._verify_cold(token, now_s)
            self._remember(digest, found)
        if self._keys.get(found.key.kid) is not found.key:
            raise KeyUnknown("the token's key is no longer in the issuer's key set")
        if now_s >= found.not_after_s:
            raise TokenExpired("the token has expired")
        if now_s < found.not_before_s:
            raise TokenImmature("the token is not valid yet")
        return found.principal

    def _verify_cold(self, token: bytes, now_s: float) -> _Verified:
        self.misses += 1
        verified = jwt.verify(token, self._keys, self._expectation, now_s)
        claims = verified.claims
        leeway_s = self._expectation.leeway_s
        principal = read_principal(claims, verified.key.kid, self._default_scopes)
        begin_s = max(principal.not_before_s, claims.iat or 0.0)
        return _Verified(verified.key, principal, principal.expires_at_s + leeway_s, begin_s - leeway_s)

    def _promote(self, digest: bytes) -> _Verified | None:
        found = self._old.get(digest)
        if found is not None:
            self._remember(digest, found)
        return found

    def _remember(self, digest: bytes, found: _Verified) -> None:
        if len(self._young) >= self._generation_size:
            self._old = self._young
            self._young = {}
        self._young[digest] = found


def read_principal(claims: Claims, kid: str, default_scopes: frozenset[str]) -> Principal:
    """The principal in verified claims; a token without `scope` has its issuer's default scopes.

    Raises:
        ClaimRefused: `models` is there and is not an array of strings.
    """
    return Principal(
        issuer=claims.iss or "",
        subject=claims.sub or "",
        client_id=claims.client_id or "",
        token_id=claims.jti or "",
        kid=kid,
        scopes=default_scopes if claims.scope is None else frozenset(claims.scope.split(" ")) - {""},
        models=_models(claims.raw["models"]) if "models" in claims.raw else None,
        expires_at_s=claims.exp or 0.0,
        not_before_s=claims.nbf or 0.0,
    )


def _models(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ClaimRefused("models", "invalid", "the claim 'models' is not an array of strings")
    return frozenset(value)

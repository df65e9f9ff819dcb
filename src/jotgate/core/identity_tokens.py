"""The short token of ours that tells an upstream behind a proxy who calls (the field X-Jot-Identity).

Whoever reaches an upstream can write the other fields; this one nobody can, but whoever holds a signing key of this
installation. It says whose a request is, and opens nothing: no gateway of ours takes its type.
"""

from typing import Final

from msgspec import Struct

from jotgate.core.lineage import actor_claim
from jotgate.core.principals import Principal
from jotgate.core.values import Secret

IDENTITY_TYPE: Final = "jot-identity+jwt"
_SHORTEST_S: Final = 5
"""It lives for so long, even where the caller's token is taken within its leeway only."""
_USED_OF_LIFE: Final = 0.75
"""So much of its life it is sent; what is left is the upstream's, to look at it."""


class IdentityRules(Struct, frozen=True):
    """Whom these tokens are for, and how long they live, in seconds."""

    audience: str
    life_s: int


class Identity(Struct, frozen=True):
    """Such a token, for whom, and until when it is sent (NumericDate)."""

    token: Secret
    audience: str
    used_until_s: float


def identity_times(principal: Principal, rules: IdentityRules, now_s: float) -> tuple[int, float]:
    """Its `exp`, and until when it is sent: it does not outlive what it was made for."""
    end_s = int(now_s) + rules.life_s
    if principal.expires_at_s < end_s:
        end_s = max(int(principal.expires_at_s), int(now_s) + _SHORTEST_S)
        return end_s, end_s
    return end_s, now_s + rules.life_s * _USED_OF_LIFE


def identity_claims(
    principal: Principal, rules: IdentityRules, issuer: str, token_id: str, now_s: float
) -> dict[str, object]:
    """Its claims: those of a token of ours, but that `subject_issuer` says who vouches for `sub`."""
    claims: dict[str, object] = {
        "iss": issuer,
        "sub": principal.subject,
        "aud": rules.audience,
        "exp": identity_times(principal, rules, now_s)[0],
        "iat": int(now_s),
        "jti": token_id,
        "subject_issuer": principal.issuer,
        "scope": " ".join(sorted(principal.scopes)),
    }
    if principal.client_id:
        claims["client_id"] = principal.client_id
    if principal.tenant:
        claims["tenant"] = principal.tenant
    if principal.roles:
        claims["roles"] = sorted(principal.roles)
    if principal.actors:
        claims["act"] = actor_claim(principal.actors)
    if not claims["scope"]:
        del claims["scope"]
    return claims

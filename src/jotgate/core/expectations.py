"""What a route demands of a token beside its issuer's rules; checked on every call, from what the token said."""

from msgspec import Struct

from jotgate.core.principals import Principal
from jotgate.errors import ClaimRefused


class RouteExpectation(Struct, frozen=True):
    """One of `audiences` must be in the token's `aud`, and its `typ` one of `token_types`; none of them: any.

    Types are in lower case without `application/`, an empty one stands for a token without `typ`. `age_s` bounds the
    time since its `iat`, in seconds; None: any age.
    """

    audiences: frozenset[str] = frozenset()
    token_types: frozenset[str] = frozenset()
    age_s: int | None = None


def unmet(expectation: RouteExpectation, principal: Principal, now_s: float) -> ClaimRefused | None:
    """How a token falls short of what a route expects at `now_s` (seconds since the epoch); None: it does not."""
    if expectation.audiences and expectation.audiences.isdisjoint(principal.audiences):
        text = "the token is not for an audience that is taken here"
        return _refusal("aud", text, sorted(expectation.audiences), sorted(principal.audiences))
    if expectation.token_types and principal.token_type not in expectation.token_types:
        text = "the token is of another kind ('typ') than is taken here"
        return _refusal("typ", text, sorted(expectation.token_types), principal.token_type or None)
    if expectation.age_s is None:
        return None
    issued_at_s = principal.issued_at_s
    if issued_at_s is None:
        return _refusal("iat", "the token does not say when it was issued, which is asked here")
    if now_s - issued_at_s < expectation.age_s:
        return None
    text = f"the token was issued more than {expectation.age_s} seconds ago, which is not taken here"
    return _refusal("iat", text, f"more than {now_s - expectation.age_s:.3f}", issued_at_s)


def _refusal(claim: str, text: str, wanted: object = None, got: object = None) -> ClaimRefused:
    refusal = ClaimRefused(claim, "mismatch" if got else "missing", text)
    return refusal.showing(claim, wanted, got)

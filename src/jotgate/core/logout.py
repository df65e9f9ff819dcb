"""What a logout token says (OpenID Connect Back-Channel Logout 1.0 s2.4): who, or which session, has logged out."""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from jotgate.core.account_checks import ACCESS_TTL_MAX_S
from jotgate.core.claim_values import NAME, is_name, wrong_shape
from jotgate.core.issuers import ClaimMapping, Issuer
from jotgate.core.principals import read_subject
from jotgate.errors import ClaimRefused
from jotgate.jose.jwt import LEEWAY_S_MAX, Claims, Expectation, media_type

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
TYPES: Final = ("logout+jwt", "JWT", "")
"""What they are, and what those of issuers are that type no token; it is `events` that tells them from others."""

TOKEN_LIFETIME_MAX_S: Final = 3_600
_REQUIRED: Final = frozenset({"iss", "aud", "iat", "exp", "jti", "events"})
_EVENT_TYPES: Final = frozenset(("logout+jwt", "secevent+jwt"))
_OF_ID_TOKENS: Final = "nonce"


class Logout(Struct, frozen=True, kw_only=True):
    """Who has logged out at an issuer. `session` empty: of all their sessions; `subject` empty: whoever's that is.

    `token_id` is the `jti` of the logout token, which nobody takes any more from `ends_at_s` on (NumericDate).
    """

    issuer: str
    subject: str
    session: str
    token_id: str
    ends_at_s: int


def logout_expectation(issuer: Issuer) -> Expectation:
    """What is demanded of an issuer's logout tokens: s2.6, numbers 2 and 3."""
    return Expectation(
        issuer=issuer.issuer,
        audiences=issuer.logout_audiences,
        types=TYPES,
        algorithms=issuer.algorithms,
        leeway_s=issuer.leeway_s,
        lifetime_max_s=TOKEN_LIFETIME_MAX_S,
        required=_REQUIRED,
    )


def read_logout(claims: Claims, issuer: Issuer) -> Logout:
    """What a verified logout token says: s2.6, numbers 4 to 6.

    Raises:
        ClaimRefused: it is no logout token, or says of nobody that they logged out.
    """
    events = claims.raw.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise ClaimRefused("events", "mismatch", "the token is no logout token: its 'events' does not say so")
    if _OF_ID_TOKENS in claims.raw:
        raise ClaimRefused(_OF_ID_TOKENS, "invalid", "the token is no logout token: it has a claim 'nonce'")
    session = claims.raw.get("sid", "")
    if "sid" in claims.raw and not is_name(session):
        raise wrong_shape(("sid",), NAME, session)
    if claims.sub is None and not session:
        raise ClaimRefused("sub", "missing", "the logout token has neither a claim 'sub' nor a claim 'sid'")
    return Logout(
        issuer=issuer.issuer,
        subject="" if claims.sub is None else _subject(claims.raw, issuer.mapping),
        session=str(session),
        token_id=claims.jti or "",
        ends_at_s=int(claims.exp or 0) + LEEWAY_S_MAX + 1,
    )


def tells_of_events(types: Iterable[str]) -> bool:
    """Whether one of these types is that of tokens that `check_no_event` refuses for their type alone."""
    return not _EVENT_TYPES.isdisjoint(map(media_type, types))


def check_no_event(claims: Claims, typ: str | None) -> None:
    """Refuse a token that tells of something that happened, such as a logout (RFC 8417 s2.2): it opens nothing.

    Its type tells it from others only if its issuer types its tokens; its claim `events` does always.

    Raises:
        ClaimRefused: it does.
    """
    if typ is not None and media_type(typ) in _EVENT_TYPES:
        raise ClaimRefused("typ", "mismatch", f"the token tells of an event, and lets nobody in: its 'typ' is {typ}")
    if isinstance(claims.raw.get("events"), dict):
        raise ClaimRefused("events", "invalid", "the token tells of an event, such as a logout, and lets nobody in")


def forgotten_at_s(issuer: Issuer, now_s: int, refresh_end_s: int) -> int | None:
    """When all has ended that an issuer's tokens of now were worth, those of ours too that they were traded for.

    That is they themselves, the access tokens that clients got for them, which do not live longer than clients' may,
    and refresh tokens: of those that there are now none is of use from `refresh_end_s` on (NumericDate), and what is
    revoked is not rotated. None: the issuer's tokens may live for ever.
    """
    if "exp" not in issuer.required:
        return None
    return max(now_s + max(issuer.lifetime_max_s, ACCESS_TTL_MAX_S), refresh_end_s)


def _subject(claims: Mapping[str, object], mapping: ClaimMapping) -> str:
    """Whom the issuer's tokens name as this one does: by the same claims."""
    try:
        return read_subject(claims, mapping)
    except ClaimRefused as refusal:
        raise ClaimRefused(
            refusal.claim,
            refusal.reason,
            f"the logout token does not say by the claim '{refusal.claim}', as the issuer's tokens do, who logged out",
        ) from None

"""Gathers what an operator wants to know of a refused token. Nothing in it is verified, and the token is not in it.

It is asked for when a token has been refused, so that what it costs is the refused caller's.
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final

import msgspec

from jotgate.core.issuers import OURS
from jotgate.core.lineage import ACTORS_MAX
from jotgate.errors import ClaimRefused, Evidence, IssuerUnavailable, TokenError
from jotgate.jose import jws
from jotgate.jose.encoding import parse_object
from jotgate.jose.jws import Jws
from jotgate.services.federation import Federation, TrustedIssuer

TEXT_CHARS_MAX: Final = 200
KIDS_MAX: Final = 8
ANCESTORS_MAX: Final = 16
_NOTHING: Final[Mapping[str, object]] = {}


def examine(
    token: bytes, refusal: TokenError | IssuerUnavailable, federation: Federation, now_s: float, place: str
) -> None:
    """Add to a refusal its evidence, and the hint that fits the issuer whose rules were applied.

    `place` is where the token stood, empty for the Authorization header.
    """
    parsed = _parse(token)
    claims = _NOTHING if parsed is None else _claims(parsed)
    issuer = None if parsed is None else _find(claims, federation)
    fault = refusal if isinstance(refusal, TokenError) else None
    if fault is not None and issuer is not None and issuer.content.name != OURS and fault.hint == fault.default_hint:
        fault.hint = fault.foreign_hint
    kids = () if issuer is None else tuple(key.kid for key in issuer.keys.keys)
    refusal.evidence = Evidence(
        digest=sha256(token).hexdigest(),
        now_s=now_s,
        size=len(token),
        place=place or "authorization",
        alg="" if parsed is None else _text(parsed.alg),
        kid="" if parsed is None else _text(parsed.kid),
        typ="" if parsed is None else _text(parsed.typ),
        iss=_text(claims.get("iss")),
        exp=_time(claims.get("exp")),
        nbf=_time(claims.get("nbf")),
        iat=_time(claims.get("iat")),
        claim="" if fault is None else _text(fault.claim),
        fault=fault.reason if isinstance(fault, ClaimRefused) else "",
        wanted="" if fault is None else _text(fault.wanted),
        got="" if fault is None else _text(fault.got),
        rules="" if issuer is None else issuer.content.name,
        leeway_s=0 if issuer is None else issuer.content.leeway_s,
        keys=len(kids),
        kids=tuple(map(_text, kids[:KIDS_MAX])),
        jti=_text(claims.get("jti")),
        ancestors=_texts(claims.get("ancestors")),
        actors=tuple(_actors(claims.get("act"))),
    )


def _parse(token: bytes) -> Jws | None:
    try:
        return jws.parse(token)
    except TokenError:
        return None


def _find(claims: Mapping[str, object], federation: Federation) -> TrustedIssuer | None:
    claimed = claims.get("iss")
    try:
        return federation.find(claimed if isinstance(claimed, str) else None)
    except ClaimRefused:
        return None


def _claims(parsed: Jws) -> Mapping[str, object]:
    try:
        return parse_object(parsed.payload, "claims set")
    except TokenError:
        return _NOTHING


def _text(value: object) -> str:
    """Text of bounded length; what is no text, as JSON. Whatever does not print is escaped as Python writes it.

    A terminal would obey a control character, and show the text in another order for one such as U+202E.
    """
    if value is None:
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode("utf-8")
    if not text.isprintable():
        text = "".join(map(_printable, text[:TEXT_CHARS_MAX])) + text[TEXT_CHARS_MAX:]
    return text if len(text) <= TEXT_CHARS_MAX else text[: TEXT_CHARS_MAX - 1] + "…"


def _printable(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode("ascii")


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(_text, value[:ANCESTORS_MAX])) if isinstance(value, list) else ()


def _actors(claim: object) -> Iterator[str]:
    """Who acts, and before that one, and so on, as far as the claim `act` may go."""
    for _ in range(ACTORS_MAX):
        if not isinstance(claim, dict):
            return
        yield _text(claim.get("sub"))
        claim = claim.get("act")


def _time(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

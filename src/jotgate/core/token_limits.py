"""The limits that tokens bring: how ours say them in the claim `limits`, and how those of other issuers are read.

The claim is an array. A text is a limit of the token itself. An object has the `limits` of the token `of` which it
came, called as in `ancestors`, or of the refresh-token family that it is of: they count on the account of that.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from jotgate.core.claim_values import is_name, wrong_shape
from jotgate.core.issuers import QuotaClaim
from jotgate.core.limit_texts import AMOUNT_MAX, read_limit, write_limit
from jotgate.core.quotas import Limit, TokenLimit
from jotgate.errors import CommandError

CLAIM: Final = "limits"
TOKEN_LIMITS_MAX: Final = 32
"""So many limits may a token bring, those of what it came of included: each call takes from all of them."""

_SHAPE: Final = "an array of limits"
_MEMBERS: Final = frozenset({"of", "limits"})


def limits_claim(limits: Iterable[TokenLimit], issuer: str) -> list[object]:
    """The claim of these limits, in a token of ours: `issuer` is its `iss`. `read_token_limits` reads it."""
    claim: list[object] = []
    inherited: dict[str, list[str]] = {}
    for one in limits:
        text = write_limit(one.limit)
        if one.of:
            inherited.setdefault(one.of.removeprefix(f"{issuer} "), []).append(text)
        else:
            claim.append(text)
    return [*claim, *({"of": name, "limits": texts} for name, texts in inherited.items())]


def read_token_limits(claims: Mapping[str, object]) -> tuple[TokenLimit, ...]:
    """What a verified token of ours brings, if it has the claim.

    Raises:
        ClaimRefused: the claim is not of its shape, so that what the token may spend cannot be known.
    """
    listed = claims.get(CLAIM, ())
    if not isinstance(listed, list | tuple):
        raise wrong_shape((CLAIM,), _SHAPE, listed)
    found: list[TokenLimit] = []
    for one in listed:
        if isinstance(one, str):
            found.append(TokenLimit(_read(one)))
        else:
            found += _read_inherited(one, claims["iss"])
    return tuple(found)


def read_claimed(claims: Mapping[str, object], quota: QuotaClaim) -> tuple[TokenLimit, ...]:
    """How many requests a verified token of another issuer is good for; of a number that is not above 0, none.

    Raises:
        ClaimRefused: the claim is there, and is no whole number.
    """
    if quota.name not in claims:
        return (TokenLimit(Limit("requests", quota.absent)),)
    found = claims[quota.name]
    if type(found) is not int:  # True is no number.
        raise wrong_shape((quota.name,), "a whole number", found)
    return (TokenLimit(Limit("requests", min(max(found, 0), AMOUNT_MAX))),)


def limit_lines(limits: Iterable[TokenLimit], issuer: str) -> list[str]:
    """The limits that a token of an issuer brings, for people; behind those of others stands whose they are."""
    own = f"{issuer} "
    return [
        f"{write_limit(one.limit)} (of {one.of.removeprefix(own)})" if one.of else write_limit(one.limit)
        for one in limits
    ]


def _read_inherited(found: object, issuer: object) -> list[TokenLimit]:
    if not isinstance(found, dict) or found.keys() != _MEMBERS:
        raise wrong_shape((CLAIM,), _SHAPE, found)
    name, texts = found["of"], found["limits"]
    if not is_name(name) or not isinstance(texts, list) or not texts:
        raise wrong_shape((CLAIM,), _SHAPE, found)
    of = name if " " in name else f"{issuer} {name}"  # As `core.revocations.ancestor_handle` has it.
    return [TokenLimit(_read(text), of) for text in texts]


def _read(text: object) -> Limit:
    if isinstance(text, str) and (found := _known(text)) is not None:
        return found
    raise wrong_shape((CLAIM,), _SHAPE, text)


@lru_cache(maxsize=256)
def _known(text: str) -> Limit | None:
    """The limit of a text; tokens share a few. None: it is none."""
    try:
        return read_limit(text)
    except CommandError:
        return None

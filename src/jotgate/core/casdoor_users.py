"""Asking a Casdoor how one of its users stands now: a token says how they stood when it was made, or says nothing.

It is asked with the user's own access token, which Casdoor looks up: one that it has revoked is told no. Casdoor of
August 2026 and later tells that no to users who are forbidden, too, and shows what it is in their records to others.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from msgspec import Struct

from jotgate.core.kong_auth import KongUser
from jotgate.core.login_answers import plain_cause, read_object, text_of
from jotgate.core.routes import Reach
from jotgate.core.token_exchange import Answered, Post, Unanswered
from jotgate.core.values import Secret
from jotgate.errors import ClaimRefused, IssuerUnavailable, TokenRevoked

TIMEOUT_S: Final = 4.0
"""So long Casdoor has to say how a user stands."""
ANSWER_BYTES_MAX: Final = 1_048_576
"""A record of a user has all the roles, permissions and properties of that user in it."""
_PATH: Final = "/api/get-user"
_OK: Final = 200
_REFUSALS: Final = frozenset({401, 403})
_AGAIN: Final = "Log in at Casdoor again for a new access token"
_OPERATOR: Final = "Ask whoever runs Casdoor"


class CasdoorPlace(Struct, frozen=True):
    """Which Casdoor is asked, and how it is reached: by its `iss`, over what its issuer's keys are fetched by."""

    issuer: str
    organization: str
    roots: str = ""
    public_only: bool = False


def ask_for(place: CasdoorPlace, user: KongUser, token: Secret) -> Post:
    """The request for the record of the user whose access token it is: the one with that id, whatever it is called."""
    query = urlencode({"owner": place.organization, "userId": user.subject})
    return Post(
        url=f"{place.issuer.rstrip('/')}{_PATH}?{query}",
        content_type="",
        body=Secret(""),
        authorization=Secret(f"Bearer {token.reveal()}"),
        timeout_s=TIMEOUT_S,
        reach=Reach(roots=place.roots),
        method="GET",
        public_only=place.public_only,
    )


def check_standing(answer: Answered | Unanswered, organization: str, user: KongUser) -> None:
    """Raise unless Casdoor says that this user is one of the organization, neither forbidden nor deleted.

    Raises:
        TokenRevoked, ClaimRefused: Casdoor refuses the token, or the user is none of those.
        IssuerUnavailable: Casdoor does not say.
    """
    if isinstance(answer, Unanswered):
        raise _unclear(answer.reason)
    told = read_object(answer.body.reveal().encode())
    if answer.status in _REFUSALS or (answer.status == _OK and told.get("status") == "error"):
        said = plain_cause(text_of(told, "msg"))
        raise TokenRevoked("Casdoor does not take the token any more", hint=_AGAIN, debug=said or str(answer.status))
    if answer.status != _OK or told.get("status") != "ok" or "data" not in told:
        raise _unclear(f"it answered {answer.status}, and no record of a user")
    found = told["data"]
    if found is None:
        raise ClaimRefused("sub", "mismatch", "Casdoor knows no such user any more", hint=_OPERATOR)
    if not isinstance(found, Mapping):
        raise _unclear("its record of a user is no object")
    if found.get("id") != user.subject or found.get("owner") != organization:
        raise _unclear("its record is not of the user who was asked for")
    for name, word in (("isForbidden", "forbidden"), ("isDeleted", "deleted")):
        value = found.get(name)
        if not isinstance(value, bool):
            raise _unclear(f"its record does not say {name}")
        if value:
            raise ClaimRefused(name, "mismatch", f"Casdoor says that the user is {word}", hint=_OPERATOR)


def _unclear(debug: str) -> IssuerUnavailable:
    return IssuerUnavailable("Casdoor does not say whether the user may still log in", debug=debug)

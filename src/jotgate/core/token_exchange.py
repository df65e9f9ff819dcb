"""Requests to token endpoints, and what their answers mean (RFC 6749 s4.4, s5, s6; RFC 7523; Coze's form of them).

An answer is the words of somebody else: what is told of it is short, printable, and free of what looks like a secret.
"""

from base64 import b64encode
from math import ceil, isfinite
from typing import Final, Literal
from urllib.parse import quote_plus, urlencode

import msgspec
from msgspec import Struct

from jotgate.core.login_answers import plain_cause, read_object, refusal_of, text_of
from jotgate.core.routes import Reach
from jotgate.core.token_grants import (
    ACCESS_TOKEN_TYPE,
    CLIENT_ASSERTION,
    JWT_BEARER,
    JWT_TYPE,
    TOKEN_EXCHANGE,
    TokenGrant,
)
from jotgate.core.values import Secret

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
LIFE_MIN_S: Final = 6.0
"""A token that lives for less could not be used: none is, in its last 5 s."""
_LIFE_MAX_S: Final = 366 * 86_400.0
_ABSOLUTE_S: Final = 1e9  # What is larger is no span of 31 years, but a time since the epoch.
_UNSTATED_S: Final = 300.0
_TOKEN_CHARS_MAX: Final = 16_384
_RETRY_S: Final = 1
_RETRY_MAX_S: Final = 300
_NOT_NOW: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_NOT_NOW_WORDS: Final = frozenset({"temporarily_unavailable", "server_error", "internal_error", "slow_down"})
_OF_ALL_WORDS: Final = frozenset(
    {"invalid_grant", "invalid_scope", "unsupported_grant_type", "access_deny", "access_denied"}
)
"""What is wrong with a client, its key or what it may ask for, whichever session it asks for (RFC 6749 s5.2)."""
_OF_ONE_STATUSES: Final = frozenset({400, 422})
_OTHER_KEY_WORDS: Final = frozenset({"invalid_client", "unauthorized_client"})


class Post(Struct, frozen=True):
    """One POST to a token endpoint. `authorization` is the value of that field, if there is one.

    `method` GET: an issuer is asked for a record, without a body. `public_only`: at a public address, over https.
    """

    url: str
    content_type: str
    body: Secret
    authorization: Secret | None = None
    timeout_s: float = 10.0
    reach: Reach = Reach()
    method: Literal["GET", "POST"] = "POST"
    public_only: bool = False


class Answered(Struct, frozen=True):
    """What the endpoint answered. `retry_after` is the text of that field; empty: there was none."""

    status: int
    body: Secret
    retry_after: str = ""


class Unanswered(Struct, frozen=True):
    """There was no answer. `reason` is a clause for the operator, without a secret."""

    reason: str


class KeptRefreshToken(Struct, frozen=True):
    """A refresh token that was got, and is kept from one control process to the next.

    `origin` is what it descends from: `token_grants.LOGIN`, or `TokenGrant.origin` of the configured one. `obtained_s`
    is when it was got, in seconds since the epoch. `fault` says why it is of no use any more; empty: it may be.
    """

    token: Secret
    origin: str
    obtained_s: float
    fault: str = ""


class Handout(Struct, frozen=True):
    """A token that was handed out, when it ends (seconds since the epoch), and the refresh token that came along."""

    token: Secret
    ends_s: float
    refresh_token: Secret | None = None


class Declined(Struct, frozen=True):
    """A no. `cause` is safe; `for_key`: another key or secret of the same client may be taken.

    `for_session`: it may be about what was asked for one session, and says nothing of others.
    """

    cause: str
    for_key: bool = False
    for_session: bool = False


class NotNow(Struct, frozen=True):
    """Neither: the endpoint did not answer, or wants to be asked later."""

    cause: str
    retry_after_s: int = _RETRY_S


def write_post(
    grant: TokenGrant,
    *,
    assertion: Secret | None = None,
    refresh_token: Secret | None = None,
    subject_token: Secret | None = None,
) -> Post:
    """The request of a grant: with an assertion where its client signs, with a refresh token where it has one.

    `subject_token` is what is exchanged for a token of whom it speaks of.
    """
    if grant.dialect == "coze":
        return _write_coze(grant, assertion, refresh_token)
    fields: dict[str, str] = {}
    if grant.kind == "jwt-bearer":
        fields = {"grant_type": JWT_BEARER, "assertion": _reveal(assertion)}
    elif grant.refreshes:
        fields = {"grant_type": "refresh_token", "refresh_token": _reveal(refresh_token)}
    else:
        fields = {"grant_type": "client_credentials"}
        if grant.kind == "token-exchange":
            fields = _exchanged(subject_token)
        if assertion is not None:
            fields |= {"client_assertion_type": CLIENT_ASSERTION, "client_assertion": assertion.reveal()}
    if grant.resource:
        fields["resource"] = grant.resource
    if grant.scope:
        fields["scope"] = grant.scope
    authorization = None
    if grant.client_secret is not None:
        authorization = _basic(grant.client_id, grant.client_secret)
    elif grant.kind != "jwt-bearer":
        fields["client_id"] = grant.client_id
    return Post(grant.token_url, FORM, Secret(urlencode(fields)), authorization, grant.timeout_s, grant.reach)


def _exchanged(subject_token: Secret | None) -> dict[str, str]:
    """RFC 8693 s2.1."""
    return {
        "grant_type": TOKEN_EXCHANGE,
        "subject_token": _reveal(subject_token),
        "subject_token_type": JWT_TYPE,
        "requested_token_type": ACCESS_TOKEN_TYPE,
    }


def read_answer(answered: Answered, grant: TokenGrant, asked_s: float) -> Handout | Declined | NotNow:
    """What an answer says that was asked for at `asked_s` (seconds since the epoch)."""
    found = read_object(answered.body.reveal().encode())
    refused = refusal_of(answered.status, found)
    if refused is not None:
        cause = f"the token endpoint answered {answered.status}, {refused.cause}"
        if answered.status in _NOT_NOW or refused.error in _NOT_NOW_WORDS:
            return NotNow(cause, _retry_after_s(answered.retry_after))
        for_key = refused.error in _OTHER_KEY_WORDS or answered.status == 401
        for_session = answered.status in _OF_ONE_STATUSES and refused.error not in _OF_ALL_WORDS and not for_key
        return Declined(cause, for_key, for_session)
    token = text_of(found, "access_token")
    if not _is_token(token):
        return Declined("the token endpoint's answer has no access_token that could be sent")
    kind = found.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        return Declined("the token endpoint handed out a token that is no bearer token")
    life_s = _life_s(found.get("expires_in"), grant, asked_s)
    if isinstance(life_s, Declined):
        return life_s
    refresh = text_of(found, "refresh_token")
    return Handout(Secret(token), asked_s + life_s, Secret(refresh) if _is_token(refresh) else None)


def _write_coze(grant: TokenGrant, assertion: Secret | None, refresh_token: Secret | None) -> Post:
    """Coze has JSON for forms, and the assertion, or the client's secret, in the Authorization field."""
    bearer = grant.client_secret
    members: dict[str, object]
    if grant.kind == "refresh-token":
        members = {
            "grant_type": "refresh_token",
            "refresh_token": _reveal(refresh_token),
            "client_id": grant.client_id,
        }
    else:
        bearer = assertion
        members = {"grant_type": JWT_BEARER, "duration_seconds": grant.duration_s}
        if grant.scope:
            members["scope"] = msgspec.Raw(grant.scope.encode())
    body = Secret(msgspec.json.encode(members).decode())
    authorization = None if bearer is None else Secret(f"Bearer {bearer.reveal()}")
    return Post(grant.token_url, JSON, body, authorization, grant.timeout_s, grant.reach)


def _life_s(value: object, grant: TokenGrant, asked_s: float) -> float | Declined:
    """For how long a token lives from `asked_s` on: `expires_in` is a span, or with Coze a time."""
    if value is None:
        return float(grant.duration_s) if grant.dialect == "coze" else _UNSTATED_S
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= len("9999999999"):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return Declined("the token endpoint's answer has an expires_in that is no number")
    life_s = float(value) - asked_s if value > _ABSOLUTE_S else float(value)
    if life_s < LIFE_MIN_S:
        return Declined(
            f"the token endpoint handed out a token that ends in {life_s:.0f} s; compare the clocks, or ask for longer"
        )
    return min(life_s, _LIFE_MAX_S)


def _retry_after_s(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= len("999999"):
        return max(_RETRY_S, min(ceil(int(text)), _RETRY_MAX_S))
    return _RETRY_S


def _is_token(text: str) -> bool:
    return 0 < len(text) <= _TOKEN_CHARS_MAX and text.isascii() and text.isprintable() and " " not in text


def _reveal(secret: Secret | None) -> str:
    return "" if secret is None else secret.reveal()


def _basic(client_id: str, client_secret: Secret) -> Secret:
    """RFC 6749 s2.3.1: both are form-encoded first."""
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret.reveal())}"
    return Secret(f"Basic {b64encode(pair.encode()).decode('ascii')}")


def safe_cause(text: str, secrets: tuple[Secret, ...]) -> str:
    """A cause without these secrets, wherever an endpoint has put them."""
    for secret in secrets:
        if secret.reveal():
            text = text.replace(secret.reveal(), "(secret)")
    return plain_cause(text)

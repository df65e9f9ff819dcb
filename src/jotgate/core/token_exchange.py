"""One request to a token endpoint and what comes of it, as values (RFC 6749 s4.4.2, s6; RFC 7523 s2.1; Coze's form)."""

from msgspec import Struct

from jotgate.core.routes import Reach
from jotgate.core.values import Secret


class Post(Struct, frozen=True):
    """One POST to a token endpoint. `authorization` is the value of that field, if there is one."""

    url: str
    content_type: str
    body: Secret
    authorization: Secret | None = None
    timeout_s: float = 10.0
    reach: Reach = Reach()


class Answered(Struct, frozen=True):
    """What the endpoint answered. `retry_after` is the text of that field, `date` of Date: how its clock stands."""

    status: int
    body: Secret
    retry_after: str = ""
    date: str = ""


class Unanswered(Struct, frozen=True):
    """There was no answer. `reason` is a clause for the operator, without a secret."""

    reason: str


class KeptRefreshToken(Struct, frozen=True):
    """A refresh token that was got, and is kept from one control process to the next.

    `origin` is what it descends from: "login", or the digest in hexadecimal of the refresh token that is configured.
    """

    token: Secret
    origin: str
    obtained_s: float

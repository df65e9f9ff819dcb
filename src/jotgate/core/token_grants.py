"""How an upstream's tokens are got: the grants of `[upstreams.oauth]`, as values that stay in control."""

from hashlib import sha256
from typing import Final, Literal

from msgspec import Struct

from jotgate.core.routes import Reach
from jotgate.core.values import Secret

OAuthGrant = Literal["jwt-bearer", "coze", "client-credentials", "refresh-token", "token-exchange", "user-login"]
"""RFC 7523 s2.1; Coze's form of that; RFC 6749 s4.4; RFC 6749 s6; RFC 8693; and RFC 6749 s6 for each caller apart."""

GrantKind = OAuthGrant | Literal["kept", "kept-user"]
"""And nothing that is got, but what is kept sealed: a secret for all callers, or one for each."""

AssertionAlgorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"]

JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
"""The grant's name on the wire (RFC 7523 s2.1)."""
CLIENT_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""What says that a client proves itself by an assertion (RFC 7523 s2.2)."""

_DIGEST_DIGITS: Final = 16


TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
"""RFC 8693 s2.1."""
JWT_TYPE: Final = "urn:ietf:params:oauth:token-type:jwt"
ACCESS_TOKEN_TYPE: Final = "urn:ietf:params:oauth:token-type:access_token"
"""RFC 8693 s3."""
OF_CALLERS: Final[frozenset[GrantKind]] = frozenset({"token-exchange", "user-login", "kept-user"})
"""By these each caller has a credential of its own: its session is who it is (`core.mcp_holders`)."""


def has_sessions(kind: GrantKind) -> bool:
    """Whether each session has a token of its own; else all have the same."""
    return kind == "coze" or kind in OF_CALLERS


class AssertionKey(Struct, frozen=True):
    """A private key that signs assertions, as PEM (PKCS #8 or PKCS #1), and what the token endpoint knows it by."""

    private_key: Secret
    key_id: str = ""


class TokenGrant(Struct, frozen=True, kw_only=True):
    """How the tokens of one upstream are got.

    `dialect` is how its token endpoint is asked: in forms (RFC 6749), or as Coze has it. `keys` are one or two: the
    second is tried where the first is refused as `invalid_client`, or is none. `audience` and `subject` are what an
    assertion says; empty: what is usual for its kind. `scope` is a text of scopes, or Coze's JSON object. `session` is
    the name of the session of whoever comes without one, and `device_id` and `custom_consumer` stand in Coze's session
    context. Times are in seconds: a token is asked for that lives for `duration_s`, where that can be asked for.
    `resource` is what the token is to be for (RFC 8707); empty: the endpoint is not told.
    """

    upstream: str
    kind: GrantKind
    token_url: str
    client_id: str
    dialect: Literal["form", "coze"] = "form"
    client_secret: Secret | None = None
    keys: tuple[AssertionKey, ...] = ()
    algorithm: AssertionAlgorithm = "RS256"
    audience: str = ""
    subject: str = ""
    scope: str = ""
    session: str = ""
    device_id: str = ""
    custom_consumer: str = ""
    duration_s: int = 900
    refresh_token: Secret | None = None
    timeout_s: float = 10.0
    reach: Reach = Reach()
    resource: str = ""

    @property
    def isolates(self) -> bool:
        """Whether each session has a token of its own; else all have the same."""
        return has_sessions(self.kind)

    @property
    def origin(self) -> str:
        """What a kept refresh token must descend from to be used: the configured one, or a login."""
        return LOGIN if self.refresh_token is None else _digest(self.refresh_token.reveal())

    @property
    def mark(self) -> str:
        """Names whose tokens these are, and what they may do, without a secret: it changes when that does.

        New keys and secrets of the same client leave it as it is, and its tokens in use.
        """
        parts = (self.kind, self.token_url, self.client_id, self.audience, self.subject, self.scope, self.session)
        further = (self.device_id, self.custom_consumer, self.origin if self.kind == "refresh-token" else "")
        named = (*parts, *further, self.resource) if self.resource else (*parts, *further)
        return _digest("".join(f"{len(part)}:{part}" for part in named))

    @property
    def refreshes(self) -> bool:
        """Whether its tokens are got by a refresh token."""
        return self.kind in ("refresh-token", "user-login")

    @property
    def keeps(self) -> bool:
        """Whether nothing is asked for: what is kept is sent."""
        return self.kind in ("kept", "kept-user")


LOGIN: Final = "login"
"""What a kept refresh token descends from that somebody got by logging in."""
KEPT: Final = "kept"
"""What stands in place of that where a secret is kept, and no refresh token."""


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS]

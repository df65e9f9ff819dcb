"""How an upstream's tokens are got: the grants of `[upstreams.oauth]`, as values that stay in control."""

from typing import Final, Literal

from msgspec import Struct

from jotgate.core.routes import Reach
from jotgate.core.values import Secret

GrantKind = Literal["jwt-bearer", "coze", "client-credentials", "refresh-token"]
"""RFC 7523 s2.1; Coze's form of that; RFC 6749 s4.4; RFC 6749 s6."""

AssertionAlgorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"]

JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
"""The grant's name on the wire (RFC 7523 s2.1)."""


class AssertionKey(Struct, frozen=True):
    """A private key that signs assertions, as PEM (PKCS#8 or PKCS#1), and what the token endpoint knows it by."""

    private_key: Secret
    key_id: str = ""


class TokenGrant(Struct, frozen=True, kw_only=True):
    """How the tokens of one upstream are got.

    `keys` are one or two: the second is tried when the first is refused as `invalid_client`. `session` is the name of
    the session of whoever comes without one; a grant that `isolates` has a token for each session, the others one for
    all. `origin` tells a refresh token that descends from the configured one from others. Times are in seconds.
    """

    upstream: str
    kind: GrantKind
    token_url: str
    client_id: str
    client_secret: Secret | None = None
    keys: tuple[AssertionKey, ...] = ()
    algorithm: AssertionAlgorithm = "RS256"
    audience: str = ""
    subject: str = ""
    scope: str = ""
    session: str = ""
    duration_s: int = 900
    refresh_token: Secret | None = None
    timeout_s: float = 10.0
    reach: Reach = Reach()

    @property
    def isolates(self) -> bool:
        """Whether each session has a token of its own."""
        return self.kind == "coze"

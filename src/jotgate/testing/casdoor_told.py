"""What Casdoor's stand-in has been told, and the tokens that it makes: the part of it that tests touch."""

import time
import uuid
from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from jotgate.testing.casdoor_keys import Cert
from jotgate.testing.casdoor_values import APPLICATION, CasdoorUser, TokenFormat, TokenKind

CLIENT_ID: Final = "014ae4bd048734ca2dea"
CLIENT_SECRET: Final = "f26a4115725867b7bb7b668c81e1f8f7fae1544d"
ORGANIZATION: Final = "sharif"
RSA_CERT: Final = "cert-built-in"
EC_CERT: Final = "cert-ec"
LIFE_S: Final = 604_800
"""How long access tokens live: Casdoor's default of 168 hours."""

ALICE: Final = CasdoorUser(name="alice", display_name="Alice", email="alice@sharif.example", password="alices-password")
BOB: Final = CasdoorUser(name="bob", email="bob@sharif.example", password="bobs-password")
ADMIN: Final = CasdoorUser(name="admin", is_admin=True, roles=("admin",), password="admins-password")


class CasdoorTold:
    """What the stand-in has and how it behaves. Everything may be set at any time, from any thread.

    `users` are by `owner/name`: alice, bob, and admin, who has the role `admin`. `token_format` is that of the
    application, `custom_fields` what JWT-Custom says of users. `shared`: the application belongs to no organization, so
    that its tokens are for `CLIENT-org-OWNER`. `signing`: the certificate that the application's tokens are signed by.
    `revoked` are texts of tokens. `watches_users`: tokens of who is forbidden or deleted are refused, as since August
    2026. `hides_standing`: who is no admin sees neither in a record, as the default view rules have it.
    `minted`: tokens by their texts, with kind and claims.
    """

    def __init__(self, origin: Callable[[], str]) -> None:
        self._origin = origin
        self.client_id = CLIENT_ID
        self.client_secret = CLIENT_SECRET
        self.users = {f"{user.owner}/{user.name}": user for user in (ALICE, BOB, ADMIN)}
        self.token_format: TokenFormat = "JWT"
        self.custom_fields = ("owner", "name", "roles")
        self.shared = False
        self.certs = {RSA_CERT: Cert(RSA_CERT, "RS256"), EC_CERT: Cert(EC_CERT, "ES256")}
        self.signing = RSA_CERT
        self.life_s = LIFE_S
        self.revoked: set[str] = set()
        self.minted: dict[str, tuple[TokenKind, dict[str, Any]]] = {}
        self.watches_users = False
        self.hides_standing = False
        self.skew_s = 0.0

    @property
    def issuer(self) -> str:
        """Its origin: `CASDOOR_ENDPOINT`, and the `iss` of its tokens."""
        return self._origin()

    @property
    def audience(self) -> str:
        """What tokens of an application of one organization are for."""
        return self.client_id

    def now_s(self) -> float:
        """The time here, seconds since 1970."""
        return time.time() + self.skew_s

    def advance(self, span_s: float) -> None:
        """Let time pass here."""
        self.skew_s += span_s

    # Keys

    def rotate(self, name: str = "cert-kong-2", *, drop: bool = False) -> None:
        """Sign by a new certificate of another name from now on; `drop`: the one before is published no more."""
        before = self.signing
        self.certs[name] = Cert(name, self.certs[before].algorithm, fresh=True)
        self.signing = name
        if drop:
            del self.certs[before]

    def renew(self) -> None:
        """Put another key under the name of the certificate that signs: the `kid` stays."""
        self.certs[self.signing] = Cert(self.signing, self.certs[self.signing].algorithm, fresh=True)

    # Users

    def change(self, user: str, **fields: Any) -> CasdoorUser:
        """Change a user (`owner/name`), such as `is_forbidden=True`. Raises KeyError for an unknown one."""
        self.users[user] = replace(self.users[user], **fields)
        return self.users[user]

    # Tokens

    def mint(
        self,
        user: str = "sharif/alice",
        kind: TokenKind = "access-token",
        token_format: TokenFormat | None = None,
        **claims: object,
    ) -> str:
        """A token for a user, as the application has it, with other claims on top; a claim that is None is left out."""
        whole = {**self.claims(self.users[user], kind, token_format or self.token_format), **claims}
        told = {name: value for name, value in whole.items() if value is not None}
        token = self.certs[self.signing].sign(told)
        self.minted[token] = (kind, told)
        return token

    def tokens(self, user: str = "sharif/alice", scope: str = "openid profile") -> dict[str, Any]:
        """What the token endpoint answers for a user."""
        access = self.mint(user, scope=scope)
        return {
            "access_token": access,
            "id_token": self.mint(user, "id-token", scope=scope, nonce=""),
            "refresh_token": self.mint(user, "refresh-token", scope=scope),
            "token_type": "Bearer",
            "expires_in": self.life_s,
            "scope": scope,
        }

    def claims(self, user: CasdoorUser, kind: TokenKind, token_format: TokenFormat) -> dict[str, Any]:
        """The claims of a token."""
        now_s = int(self.now_s())
        member = "TokenType" if token_format == "JWT-Custom" and kind == "refresh-token" else "tokenType"
        return {
            **self._said_of(user, token_format),
            member: kind,
            "nonce": "",
            "scope": "openid profile",
            "tag": "staff",
            "azp": self.client_id,
            "iss": self.issuer,
            "sub": user.subject,
            "aud": [f"{self.client_id}-org-{user.owner}" if self.shared else self.client_id],
            "exp": now_s + self.life_s,
            "nbf": now_s,
            "iat": now_s,
            "jti": f"admin/{uuid.uuid4()}",
        }

    def _said_of(self, user: CasdoorUser, token_format: TokenFormat) -> dict[str, Any]:
        if token_format == "JWT":
            return user.whole
        if token_format == "JWT-Standard":
            return user.standard
        if token_format == "JWT-Custom":
            return {name: value for name, value in user.whole.items() if name in self.custom_fields}
        return user.short

    def read(self, token: str) -> tuple[TokenKind, dict[str, Any]] | None:
        """The kind and the claims of a token that is good now: signed, known, not revoked, not over."""
        found = self.minted.get(token)
        if found is None or token in self.revoked or found[1].get("exp", 0) <= self.now_s():
            return None
        return found if any(cert.reads(token) is not None for cert in self.certs.values()) else None

    @property
    def application(self) -> str:
        """The name of the application, as it stands in paths of `/.well-known`."""
        return APPLICATION

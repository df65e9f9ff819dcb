"""Who may hold tokens, as the store keeps them: tenants with their roles, principals, clients, personal tokens.

Secrets stand here as SHA-256 digests alone. Times are whole seconds since the epoch.
"""

from typing import Final, Literal, TypeVar

from msgspec import Struct

from jotgate.core.durable import PAIRED_BYTES_MAX, check_texts
from jotgate.core.quotas import Limit

DEFAULT_TENANT: Final = "default"
"""The tenant of whoever names none. It need not be kept: enabled and without roles until somebody says otherwise."""

GrantName = Literal["client_credentials", "refresh_token", "token_exchange", "jwt_bearer", "login"]
"""The grants that a client may be allowed, in short; `core.grants` has their names on the wire.

`login` is none of OAuth: it lets an operator's backend log people in at a face that has logins.
"""

ClientAuthentication = Literal[
    "client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth", "none"
]
"""How a client proves who it is at the token endpoint (RFC 8414 s2, `token_endpoint_auth_methods_supported`)."""


ClientBinding = Literal["", "required-dpop", "required-mtls"]
"""What the tokens of a client must be bound to: a key by DPoP, its TLS certificate, or nothing (empty)."""


class Role(Struct, frozen=True):
    """What whoever has a role may do. `models` None: every model."""

    name: str
    scopes: tuple[str, ...] = ()
    models: tuple[str, ...] | None = None


class TenantRecord(Struct, frozen=True, kw_only=True):
    """One tenant. `version` is 0 before it is kept, and larger after each change of any account."""

    name: str
    title: str = ""
    roles: tuple[Role, ...] = ()
    enabled: bool = True
    version: int = 0
    created_at_s: int = 0
    updated_at_s: int = 0

    def __post_init__(self) -> None:
        check_texts(self, PAIRED_BYTES_MAX)


class PrincipalRecord(Struct, frozen=True, kw_only=True):
    """One user, service or agent of this installation, by its subject.

    Its scopes are `scopes` and those of `roles`, which its tenant defines. `models` None: every model.
    """

    name: str
    title: str = ""
    tenant: str = DEFAULT_TENANT
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    models: tuple[str, ...] | None = None
    enabled: bool = True
    version: int = 0
    created_at_s: int = 0
    updated_at_s: int = 0

    def __post_init__(self) -> None:
        check_texts(self, PAIRED_BYTES_MAX)


class SecretDigest(Struct, frozen=True):
    """One secret of a client or personal token: its SHA-256 digest. `ends_at_s` None: until it is replaced."""

    digest: bytes
    created_at_s: int
    ends_at_s: int | None = None

    def __repr__(self) -> str:
        return f"SecretDigest(created_at_s={self.created_at_s}, ends_at_s={self.ends_at_s})"


class ClientRecord(Struct, frozen=True, kw_only=True):
    """One OAuth client (RFC 6749 s2). `name` is its `client_id`, `title` what people call it.

    `grants` are those that it may use. `scopes`, `roles` and `models` bound what its tokens may say; None: every
    model. `audiences` are the resources (RFC 8707) that it may ask tokens for; none of them: this gateway alone.
    `jwks` are its public keys as a JWK Set, for `private_key_jwt`. `secrets` are those that count, at most two.
    `access_ttl_s` is how long its access tokens live. One of the `tls_` names is that of its certificate, for
    `tls_client_auth` (RFC 8705 s2.1.2). `binding` is what its tokens must be bound to.
    """

    name: str
    title: str = ""
    tenant: str = DEFAULT_TENANT
    authentication: ClientAuthentication = "client_secret_basic"
    grants: tuple[GrantName, ...] = ()
    scopes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    models: tuple[str, ...] | None = None
    audiences: tuple[str, ...] = ()
    jwks: bytes = b""
    secrets: tuple[SecretDigest, ...] = ()
    access_ttl_s: int = 3_600
    tls_subject_dn: str = ""
    tls_san_dns: str = ""
    tls_san_uri: str = ""
    binding: ClientBinding = ""
    enabled: bool = True
    version: int = 0
    created_at_s: int = 0
    updated_at_s: int = 0

    def __post_init__(self) -> None:
        check_texts(self, PAIRED_BYTES_MAX)


class PersonalToken(Struct, frozen=True, kw_only=True):
    """One opaque token of a principal, `jot_…`. `owner` and `name` together are unique.

    `secrets` has the newest last; one before it counts until its own end, while holders change over. It ends at
    `expires_at_s`. `last_used_at_s` is 0 before its first use. `limits` are counted for this token alone.
    """

    token_id: str
    owner: str
    name: str
    scopes: tuple[str, ...] = ()
    models: tuple[str, ...] | None = None
    secrets: tuple[SecretDigest, ...] = ()
    expires_at_s: int = 0
    last_used_at_s: int = 0
    last_used_from: str = ""
    limits: tuple[Limit, ...] = ()
    version: int = 0
    created_at_s: int = 0
    updated_at_s: int = 0

    def __post_init__(self) -> None:
        check_texts(self, PAIRED_BYTES_MAX)


class TokenUse(Struct, frozen=True):
    """When, and from which address, a personal token was last used."""

    token_id: str
    used_at_s: int
    used_from: str


AnyAccount = TenantRecord | PrincipalRecord | ClientRecord
Account = TypeVar("Account", TenantRecord, PrincipalRecord, ClientRecord)

AccountKind = Literal["tenant", "principal", "client", "personal_token"]


class AccountChange(Struct, frozen=True):
    """That an account was put or dropped. `name` is a personal token's identifier, or the account's name."""

    kind: AccountKind
    name: str
    version: int

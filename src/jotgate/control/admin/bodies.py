"""What the admin API takes and shows: accounts, tokens, issuers, policies, limits. Times are whole NumericDates."""

from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from jotgate.core.account_orders import shown
from jotgate.core.account_values import ClientValues, PrincipalValues, TenantValues
from jotgate.core.accounts import AnyAccount, Role
from jotgate.core.config import ClaimsEntry
from jotgate.core.holder_orders import HolderKind
from jotgate.core.key_checks import SIGNING_ALGORITHMS
from jotgate.core.key_orders import KeyView
from jotgate.core.personal_tokens import PersonalView
from jotgate.core.policy_entries import PolicyEntry
from jotgate.core.policy_orders import PolicyQuestion, PolicyView

_View = TypeVar("_View", bound=Struct)

OF_THE_SERVER: Final = (
    "jwks_file",
    "secret_env",
    "secret_file",
    "previous_secret_env",
    "previous_secret_file",
    "previous_until",
    "ca_file",
)
"""The settings of an issuer that are about files or variables of the server, which nobody sets from outside."""


class NewClient(ClientValues, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A client that is to be made. `name` is its `client_id`; without one it gets one."""

    name: str = ""


class NewPrincipal(PrincipalValues, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A principal that is to be made. `name` is the `sub` of its tokens."""

    name: str


class NewTenant(TenantValues, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A tenant that is to be made."""

    name: str


class SecretView(Struct, frozen=True):
    """When a secret was made, and when it ends; null: when it is replaced."""

    created_at_s: int
    ends_at_s: int | None


class _AccountView(Struct, frozen=True, kw_only=True):
    name: str
    title: str
    enabled: bool
    version: int
    created_at_s: int
    updated_at_s: int


class ClientView(_AccountView, frozen=True, kw_only=True):
    """A client. `name` is its `client_id`; `jwks` has its public keys; `models` null: every model.

    `secrets` are those that still count.
    """

    tenant: str
    authentication: str
    grants: tuple[str, ...]
    scopes: tuple[str, ...]
    roles: tuple[str, ...]
    models: tuple[str, ...] | None
    audiences: tuple[str, ...]
    jwks: dict[str, Any]
    secrets: tuple[SecretView, ...]
    access_ttl_s: int
    tls_subject_dn: str
    tls_san_dns: str
    tls_san_uri: str
    binding: str


class PrincipalView(_AccountView, frozen=True, kw_only=True):
    """A principal. `name` is the `sub` of its tokens; `models` null: every model."""

    tenant: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...]
    models: tuple[str, ...] | None


class TenantView(_AccountView, frozen=True, kw_only=True):
    """A tenant, and the roles that it defines."""

    roles: tuple[Role, ...]


def view_account(record: AnyAccount, kind: type[_View], now_s: int) -> _View:
    """An account without what is secret of it."""
    return msgspec.json.decode(shown(record, now_s), type=kind)


class ClientSecret(Struct, frozen=True):
    """A client and its new secret, which is shown this once; empty: it uses none."""

    client: ClientView
    client_secret: str

    def __repr__(self) -> str:
        return f"ClientSecret({self.client.name})"


class Rotation(Struct, frozen=True, forbid_unknown_fields=True):
    """How long the secret before a new one counts beside it, in seconds."""

    overlap_s: Annotated[int, Meta(ge=0, le=2_592_000)] = 0


class PersonalSecret(Struct, frozen=True):
    """A personal token and its text, which is shown this once."""

    personal_token: PersonalView
    secret: str

    def __repr__(self) -> str:
        return f"PersonalSecret({self.personal_token.id})"


class NewPersonalToken(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A personal token that is to be made for the principal `subject`.

    `scopes` none: what AI calls need, as far as its owner may; `models` null: every one of the owner's. `ttl_s` null:
    90 days. `limits` are texts such as "1000 requests/day".
    """

    subject: Annotated[str, Meta(min_length=1, max_length=256)]
    name: Annotated[str, Meta(pattern="^[A-Za-z0-9._-]{1,64}$")]
    scopes: Annotated[tuple[str, ...], Meta(max_length=64)] = ()
    models: Annotated[tuple[str, ...], Meta(max_length=64)] | None = None
    ttl_s: Annotated[int, Meta(ge=1, le=31_536_000)] | None = None
    limits: Annotated[tuple[str, ...], Meta(max_length=16)] = ()


class Roll(Struct, frozen=True, forbid_unknown_fields=True):
    """A new secret for a personal token: how long the one before counts beside it, and for how long the token lives.

    `ttl_s` null: no later end than the one that stands.
    """

    overlap_s: Annotated[int, Meta(ge=0, le=86_400)] = 3_600
    ttl_s: Annotated[int, Meta(ge=1, le=31_536_000)] | None = None


class FamilyView(Struct, frozen=True, kw_only=True):
    """A living refresh-token family: what came of one grant, and is handed on by each refresh."""

    family_id: str
    client_id: str
    subject: str
    scopes: tuple[str, ...]
    created_at_s: int
    ends_at_s: int


class NewRevocation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose tokens are to be revoked: those of the client, subject, tenant or key of this name.

    `issuer` is for a subject or a key of another issuer: its name here, or its `iss`. `before_s`: those that were
    issued then or earlier; null: until now, and whatever a key of another issuer signs. Unless it is `confirmed`,
    nothing is done, and the answer says what would be.
    """

    kind: HolderKind
    name: str
    issuer: str = ""
    before_s: int | None = None
    reason: str = ""
    confirmed: bool = False


class NewKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key that is to take over signing, `ahead_s` seconds from now; null: as soon as all know it.

    `algorithm` empty: the one of the settings.
    """

    algorithm: Annotated[str, Meta(pattern=f"^({'|'.join(SIGNING_ALGORITHMS)})?$")] = ""
    ahead_s: Annotated[int, Meta(ge=0)] | None = None


class KeyDone(Struct, frozen=True):
    """A key as it is now. `settled`: every worker of this machine goes by it already."""

    key: KeyView
    settled: bool


class NewIssuer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An issuer that is to be trusted, by its settings in docs/configuration.md; its URLs lead to public addresses.

    `enabled` false: it is kept, and its keys are not fetched until somebody enables it. The settings `jwks_file`,
    `secret_env`, `secret_file`, `previous_secret_env`, `previous_secret_file`, `previous_until` and `ca_file` are
    refused.
    """

    name: str
    profile: str = ""
    issuer: str = ""
    discovery: bool | None = None
    jwks_url: str = ""
    algorithms: tuple[str, ...] | None = None
    audiences: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    leeway: str | None = None
    max_lifetime: str | None = None
    required: tuple[str, ...] | None = None
    default_scopes: tuple[str, ...] | None = None
    claims: ClaimsEntry | None = None
    equal: dict[str, str | bool | int] | None = None
    logout_audiences: tuple[str, ...] = ()
    status_lists: bool = False
    refresh: str = "5m"
    cooldown: str = "30s"
    fetches_per_minute: int = 10
    timeout: str = "5s"
    max_stale: str = "24h"
    enabled: bool = True
    jwks_file: Raw | UnsetType = UNSET
    secret_env: Raw | UnsetType = UNSET
    secret_file: Raw | UnsetType = UNSET
    previous_secret_env: Raw | UnsetType = UNSET
    previous_secret_file: Raw | UnsetType = UNSET
    previous_until: Raw | UnsetType = UNSET
    ca_file: Raw | UnsetType = UNSET


class IssuerView(Struct, frozen=True, kw_only=True):
    """An issuer beside this installation. `origin` is "file" (its configuration, which is not changed here) or "store".

    `issuer` is its `iss`, `way` the way to its keys; both empty where that is not known. `faults` say why an enabled
    one does not count. `settings` are those that were sent when it was made; null for one of the configuration.
    """

    name: str
    issuer: str
    origin: str
    enabled: bool
    way: str
    profile: str
    faults: list[str]
    settings: dict[str, Any] | None
    created_at_s: int | None
    updated_at_s: int | None


class NewPolicies(Struct, frozen=True, forbid_unknown_fields=True):
    """The policies that the store is to keep, in their order, by their settings in docs/configuration.md."""

    policies: Annotated[tuple[PolicyEntry, ...], Meta(max_length=2_000)]


class TrialPolicies(Struct, frozen=True, forbid_unknown_fields=True):
    """Policies as in `NewPolicies`, which are not kept, and calls of which it is asked what they would change."""

    policies: Annotated[tuple[PolicyEntry, ...], Meta(max_length=2_000)]
    calls: Annotated[tuple[PolicyQuestion, ...], Meta(min_length=1, max_length=64)]


class PolicySetView(Struct, frozen=True, kw_only=True):
    """All policies in their order: those of the configuration, which are not changed here, and those of the store.

    While there is none, the shipped one. `settled`: every worker of this machine goes by them already. `warnings` are
    for their author.
    """

    policies: list[PolicyView]
    settled: bool
    warnings: list[str]


class NewLimits(Struct, frozen=True, forbid_unknown_fields=True):
    """The limits that the store is to keep for a holder, as texts such as `1000 requests/day`; none: it has none."""

    limits: Annotated[tuple[Annotated[str, Meta(max_length=512)], ...], Meta(max_length=16)]

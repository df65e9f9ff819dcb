"""What may be set of clients, principals and tenants: the values of an order, and the record that they lead to."""

from collections.abc import Mapping
from typing import Final

from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from jotgate.core.accounts import Account, ClientRecord, PrincipalRecord, Role, TenantRecord

Names = tuple[str, ...]

_TLS_NAMES: Final = frozenset({"tls_subject_dn", "tls_san_dns", "tls_san_uri"})
_ELSEWHERE: Final = frozenset({"tools", "limits", "jwks"})


class ClientValues(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to set of a client; what is not given stays, or is as in `ClientRecord`.

    `models` null: every model. `jwks` is a JWK Set (RFC 7517 s5) as JSON; null: none. `tools` and `limits` are refused.
    """

    title: str | UnsetType = UNSET
    tenant: str | UnsetType = UNSET
    authentication: str | UnsetType = UNSET
    grants: Names | UnsetType = UNSET
    scopes: Names | UnsetType = UNSET
    roles: Names | UnsetType = UNSET
    models: Names | UnsetType | None = UNSET
    audiences: Names | UnsetType = UNSET
    jwks: Raw | UnsetType = UNSET
    access_ttl_s: int | UnsetType = UNSET
    tls_subject_dn: str | UnsetType = UNSET
    tls_san_dns: str | UnsetType = UNSET
    tls_san_uri: str | UnsetType = UNSET
    binding: str | UnsetType = UNSET
    tools: Raw | UnsetType = UNSET
    limits: Raw | UnsetType = UNSET


class PrincipalValues(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to set of a principal; as `ClientValues`."""

    title: str | UnsetType = UNSET
    tenant: str | UnsetType = UNSET
    roles: Names | UnsetType = UNSET
    scopes: Names | UnsetType = UNSET
    models: Names | UnsetType | None = UNSET
    tools: Raw | UnsetType = UNSET
    limits: Raw | UnsetType = UNSET


class TenantValues(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to set of a tenant; as `ClientValues`. `roles` are all that it defines."""

    title: str | UnsetType = UNSET
    roles: tuple[Role, ...] | UnsetType = UNSET
    tools: Raw | UnsetType = UNSET
    limits: Raw | UnsetType = UNSET


AnyValues = ClientValues | PrincipalValues | TenantValues


def client_with(record: ClientRecord, values: ClientValues) -> ClientRecord:
    """The client with these values.

    What its authentication has no use for any more goes: keys, secrets, or the names of its certificate. The record
    may hold what nobody can have; `core.account_checks` says so.
    """
    changed = _with(record, values)
    if values.jwks is not UNSET:
        raw = bytes(values.jwks)
        changed = replace(changed, jwks=b"" if raw.strip() == b"null" else raw)
    elif changed.authentication != "private_key_jwt":
        changed = replace(changed, jwks=b"")
    if not uses_secret(changed):
        changed = replace(changed, secrets=())
    if changed.authentication != "tls_client_auth" and record.authentication == "tls_client_auth":
        changed = replace(changed, **dict.fromkeys(_TLS_NAMES & _ungiven(values), ""))
    return changed


def principal_with(record: PrincipalRecord, values: PrincipalValues) -> PrincipalRecord:
    """The principal with these values, as `client_with`."""
    return _with(record, values)


def tenant_with(record: TenantRecord, values: TenantValues) -> TenantRecord:
    """The tenant with these values, as `client_with`."""
    return _with(record, values)


def uses_secret(record: ClientRecord) -> bool:
    """Whether it proves who it is by a secret that it shares with jotgate."""
    return record.authentication in ("client_secret_basic", "client_secret_post")


def given(values: AnyValues) -> Mapping[str, object]:
    """The values that are given, by name."""
    members = {name: getattr(values, name) for name in values.__struct_fields__}
    return {name: value for name, value in members.items() if value is not UNSET}


def _ungiven(values: AnyValues) -> frozenset[str]:
    return frozenset(values.__struct_fields__) - given(values).keys()


def _with(record: Account, values: AnyValues) -> Account:
    """Each list loses what stands twice in it: order and number mean nothing."""
    plain = {name: value for name, value in given(values).items() if name not in _ELSEWHERE}
    once = {name: tuple(dict.fromkeys(value)) if isinstance(value, tuple) else value for name, value in plain.items()}
    return replace(record, **once)

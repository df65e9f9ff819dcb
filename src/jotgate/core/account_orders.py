"""What a command asks of clients, principals and tenants, and what it is told."""

from typing import Literal

import msgspec
from msgspec import Raw, Struct

from jotgate.core.account_values import ClientValues, PrincipalValues, TenantValues
from jotgate.core.accounts import AnyAccount, ClientRecord, Role

PAGE_ROWS = 500

Noun = Literal["client", "principal", "tenant"]
Action = Literal[
    "create", "set", "list", "show", "enable", "disable", "delete", "rotate-secret", "define-role", "drop-role"
]

_NO_KEYS = Raw(b'{"keys":[]}')


class AccountOrder(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One command about accounts of one kind. `client`, `principal` and `tenant` are what to set of one.

    `after` is the name behind which a `list` begins, `of_tenant` whose accounts it has; empty: all. `overlap_s` is how
    long the secret before a new one counts. `role` is for `define-role`, and by its name for `drop-role`.
    """

    noun: Noun
    action: Action
    name: str = ""
    client: ClientValues = ClientValues()
    principal: PrincipalValues = PrincipalValues()
    tenant: TenantValues = TenantValues()
    role: Role | None = None
    overlap_s: int = 0
    after: str = ""
    of_tenant: str = ""


class Impact(Struct, frozen=True):
    """What an account's end ends with it: tokens that this installation issued and knows to live, and the like."""

    live_tokens: int = 0
    families: int = 0
    personal_tokens: int = 0


class Elsewhere(Struct, frozen=True):
    """Another issuer that vouches for a principal, by jotgate's name for it and by its `iss`, and their `sub` there."""

    name: str
    issuer: str
    subject: str


class AccountAnswer(Struct, frozen=True, kw_only=True):
    """What came of it: the accounts that it was about, each as JSON without its secrets; see `shown`.

    `secret` is a new client secret. `impact` is what ends, or would end, with the account. `more`: a list goes on.
    `issuer` is this installation's URL. `running`: a control process answered. `elsewhere` is who may give a principal
    that was disabled or deleted further tokens, which are taken here as they are.
    """

    accounts: list[Raw]
    secret: str = ""
    impact: Impact | None = None
    more: bool = False
    issuer: str = ""
    running: bool = False
    elsewhere: Elsewhere | None = None

    def __repr__(self) -> str:
        return f"AccountAnswer({len(self.accounts)})"


def shown(record: AnyAccount, now_s: int) -> Raw:
    """An account as JSON: its members, but of secrets only when those that still count were made and end."""
    members = msgspec.structs.asdict(record)
    if isinstance(record, ClientRecord):
        members["jwks"] = Raw(record.jwks) if record.jwks else _NO_KEYS
        members["secrets"] = [
            {"created_at_s": one.created_at_s, "ends_at_s": one.ends_at_s}
            for one in record.secrets
            if one.ends_at_s is None or one.ends_at_s > now_s
        ]
    return Raw(msgspec.json.encode(members))

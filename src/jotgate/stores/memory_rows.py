"""What the memory store keeps, and the lock that makes each of its calls whole."""

import threading
from dataclasses import dataclass, field
from functools import partial

import msgspec

from jotgate.core.accounts import AccountKind, AnyAccount, PersonalToken
from jotgate.core.durable import Issuance, IssuerRecord, KeyRecord, Mark, Revocation
from jotgate.core.endless_tokens import EndlessToken
from jotgate.core.families import Family, RefreshRecord
from jotgate.core.kong_credentials import KongCredential
from jotgate.core.ledger_records import Lease, MeterAccount, Place
from jotgate.core.limit_records import LimitRecord
from jotgate.core.mcp_pins import ToolPin
from jotgate.core.owned_objects import ObjectKey, OwnedObject
from jotgate.core.policy_values import KeptPolicies
from jotgate.core.quotas import Level
from jotgate.core.upstream_logins import UpstreamLogin


@dataclass
class Rows:
    """The tables. Mutable."""

    facts: dict[str, str] = field(default_factory=dict)
    keys: dict[str, KeyRecord] = field(default_factory=dict)
    keys_version: int = 0
    issuers: dict[str, IssuerRecord] = field(default_factory=dict)
    issuers_version: int = 0
    issuances: dict[str, Issuance] = field(default_factory=dict)
    revocations: dict[int, Revocation] = field(default_factory=dict)
    revocations_number: int = 0
    accounts: dict[tuple[AccountKind, str], AnyAccount] = field(default_factory=dict)
    personal_tokens: dict[str, PersonalToken] = field(default_factory=dict)
    endless_tokens: dict[str, EndlessToken] = field(default_factory=dict)
    account_changes: dict[tuple[AccountKind, str], int] = field(default_factory=dict)
    accounts_version: int = 0
    families: dict[str, Family] = field(default_factory=dict)
    refresh_tokens: dict[bytes, RefreshRecord] = field(default_factory=dict)
    lineages: dict[str, list[bytes]] = field(default_factory=dict)  # the digests of a family's tokens, by generation
    upstream_logins: dict[tuple[str, str], UpstreamLogin] = field(default_factory=dict)  # by upstream and holder
    upstream_logins_version: int = 0
    kong_credentials: dict[str, KongCredential] = field(default_factory=dict)
    mcp_tools: dict[tuple[str, str], ToolPin] = field(default_factory=dict)  # by server and tool
    mcp_tools_version: int = 0
    objects: dict[ObjectKey, OwnedObject] = field(default_factory=dict)
    marks: dict[tuple[str, str], Mark] = field(default_factory=dict)
    policies: KeptPolicies = field(default_factory=partial(KeptPolicies, 0, ()))
    limits: dict[tuple[Level, str], LimitRecord] = field(default_factory=dict)
    limits_version: int = 0
    ledger: dict[Place, MeterAccount] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    open_leases: dict[Place, set[str]] = field(default_factory=dict)  # the names of those that are open, by account


class MemoryRows:
    """The base of what works on them."""

    def __init__(self) -> None:
        self._rows = Rows()
        self._lock = threading.Lock()

    def _keep_revoked(self, row: Revocation) -> None:
        """Number and keep a revocation that is not covered; the caller holds the lock."""
        if not any(_covers(found, row) for found in self._rows.revocations.values()):
            self._rows.revocations_number += 1
            number = self._rows.revocations_number
            self._rows.revocations[number] = msgspec.structs.replace(row, number=number)


def _covers(found: Revocation, row: Revocation) -> bool:
    return (found.kind, found.handle) == (row.kind, row.handle) and found.covers(row)

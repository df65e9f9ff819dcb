"""The store as plain dictionaries: the reference that says what the databases must do. It outlives nothing."""

from collections.abc import Iterable, Sequence

import msgspec

from jotgate.core.durable import (
    Issuance,
    IssuanceQuery,
    IssuerRecord,
    KeyRecord,
    KeyRing,
    Revocation,
    RevocationKind,
    Versions,
)
from jotgate.stores.memory_accounts import MemoryAccounts
from jotgate.stores.memory_endless_tokens import MemoryEndlessTokens
from jotgate.stores.memory_families import MemoryFamilies
from jotgate.stores.memory_kong_credentials import MemoryKongCredentials
from jotgate.stores.memory_limits import MemoryLimits
from jotgate.stores.memory_mcp_tools import MemoryMcpTools
from jotgate.stores.memory_objects import MemoryObjects
from jotgate.stores.memory_policies import MemoryPolicies
from jotgate.stores.memory_upstream_logins import MemoryUpstreamLogins


class MemoryStore(
    MemoryLimits,
    MemoryAccounts,
    MemoryEndlessTokens,
    MemoryFamilies,
    MemoryPolicies,
    MemoryObjects,
    MemoryUpstreamLogins,
    MemoryKongCredentials,
    MemoryMcpTools,
):
    """Keeps everything in this process (store_ports.Store). Mutable: all of that; a lock makes each call whole."""

    def fact(self, name: str) -> str | None:
        """What was fixed under this name."""
        with self._lock:
            return self._rows.facts.get(name)

    def fix_fact(self, name: str, value: str) -> str:
        """Fix a value unless one was fixed before."""
        with self._lock:
            return self._rows.facts.setdefault(name, value)

    def key_ring(self) -> KeyRing:
        """All keys, oldest first."""
        with self._lock:
            keys = sorted(self._rows.keys.values(), key=lambda key: (key.created_at_s, key.kid))
            return KeyRing(self._rows.keys_version, tuple(keys))

    def put_keys(self, version: int, changed: Sequence[KeyRecord]) -> int | None:
        """Keep keys if the ring still has this version."""
        with self._lock:
            if self._rows.keys_version != version:
                return None
            self._rows.keys |= {key.kid: key for key in changed}
            self._rows.keys_version += 1
            return self._rows.keys_version

    def issuers(self) -> Sequence[IssuerRecord]:
        """All issuers, by name."""
        with self._lock:
            return tuple(sorted(self._rows.issuers.values(), key=lambda record: record.name))

    def put_issuer(self, record: IssuerRecord) -> int | None:
        """Keep an issuer if its version still stands."""
        with self._lock:
            found = self._rows.issuers.get(record.name)
            if (found.version if found else 0) != record.version:
                return None
            self._rows.issuers_version += 1
            version = self._rows.issuers_version
            self._rows.issuers[record.name] = msgspec.structs.replace(record, version=version)
            return version

    def drop_issuer(self, name: str, version: int) -> bool:
        """Forget an issuer if its version still stands."""
        with self._lock:
            found = self._rows.issuers.get(name)
            if found is None or found.version != version:
                return False
            del self._rows.issuers[name]
            self._rows.issuers_version += 1
            return True

    def add_issuances(self, rows: Sequence[Issuance]) -> None:
        """Keep what is not kept already."""
        with self._lock:
            for row in rows:
                self._rows.issuances.setdefault(row.token_id, row)

    def issuance(self, token_id: str) -> Issuance | None:
        """The one with this `jti`."""
        with self._lock:
            return self._rows.issuances.get(token_id)

    def find_issuances(self, query: IssuanceQuery, after: str, limit: int) -> Sequence[Issuance]:
        """Those that fit, by token id."""
        with self._lock:
            found = sorted(self._fitting(query), key=lambda row: row.token_id)
        return tuple(row for row in found if row.token_id > after)[:limit]

    def count_issuances(self, query: IssuanceQuery) -> int:
        """How many fit."""
        with self._lock:
            return sum(1 for _ in self._fitting(query))

    def drop_issuances(self, ended_at_s: int, limit: int) -> int:
        """Forget tokens that have ended, those first that ended first."""
        with self._lock:
            ended = sorted(
                (row.expires_at_s, row.token_id)
                for row in self._rows.issuances.values()
                if row.expires_at_s <= ended_at_s
            )
            for _, token_id in ended[:limit]:
                del self._rows.issuances[token_id]
            return len(ended[:limit])

    def revoke(self, rows: Sequence[Revocation]) -> int:
        """Number and keep what is not covered."""
        with self._lock:
            for row in rows:
                self._keep_revoked(row)
            return self._rows.revocations_number

    def revocations_after(self, number: int, limit: int) -> Sequence[Revocation]:
        """Those with a higher number, in order."""
        with self._lock:
            return tuple(row for row in self._rows.revocations.values() if row.number > number)[:limit]

    def revocations_of(self, kind: RevocationKind, handle: str) -> Sequence[Revocation]:
        """Those that speak of this, in order."""
        with self._lock:
            return tuple(row for row in self._rows.revocations.values() if (row.kind, row.handle) == (kind, handle))

    def drop_revocations(self, ended_at_s: int, limit: int) -> int:
        """Forget what means nothing any more, that first which ended first."""
        with self._lock:
            ended = sorted(
                (row.expires_at_s, row.number)
                for row in self._rows.revocations.values()
                if row.expires_at_s is not None and row.expires_at_s <= ended_at_s
            )
            for _, number in ended[:limit]:
                del self._rows.revocations[number]
            return len(ended[:limit])

    def versions(self) -> Versions:
        """How often each part has changed."""
        with self._lock:
            rows = self._rows
            return Versions(
                rows.keys_version,
                rows.issuers_version,
                rows.revocations_number,
                rows.accounts_version,
                rows.policies.version,
                rows.limits_version,
                rows.mcp_tools_version,
            )

    def close(self) -> None:
        """Nothing is held."""

    def _fitting(self, query: IssuanceQuery) -> Iterable[Issuance]:
        criteria = query.criteria().items()
        return (
            row
            for row in self._rows.issuances.values()
            if row.expires_at_s > query.live_at_s and all(getattr(row, name) == value for name, value in criteria)
        )

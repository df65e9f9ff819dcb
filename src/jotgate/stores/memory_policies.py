"""Policies in the memory store."""

from collections.abc import Sequence

from msgspec.structs import replace

from jotgate.core.policy_values import KeptPolicies, PolicyRecord
from jotgate.stores.memory_rows import MemoryRows


class MemoryPolicies(MemoryRows):
    """Keeps policies in dictionaries (store_ports.PolicyRecords)."""

    def policies(self) -> KeptPolicies:
        """All of them in their order."""
        with self._lock:
            return self._rows.policies

    def put_policies(self, version: int, records: Sequence[PolicyRecord]) -> int | None:
        """Keep these in place of all if the version of the whole still stands."""
        with self._lock:
            if self._rows.policies.version != version:
                return None
            kept = tuple(replace(record, version=record.version or version + 1) for record in records)
            self._rows.policies = KeptPolicies(version + 1, kept)
            return version + 1

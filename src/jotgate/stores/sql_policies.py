"""Policies in the SQL store: a whole set at a time."""

from collections.abc import Sequence

from msgspec.structs import asdict, replace
from sqlalchemy import delete, insert, select

from jotgate.core.policy_values import KeptPolicies, PolicyRecord
from jotgate.stores.engines import reading, writing
from jotgate.stores.schema import POLICIES
from jotgate.stores.sql_rows import SqlRows, count, count_up, every


class SqlPolicies(SqlRows):
    """Keeps policies in a database (store_ports.PolicyRecords)."""

    def policies(self) -> KeptPolicies:
        """All of them in their order."""
        with reading(self._engine) as connection:
            version = count(connection, "policies")
            return KeptPolicies(version, every(connection, select(POLICIES).order_by(POLICIES.c.place), PolicyRecord))

    def put_policies(self, version: int, records: Sequence[PolicyRecord]) -> int | None:
        """Keep these in place of all if the version of the whole still stands."""
        with writing(self._engine) as connection:
            if count(connection, "policies") != version:
                return None
            version = count_up(connection, "policies")
            connection.execute(delete(POLICIES))
            kept = [replace(record, version=record.version or version) for record in records]
            if kept:
                rows = [{**asdict(record), "place": place} for place, record in enumerate(kept)]
                connection.execute(insert(POLICIES), rows)
            return version

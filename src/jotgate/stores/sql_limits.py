"""Limits of holders in the SQL store."""

from collections.abc import Sequence

from msgspec.structs import replace
from sqlalchemy import and_, delete, select, tuple_

from jotgate.core.limit_records import LimitRecord
from jotgate.core.quotas import Level
from jotgate.stores.engines import reading, writing
from jotgate.stores.schema import LIMITS
from jotgate.stores.sql_rows import SqlRows, count_up, every, put

_HOLDER = tuple_(LIMITS.c.level, LIMITS.c.holder)
_ALL = select(LIMITS).order_by(LIMITS.c.level, LIMITS.c.holder)


class SqlLimits(SqlRows):
    """Keeps limits in a database (store_ports.LimitRecords)."""

    def limits_of(self, holders: Sequence[tuple[Level, str]]) -> Sequence[LimitRecord]:
        """Those of these holders."""
        if not holders:
            return ()
        with reading(self._engine) as connection:
            return every(connection, _ALL.where(_HOLDER.in_(sorted(set(holders)))), LimitRecord)

    def limits(self, after: tuple[str, str], limit: int) -> Sequence[LimitRecord]:
        """All, by level and holder."""
        with reading(self._engine) as connection:
            return every(connection, _ALL.where(tuple_(*after) < _HOLDER).limit(limit), LimitRecord)

    def put_limits(self, record: LimitRecord) -> int | None:
        """Keep the limits of a holder if their version still stands; forget it when there are none."""
        same = and_(LIMITS.c.level == record.level, LIMITS.c.holder == record.holder)
        with writing(self._engine) as connection:
            found = connection.scalar(select(LIMITS.c.version).where(same))
            if (found or 0) != record.version:
                return None
            version = count_up(connection, "limits")
            if record.limits:
                put(connection, LIMITS, replace(record, version=version))
            else:
                connection.execute(delete(LIMITS).where(same))
            return version

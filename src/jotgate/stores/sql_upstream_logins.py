"""What is kept for upstreams in the SQL store."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace
from sqlalchemy import and_, bindparam, delete, select

from jotgate.core.upstream_logins import UpstreamLogin
from jotgate.stores.engines import reading, writing
from jotgate.stores.schema import UPSTREAM_LOGINS
from jotgate.stores.sql_rows import SqlRows, count_up, every, one, put

_COLUMNS: Final = UPSTREAM_LOGINS.c
_NAMED: Final = and_(_COLUMNS.upstream == bindparam("sought"), _COLUMNS.holder == bindparam("sought_holder"))
_ONE: Final = select(UPSTREAM_LOGINS).where(_NAMED)


class SqlUpstreamLogins(SqlRows):
    """Keeps them in a database (outward_store_ports.UpstreamLogins)."""

    def upstream_login(self, upstream: str, holder: str = "") -> UpstreamLogin | None:
        """The one of this upstream and holder."""
        with reading(self._engine) as connection:
            return one(connection, _ONE, UpstreamLogin, sought=upstream, sought_holder=holder)

    def upstream_logins(self) -> Sequence[UpstreamLogin]:
        """All of them, by name."""
        with reading(self._engine) as connection:
            return every(
                connection, select(UPSTREAM_LOGINS).order_by(_COLUMNS.upstream, _COLUMNS.holder), UpstreamLogin
            )

    def put_upstream_login(self, record: UpstreamLogin) -> int | None:
        """Keep one if its version still stands."""
        with writing(self._engine) as connection:
            found = one(connection, _ONE, UpstreamLogin, sought=record.upstream, sought_holder=record.holder)
            if (found.version if found else 0) != record.version:
                return None
            # Never one that was there before: who holds an older one must not take a later login for that.
            version = count_up(connection, "upstream_logins")
            put(connection, UPSTREAM_LOGINS, replace(record, version=version))
            return version

    def drop_upstream_login(self, upstream: str, holder: str = "") -> bool:
        """Forget the one of this upstream and holder."""
        sought = {"sought": upstream, "sought_holder": holder}
        with writing(self._engine) as connection:
            return connection.execute(delete(UPSTREAM_LOGINS).where(_NAMED), sought).rowcount > 0

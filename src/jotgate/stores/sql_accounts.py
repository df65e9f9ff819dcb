"""Tenants, principals and clients in the SQL store, and the order in which they and personal tokens changed."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from msgspec.structs import replace
from sqlalchemy import Connection, Select, Table, and_, bindparam, delete, select

from jotgate.core.accounts import (
    Account,
    AccountChange,
    AccountKind,
    AnyAccount,
    ClientRecord,
    PrincipalRecord,
    TenantRecord,
)
from jotgate.stores.engines import reading, writing
from jotgate.stores.schema import ACCOUNT_CHANGES
from jotgate.stores.sql_rows import TABLES, Cells, SqlRows, count_up, every, one, put

_KINDS: Final[Mapping[type[AnyAccount], AccountKind]] = {
    TenantRecord: "tenant",
    PrincipalRecord: "principal",
    ClientRecord: "client",
}

_RIVALS: Final[Mapping[type[AnyAccount], type[AnyAccount]]] = {
    PrincipalRecord: ClientRecord,
    ClientRecord: PrincipalRecord,
}
"""Whose names may not be those of the others: a token's `sub` is one of either (RFC 9700 s4.15)."""


class SqlAccounts(SqlRows):
    """Keeps accounts in a database (store_ports.AccountRecords)."""

    def account(self, kind: type[Account], name: str) -> Account | None:
        """The one of this kind and name."""
        with reading(self._engine) as connection:
            return one(connection, _build_find(TABLES[kind]), kind, sought=name)

    def accounts(self, kind: type[Account], after: str, limit: int, *, tenant: str = "") -> Sequence[Account]:
        """Those of a kind, by name."""
        table = TABLES[kind]
        chosen = select(table).where(table.c.name > after).order_by(table.c.name).limit(limit)
        if tenant:
            chosen = chosen.where(table.c.get("tenant", table.c.name) == tenant)
        with reading(self._engine) as connection:
            return every(connection, chosen, kind)

    def put_account(self, record: AnyAccount) -> int | None:
        """Keep one if its version still stands and nobody of the other kind has its name."""
        table, rival = TABLES[type(record)], _RIVALS.get(type(record))
        with writing(self._engine) as connection:
            found = connection.scalar(select(table.c.version).where(table.c.name == record.name))
            if (found or 0) != record.version:
                return None
            if rival is not None and _has(connection, rival, record.name):
                return None
            version = account_changed(connection, _KINDS[type(record)], record.name)
            put(connection, table, replace(record, version=version))
            return version

    def drop_account(self, kind: type[Account], name: str, version: int) -> bool:
        """Forget one if its version still stands."""
        table = TABLES[kind]
        with writing(self._engine) as connection:
            stands = and_(table.c.name == name, table.c.version == version)
            dropped = connection.execute(delete(table).where(stands)).rowcount == 1
            if dropped:
                account_changed(connection, _KINDS[kind], name)
            return dropped

    def accounts_after(self, version: int, limit: int) -> Sequence[AccountChange]:
        """What has changed since, in order."""
        column = ACCOUNT_CHANGES.c.version
        with reading(self._engine) as connection:
            chosen = select(ACCOUNT_CHANGES).where(column > version).order_by(column).limit(limit)
            return every(connection, chosen, AccountChange)


def _has(connection: Connection, kind: type[AnyAccount], name: str) -> bool:
    table = TABLES[kind]
    return connection.scalar(select(table.c.name).where(table.c.name == name)) is not None


@cache
def _build_find(table: Table) -> Select[Cells]:
    return select(table).where(table.c.name == bindparam("sought"))


def account_changed(connection: Connection, kind: AccountKind, *names: str) -> int:
    """Count a change of each, and keep it as the last one of this name; returns the last version.

    Whoever calls is the only writer.
    """
    last = count_up(connection, "accounts", len(names))
    versions = range(last - len(names) + 1, last + 1)
    changes = [AccountChange(kind, name, version) for name, version in zip(names, versions, strict=True)]
    put(connection, ACCOUNT_CHANGES, *changes)
    return last

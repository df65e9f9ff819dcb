"""Rows as records and back, counters, and what else the parts of the SQL store have in common.

To build a statement takes as long as to run it, so those of each request are built once.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Final, Literal, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import asdict, replace
from sqlalchemy import (
    Connection,
    Engine,
    Insert,
    RowMapping,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    insert,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from jotgate.core.accounts import AccountChange, ClientRecord, PersonalToken, PrincipalRecord, TenantRecord
from jotgate.core.durable import Issuance, IssuerRecord, KeyRecord, Mark, Revocation
from jotgate.core.endless_tokens import EndlessToken
from jotgate.core.families import Family, RefreshRecord
from jotgate.core.kong_credentials import KongCredential
from jotgate.core.ledger_records import Lease, MeterAccount
from jotgate.core.limit_records import LimitRecord
from jotgate.core.mcp_pins import ToolPin
from jotgate.core.owned_objects import OwnedObject
from jotgate.core.policy_values import PolicyRecord
from jotgate.core.upstream_logins import UpstreamLogin
from jotgate.errors import CommandError, StoreRefused
from jotgate.stores.schema import (
    ACCOUNT_CHANGES,
    CLIENTS,
    COUNTERS,
    ENDLESS_TOKENS,
    FAMILIES,
    ISSUANCES,
    ISSUERS,
    KEYS,
    LEASES,
    LEDGER,
    LIMITS,
    MARKS,
    MCP_TOOLS,
    OBJECTS,
    PERSONAL_TOKENS,
    POLICIES,
    PRINCIPALS,
    REFRESH_TOKENS,
    REVOCATIONS,
    TENANTS,
    UPSTREAM_LOGINS,
)
from jotgate.stores.schema_kong import KONG_CREDENTIALS

TABLES: Final[Mapping[type[Struct], Table]] = {
    KeyRecord: KEYS,
    IssuerRecord: ISSUERS,
    Issuance: ISSUANCES,
    Revocation: REVOCATIONS,
    TenantRecord: TENANTS,
    PrincipalRecord: PRINCIPALS,
    ClientRecord: CLIENTS,
    PersonalToken: PERSONAL_TOKENS,
    EndlessToken: ENDLESS_TOKENS,
    AccountChange: ACCOUNT_CHANGES,
    Family: FAMILIES,
    RefreshRecord: REFRESH_TOKENS,
    Mark: MARKS,
    OwnedObject: OBJECTS,
    UpstreamLogin: UPSTREAM_LOGINS,
    KongCredential: KONG_CREDENTIALS,
    ToolPin: MCP_TOOLS,
    PolicyRecord: POLICIES,
    LimitRecord: LIMITS,
    MeterAccount: LEDGER,
    Lease: LEASES,
}
"""Where each record is kept; the columns have the names of its members."""

Counter = Literal["keys", "issuers", "revocations", "accounts", "policies", "limits", "upstream_logins", "mcp_tools"]
Cells = tuple[object, ...]
Record = TypeVar("Record", bound=Struct)

_COUNT: Final = select(COUNTERS.c.value).where(COUNTERS.c.name == bindparam("sought"))


class SqlRows:
    """The base of what works on a database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine


def count(connection: Connection, name: Counter) -> int:
    """What a counter says."""
    return int(connection.scalar(_COUNT, {"sought": name}) or 0)


def count_up(connection: Connection, name: Counter, by: int = 1) -> int:
    """The next value of a counter, or the last of so many. Whoever calls is the only writer: none is given twice."""
    connection.execute(update(COUNTERS).where(COUNTERS.c.name == name).values(value=COUNTERS.c.value + by))
    return count(connection, name)


def build_insert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that may say what becomes of a conflict; both databases write that alike."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


def add(connection: Connection, table: Table, records: Sequence[Struct], **more: object) -> None:
    """Keep those whose keys are free; `more` are columns that no record has."""
    add_rows(connection, table, [{**asdict(record), **more} for record in records])


def add_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """The same for rows."""
    connection.execute(_build_add(connection.dialect.name, table), rows)


def put(connection: Connection, table: Table, *records: Struct) -> None:
    """Keep records in place of those with the same keys."""
    placed = _build_put(connection.dialect.name, table, records[0].__struct_fields__)
    connection.execute(placed, [asdict(record) for record in records])


def drop(connection: Connection, table: Table, chosen: Select[Cells]) -> int:
    """Forget the rows whose keys are chosen; returns how many."""
    return connection.execute(delete(table).where(tuple_(*table.primary_key).in_(chosen))).rowcount


def one(connection: Connection, chosen: Select[Cells], kind: type[Record], **given: object) -> Record | None:
    """The record that is chosen, if any; `given` are the statement's parameters. Raises StoreRefused as `record_of`."""
    row = connection.execute(chosen, given).mappings().one_or_none()
    return None if row is None else record_of(row, kind)


def every(connection: Connection, chosen: Select[Cells], kind: type[Record], **given: object) -> tuple[Record, ...]:
    """All records that are chosen; `given` as for `one`. Raises StoreRefused as `record_of`."""
    return tuple(record_of(row, kind) for row in connection.execute(chosen, given).mappings())


def keep_revoked(connection: Connection, row: Revocation) -> None:
    """Number and keep a revocation that is not covered. Whoever calls is the only writer."""
    same = and_(REVOCATIONS.c.kind == row.kind, REVOCATIONS.c.handle == row.handle)
    if not any(found.covers(row) for found in every(connection, select(REVOCATIONS).where(same), Revocation)):
        kept = replace(row, number=count_up(connection, "revocations"))
        connection.execute(insert(REVOCATIONS).values(**asdict(kept)))


def record_of(row: RowMapping, kind: type[Record]) -> Record:
    """A row as its value; the columns have the members' names. Raises StoreRefused: it is none."""
    try:
        return msgspec.convert(row, kind)
    except (msgspec.ValidationError, CommandError) as error:
        table = TABLES[kind]
        raise StoreRefused(
            f"the row '{_named(row[key.name] for key in table.primary_key)}' of the table {table.name} cannot be read",
            hint="Bring the store back from a backup, or mend the row",
            debug=str(error),
        ) from None


@cache
def _build_add(dialect: str, table: Table) -> Insert:
    return build_insert(dialect, table).on_conflict_do_nothing()


@cache
def _build_put(dialect: str, table: Table, members: tuple[str, ...]) -> Insert:
    chosen = build_insert(dialect, table)
    keys = [key.name for key in table.primary_key]
    changed = {name: chosen.excluded[name] for name in members if name not in keys}
    return chosen.on_conflict_do_update(index_elements=keys, set_=changed)


def _named(keys: Iterable[object]) -> str:
    return " ".join(key.hex() if isinstance(key, bytes) else str(key) for key in keys)

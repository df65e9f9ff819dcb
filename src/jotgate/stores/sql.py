"""The store in a SQL database, SQLite or PostgreSQL, by one text of each statement."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

import msgspec
from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    RowMapping,
    Select,
    Table,
    and_,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from jotgate.core.durable import (
    DamagedKey,
    Issuance,
    IssuanceQuery,
    IssuerRecord,
    KeyRecord,
    KeyRing,
    KeyState,
    Revocation,
    Versions,
)
from jotgate.errors import CommandError, StoreRefused, TokenMalformed
from jotgate.jose.encoding import parse_object
from jotgate.stores.engines import reading, writing
from jotgate.stores.schema import COUNTERS, FACTS, ISSUANCES, ISSUERS, KEYS, REVOCATIONS

_KEYS_COUNTER: Final = "keys"
_ISSUERS_COUNTER: Final = "issuers"
_REVOCATIONS_COUNTER: Final = "revocations"

_TABLES: Final[Mapping[type[Struct], Table]] = {
    KeyRecord: KEYS,
    IssuerRecord: ISSUERS,
    Issuance: ISSUANCES,
    Revocation: REVOCATIONS,
}

_ENDED: Final = frozenset({KeyState.GONE, KeyState.COMPROMISED})
"""Nobody is told of such keys, whatever their public part is."""

_Record = TypeVar("_Record", bound=Struct)
_Cells = tuple[object, ...]


class SqlStore:
    """Keeps everything in a database whose schema is the newest (ports.Store); `stores.opening` sees to that."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def fact(self, name: str) -> str | None:
        """What was fixed under this name."""
        with reading(self._engine) as connection:
            return _fact(connection, name)

    def fix_fact(self, name: str, value: str) -> str:
        """Fix a value unless one was fixed before."""
        with writing(self._engine) as connection:
            found = _fact(connection, name)
            if found is None:
                connection.execute(insert(FACTS).values(name=name, value=value))
            return value if found is None else found

    def key_ring(self) -> KeyRing:
        """All keys, oldest first."""
        with reading(self._engine) as connection:
            version = _count(connection, _KEYS_COUNTER)
            rows = connection.execute(select(KEYS).order_by(KEYS.c.created_at_s, KEYS.c.kid)).mappings()
            found = [_key(row) for row in rows]
        keys = tuple(one for one in found if isinstance(one, KeyRecord))
        return KeyRing(version, keys, tuple(one for one in found if isinstance(one, DamagedKey)))

    def put_keys(self, version: int, changed: Sequence[KeyRecord]) -> int | None:
        """Keep keys if the ring still has this version."""
        with writing(self._engine) as connection:
            if _count(connection, _KEYS_COUNTER) != version:
                return None
            for key in changed:
                _put(connection, KEYS, key, KEYS.c.kid == key.kid)
            return _count_up(connection, _KEYS_COUNTER)

    def issuers(self) -> Sequence[IssuerRecord]:
        """All issuers, by name."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(ISSUERS).order_by(ISSUERS.c.name)).mappings()
            return tuple(_record(row, IssuerRecord) for row in rows)

    def put_issuer(self, record: IssuerRecord) -> int | None:
        """Keep an issuer if its version still stands."""
        with writing(self._engine) as connection:
            found = connection.scalar(select(ISSUERS.c.version).where(ISSUERS.c.name == record.name))
            if (found or 0) != record.version:
                return None
            version = _count_up(connection, _ISSUERS_COUNTER)
            kept = msgspec.structs.replace(record, version=version)
            _put(connection, ISSUERS, kept, ISSUERS.c.name == record.name)
            return version

    def drop_issuer(self, name: str, version: int) -> bool:
        """Forget an issuer if its version still stands."""
        with writing(self._engine) as connection:
            stands = and_(ISSUERS.c.name == name, ISSUERS.c.version == version)
            dropped = connection.execute(delete(ISSUERS).where(stands)).rowcount == 1
            if dropped:
                _count_up(connection, _ISSUERS_COUNTER)
            return dropped

    def add_issuances(self, rows: Sequence[Issuance]) -> None:
        """Keep what is not kept already."""
        if not rows:
            return
        build = sqlite.insert if self._engine.dialect.name == "sqlite" else postgresql.insert
        with writing(self._engine, alone=False) as connection:
            connection.execute(build(ISSUANCES).on_conflict_do_nothing(), [msgspec.structs.asdict(row) for row in rows])

    def issuance(self, token_id: str) -> Issuance | None:
        """The one with this `jti`."""
        with reading(self._engine) as connection:
            chosen = select(ISSUANCES).where(ISSUANCES.c.token_id == token_id)
            row = connection.execute(chosen).mappings().one_or_none()
            return None if row is None else _record(row, Issuance)

    def find_issuances(self, query: IssuanceQuery, after: str, limit: int) -> Sequence[Issuance]:
        """Those that fit, by token id."""
        chosen = select(ISSUANCES).where(_fits(query), ISSUANCES.c.token_id > after)
        with reading(self._engine) as connection:
            rows = connection.execute(chosen.order_by(ISSUANCES.c.token_id).limit(limit)).mappings()
            return tuple(_record(row, Issuance) for row in rows)

    def count_issuances(self, query: IssuanceQuery) -> int:
        """How many fit."""
        with reading(self._engine) as connection:
            return connection.scalar(select(func.count()).select_from(ISSUANCES).where(_fits(query))) or 0

    def drop_issuances(self, ended_at_s: int, limit: int) -> int:
        """Forget tokens that have ended, those first that ended first."""
        column = ISSUANCES.c.expires_at_s
        ended = select(ISSUANCES.c.token_id).where(column <= ended_at_s).order_by(column, ISSUANCES.c.token_id)
        with writing(self._engine, alone=False) as connection:
            return _drop(connection, ISSUANCES, ended.limit(limit))

    def revoke(self, rows: Sequence[Revocation]) -> int:
        """Number and keep what is not covered."""
        with writing(self._engine) as connection:
            for row in rows:
                if not any(found.covers(row) for found in _alike(connection, row)):
                    number = _count_up(connection, _REVOCATIONS_COUNTER)
                    kept = msgspec.structs.replace(row, number=number)
                    connection.execute(insert(REVOCATIONS).values(**msgspec.structs.asdict(kept)))
            return _count(connection, _REVOCATIONS_COUNTER)

    def revocations_after(self, number: int, limit: int) -> Sequence[Revocation]:
        """Those with a higher number, in order."""
        chosen = select(REVOCATIONS).where(REVOCATIONS.c.number > number)
        with reading(self._engine) as connection:
            rows = connection.execute(chosen.order_by(REVOCATIONS.c.number).limit(limit)).mappings()
            return tuple(_record(row, Revocation) for row in rows)

    def drop_revocations(self, ended_at_s: int, limit: int) -> int:
        """Forget what means nothing any more, that first which ended first."""
        column = REVOCATIONS.c.expires_at_s
        ended = select(REVOCATIONS.c.number).where(column <= ended_at_s).order_by(column, REVOCATIONS.c.number)
        with writing(self._engine, alone=False) as connection:
            return _drop(connection, REVOCATIONS, ended.limit(limit))

    def versions(self) -> Versions:
        """How often each part has changed."""
        with reading(self._engine) as connection:
            found = {row.name: row.value for row in connection.execute(select(COUNTERS))}
        return Versions(found[_KEYS_COUNTER], found[_ISSUERS_COUNTER], found[_REVOCATIONS_COUNTER])

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _fact(connection: Connection, name: str) -> str | None:
    return connection.scalar(select(FACTS.c.value).where(FACTS.c.name == name))


def _count(connection: Connection, name: str) -> int:
    return int(connection.scalar(select(COUNTERS.c.value).where(COUNTERS.c.name == name)) or 0)


def _count_up(connection: Connection, name: str) -> int:
    """The next value of a counter. Whoever calls is the only writer, so none is given twice."""
    connection.execute(update(COUNTERS).where(COUNTERS.c.name == name).values(value=COUNTERS.c.value + 1))
    return _count(connection, name)


def _put(connection: Connection, table: Table, record: Struct, same: ColumnElement[bool]) -> None:
    cells = msgspec.structs.asdict(record)
    if connection.execute(update(table).where(same).values(**cells)).rowcount == 0:
        connection.execute(insert(table).values(**cells))


def _drop(connection: Connection, table: Table, chosen: Select[_Cells]) -> int:
    (key,) = table.primary_key
    return connection.execute(delete(table).where(key.in_(chosen))).rowcount


def _alike(connection: Connection, row: Revocation) -> list[Revocation]:
    same = and_(REVOCATIONS.c.kind == row.kind, REVOCATIONS.c.handle == row.handle)
    rows = connection.execute(select(REVOCATIONS).where(same)).mappings()
    return [_record(found, Revocation) for found in rows]


def _fits(query: IssuanceQuery) -> ColumnElement[bool]:
    equal = [ISSUANCES.c[name] == value for name, value in query.criteria().items()]
    return and_(ISSUANCES.c.expires_at_s > query.live_at_s, *equal)


def _key(row: RowMapping) -> KeyRecord | DamagedKey:
    """A key; one that cannot be read, or would spoil the set of all public keys, must not cost the others."""
    try:
        key = _record(row, KeyRecord)
        named = key.kid if key.state in _ENDED else parse_object(key.public_jwk, "JWK").get("kid", key.kid)
    except (StoreRefused, TokenMalformed):
        return DamagedKey(str(row["kid"]), str(row["state"]))
    return key if named == key.kid else DamagedKey(key.kid, key.state.value)


def _record(row: RowMapping, kind: type[_Record]) -> _Record:
    """A row as its value; the columns have the members' names. Raises StoreRefused: it is none."""
    try:
        return msgspec.convert(row, kind)
    except (msgspec.ValidationError, CommandError) as error:
        table = _TABLES[kind]
        (key,) = table.primary_key
        raise StoreRefused(
            f"the row '{row[key.name]}' of the table {table.name} cannot be read",
            hint="Bring the store back from a backup, or mend the row",
            debug=str(error),
        ) from None

"""The store in a SQL database, SQLite or PostgreSQL, by one text of each statement."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, func, insert, select

from jotgate.core.durable import (
    DamagedKey,
    Issuance,
    IssuanceQuery,
    IssuerRecord,
    KeyRecord,
    KeyRing,
    KeyState,
    Revocation,
    RevocationKind,
    Versions,
)
from jotgate.errors import StoreRefused, TokenMalformed
from jotgate.jose.encoding import parse_object
from jotgate.stores.engines import reading, writing
from jotgate.stores.schema import COUNTERS, FACTS, ISSUANCES, ISSUERS, KEYS, REVOCATIONS
from jotgate.stores.sql_accounts import SqlAccounts
from jotgate.stores.sql_endless_tokens import SqlEndlessTokens
from jotgate.stores.sql_families import SqlFamilies
from jotgate.stores.sql_kong_credentials import SqlKongCredentials
from jotgate.stores.sql_ledger import SqlLedger
from jotgate.stores.sql_limits import SqlLimits
from jotgate.stores.sql_mcp_tools import SqlMcpTools
from jotgate.stores.sql_objects import SqlObjects
from jotgate.stores.sql_personal_tokens import SqlPersonalTokens
from jotgate.stores.sql_policies import SqlPolicies
from jotgate.stores.sql_rows import (
    add,
    count,
    count_up,
    drop,
    every,
    keep_revoked,
    one,
    put,
    record_of,
)
from jotgate.stores.sql_upstream_logins import SqlUpstreamLogins

_ENDED: Final = frozenset({KeyState.GONE, KeyState.COMPROMISED})
"""Nobody is told of such keys, whatever their public part is."""

_ALL_KEYS: Final = select(KEYS).order_by(KEYS.c.created_at_s, KEYS.c.kid)


class SqlStore(
    SqlLedger,
    SqlLimits,
    SqlAccounts,
    SqlPersonalTokens,
    SqlEndlessTokens,
    SqlFamilies,
    SqlPolicies,
    SqlObjects,
    SqlUpstreamLogins,
    SqlKongCredentials,
    SqlMcpTools,
):
    """Keeps everything in a database whose schema is the newest (ports.Store); `stores.opening` sees to that."""

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
            version = count(connection, "keys")
            found = [_key(row) for row in connection.execute(_ALL_KEYS).mappings()]
        keys = tuple(one for one in found if isinstance(one, KeyRecord))
        return KeyRing(version, keys, tuple(one for one in found if isinstance(one, DamagedKey)))

    def put_keys(self, version: int, changed: Sequence[KeyRecord]) -> int | None:
        """Keep keys if the ring still has this version."""
        with writing(self._engine) as connection:
            if count(connection, "keys") != version:
                return None
            for key in changed:
                put(connection, KEYS, key)
            return count_up(connection, "keys")

    def issuers(self) -> Sequence[IssuerRecord]:
        """All issuers, by name."""
        with reading(self._engine) as connection:
            return every(connection, select(ISSUERS).order_by(ISSUERS.c.name), IssuerRecord)

    def put_issuer(self, record: IssuerRecord) -> int | None:
        """Keep an issuer if its version still stands."""
        with writing(self._engine) as connection:
            found = connection.scalar(select(ISSUERS.c.version).where(ISSUERS.c.name == record.name))
            if (found or 0) != record.version:
                return None
            version = count_up(connection, "issuers")
            put(connection, ISSUERS, replace(record, version=version))
            return version

    def drop_issuer(self, name: str, version: int) -> bool:
        """Forget an issuer if its version still stands."""
        with writing(self._engine) as connection:
            stands = and_(ISSUERS.c.name == name, ISSUERS.c.version == version)
            dropped = connection.execute(delete(ISSUERS).where(stands)).rowcount == 1
            if dropped:
                count_up(connection, "issuers")
            return dropped

    def add_issuances(self, rows: Sequence[Issuance]) -> None:
        """Keep what is not kept already."""
        if not rows:
            return
        with writing(self._engine, alone=False) as connection:
            add(connection, ISSUANCES, rows)

    def issuance(self, token_id: str) -> Issuance | None:
        """The one with this `jti`."""
        with reading(self._engine) as connection:
            return one(connection, select(ISSUANCES).where(ISSUANCES.c.token_id == token_id), Issuance)

    def find_issuances(self, query: IssuanceQuery, after: str, limit: int) -> Sequence[Issuance]:
        """Those that fit, by token id."""
        chosen = select(ISSUANCES).where(_fits(query), ISSUANCES.c.token_id > after)
        with reading(self._engine) as connection:
            return every(connection, chosen.order_by(ISSUANCES.c.token_id).limit(limit), Issuance)

    def count_issuances(self, query: IssuanceQuery) -> int:
        """How many fit."""
        with reading(self._engine) as connection:
            return connection.scalar(select(func.count()).select_from(ISSUANCES).where(_fits(query))) or 0

    def drop_issuances(self, ended_at_s: int, limit: int) -> int:
        """Forget tokens that have ended, those first that ended first."""
        column = ISSUANCES.c.expires_at_s
        ended = select(ISSUANCES.c.token_id).where(column <= ended_at_s).order_by(column, ISSUANCES.c.token_id)
        # Alone: two machines that forget the same rows in different orders would wait for one another.
        with writing(self._engine) as connection:
            return drop(connection, ISSUANCES, ended.limit(limit))

    def revoke(self, rows: Sequence[Revocation]) -> int:
        """Number and keep what is not covered."""
        with writing(self._engine) as connection:
            for row in rows:
                keep_revoked(connection, row)
            return count(connection, "revocations")

    def revocations_after(self, number: int, limit: int) -> Sequence[Revocation]:
        """Those with a higher number, in order."""
        chosen = select(REVOCATIONS).where(REVOCATIONS.c.number > number)
        with reading(self._engine) as connection:
            return every(connection, chosen.order_by(REVOCATIONS.c.number).limit(limit), Revocation)

    def revocations_of(self, kind: RevocationKind, handle: str) -> Sequence[Revocation]:
        """Those that speak of this, in order."""
        columns = REVOCATIONS.c
        chosen = select(REVOCATIONS).where(columns.kind == kind, columns.handle == handle)
        with reading(self._engine) as connection:
            return every(connection, chosen.order_by(columns.number), Revocation)

    def drop_revocations(self, ended_at_s: int, limit: int) -> int:
        """Forget what means nothing any more, that first which ended first."""
        column = REVOCATIONS.c.expires_at_s
        ended = select(REVOCATIONS.c.number).where(column <= ended_at_s).order_by(column, REVOCATIONS.c.number)
        with writing(self._engine) as connection:
            return drop(connection, REVOCATIONS, ended.limit(limit))

    def versions(self) -> Versions:
        """How often each part has changed."""
        with reading(self._engine) as connection:
            found = {row.name: row.value for row in connection.execute(select(COUNTERS))}
        return Versions(**{name: found[name] for name in Versions.__struct_fields__})

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _fact(connection: Connection, name: str) -> str | None:
    return connection.scalar(select(FACTS.c.value).where(FACTS.c.name == name))


def _fits(query: IssuanceQuery) -> ColumnElement[bool]:
    equal = [ISSUANCES.c[name] == value for name, value in query.criteria().items()]
    return and_(ISSUANCES.c.expires_at_s > query.live_at_s, *equal)


def _key(row: RowMapping) -> KeyRecord | DamagedKey:
    """A key; one that cannot be read, or would spoil the set of all public keys, must not cost the others."""
    try:
        key = record_of(row, KeyRecord)
        named = key.kid if key.state in _ENDED else parse_object(key.public_jwk, "JWK").get("kid", key.kid)
    except (StoreRefused, TokenMalformed):
        return DamagedKey(str(row["kid"]), str(row["state"]))
    return key if named == key.kid else DamagedKey(key.kid, key.state.value)

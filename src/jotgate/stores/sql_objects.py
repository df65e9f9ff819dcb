"""Owned objects in the SQL store."""

from collections.abc import Sequence
from functools import cache
from typing import Final

from msgspec.structs import asdict, replace
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    Update,
    and_,
    bindparam,
    case,
    delete,
    select,
    update,
)

from jotgate.core.owned_objects import ObjectKey, OwnedObject
from jotgate.stores.engines import reading, writing
from jotgate.stores.schema import OBJECTS
from jotgate.stores.sql_rows import Cells, SqlRows, drop, every, one, put

_COLUMNS: Final = OBJECTS.c
_KEY: Final = (_COLUMNS.owner, _COLUMNS.place, _COLUMNS.kind, _COLUMNS.name)
_NAMES: Final = ("owner", "place", "kind", "name")
_NAMED: Final = and_(*(column == bindparam(f"sought_{name}") for column, name in zip(_KEY, _NAMES, strict=True)))
_LIVING: Final = select(OBJECTS).where(_NAMED, _COLUMNS.expires_s > bindparam("now"))


class SqlObjects(SqlRows):
    """Keeps them in a database (store_ports.OwnedObjects)."""

    def owned_object(self, key: ObjectKey, now_s: int) -> OwnedObject | None:
        """The one of this name."""
        with reading(self._engine) as connection:
            return _living(connection, key, now_s)

    def use_owned_object(self, key: ObjectKey, now_s: int, keep_s: int) -> OwnedObject | None:
        """The same, used now."""
        with writing(self._engine) as connection:
            connection.execute(_build_use(), {**_sought(key), "now": now_s, "end": now_s + keep_s})
            return _living(connection, key, now_s)

    def owned_objects(self, kind: str, place: str, owner: str, now_s: int, limit: int) -> Sequence[OwnedObject]:
        """The newest of an owner."""
        living = select(OBJECTS).where(_held(kind, place, owner), _COLUMNS.expires_s > now_s)
        newest = living.order_by(_COLUMNS.created_s.desc(), _COLUMNS.name).limit(limit)
        with reading(self._engine) as connection:
            return every(connection, newest, OwnedObject)

    def put_owned_object(self, record: OwnedObject, most: int) -> OwnedObject | None:
        """Keep one if its version still stands."""
        with writing(self._engine) as connection:
            found = _living(connection, record.key, record.used_s)
            if (0 if found is None else found.version) != record.version:
                return None
            created_s = record.created_s if found is None else found.created_s
            kept = replace(record, version=record.version + 1, created_s=created_s)
            put(connection, OBJECTS, kept)
            drop(connection, OBJECTS, _beyond(kept, most))
            return kept

    def drop_owned_object(self, key: ObjectKey, version: int) -> bool:
        """Forget one."""
        chosen = delete(OBJECTS).where(_NAMED)
        if version:
            chosen = chosen.where(_COLUMNS.version == version)
        with writing(self._engine) as connection:
            return connection.execute(chosen, _sought(key)).rowcount == 1

    def drop_owned_objects(self, ended_at_s: int, limit: int) -> int:
        """Forget those that have expired."""
        ended = select(*_KEY).where(_COLUMNS.expires_s <= ended_at_s).order_by(_COLUMNS.expires_s)
        with writing(self._engine) as connection:
            return drop(connection, OBJECTS, ended.limit(limit))


def _living(connection: Connection, key: ObjectKey, now_s: int) -> OwnedObject | None:
    return one(connection, _LIVING, OwnedObject, **_sought(key), now=now_s)


def _sought(key: ObjectKey) -> dict[str, object]:
    return {f"sought_{name}": value for name, value in asdict(key).items()}


def _held(kind: str, place: str, owner: str) -> ColumnElement[bool]:
    return and_(_COLUMNS.owner == owner, _COLUMNS.place == place, _COLUMNS.kind == kind)


def _beyond(kept: OwnedObject, most: int) -> Select[Cells]:
    """The keys of what an owner has too much of: what was not used for longest, never the one that was just kept."""
    others = and_(_held(kept.kind, kept.place, kept.owner), _COLUMNS.name != kept.name)
    latest = (_COLUMNS.used_s.desc(), _COLUMNS.name.desc())
    held = select(_COLUMNS.name).where(others).order_by(*latest).limit(max(most - 1, 0))
    return select(*_KEY).where(others, _COLUMNS.name.not_in(held))


@cache
def _build_use() -> Update:
    now: BindParameter[int] = bindparam("now")
    end: BindParameter[int] = bindparam("end")
    return (
        update(OBJECTS)
        .where(_NAMED, _COLUMNS.expires_s > now)
        .values(
            used_s=case((_COLUMNS.used_s < now, now), else_=_COLUMNS.used_s),
            expires_s=case((_COLUMNS.expires_s < end, end), else_=_COLUMNS.expires_s),
        )
    )

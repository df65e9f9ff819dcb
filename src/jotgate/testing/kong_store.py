"""What Kong's stand-in keeps: rows of entities, found by ID or name, unique where they must be, in pages by ID."""

import base64
import binascii
import bisect
import json
import secrets
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from jotgate.testing import kong_errors as errors
from jotgate.testing.kong_entities import ENTITIES, Entity, complete, fields_of, wrong
from jotgate.testing.kong_fields import is_uuid, merged
from jotgate.testing.kong_values import Row

_RANDOM_BYTES: Final = 16


class KongStore:
    """The rows. Everything is checked as Kong checks it; what is refused changes nothing."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._rows: dict[str, dict[str, Row]] = {name: {} for name in ENTITIES}
        self._order: dict[str, list[str]] = {name: [] for name in ENTITIES}
        self._unique: dict[tuple[str, str, Any], str] = {}
        self._owned: dict[tuple[str, str, str], set[str]] = {}

    # Looking

    def rows(self, name: str) -> list[Row]:
        """All rows of an entity, by ID."""
        return [self._rows[name][key] for key in self._order[name]]

    def get(self, name: str, row_id: str) -> Row | None:
        """The row with this ID."""
        return self._rows[name].get(row_id.lower())

    def find(self, entity: Entity, key: str) -> Row | None:
        """The row that a path means: by its ID, else by the field that stands for it."""
        return self.get(entity.name, key) if is_uuid(key) else self.by_key(entity, key)

    def by_key(self, entity: Entity, value: str) -> Row | None:
        """The row with this value of the field that stands for its ID."""
        found = self._unique.get((entity.name, entity.key, value))
        return None if found is None else self._rows[entity.name][found]

    def owned(self, entity: Entity, field: str, parent_id: str) -> list[Row]:
        """The rows that belong to another one, by ID."""
        held = self._owned.get((entity.name, field, parent_id), set())
        return [self._rows[entity.name][key] for key in sorted(held)]

    def page(self, entity: Entity, size: int, offset: str | None, keep: Callable[[Row], bool]) -> tuple[list[Row], str]:
        """So many rows that are to be kept, and where the next page begins; empty: there is none."""
        order = self._order[entity.name]
        start = 0 if offset is None else bisect.bisect_left(order, _opened(offset))
        rows: list[Row] = []
        for row_id in order[start:]:
            row = self._rows[entity.name][row_id]
            if not keep(row):
                continue
            if len(rows) == size:
                return rows, _sealed(row_id)
            rows.append(row)
        return rows, ""

    def page_of(self, rows: Iterable[Row], size: int, offset: str | None) -> tuple[list[Row], str]:
        """The same of rows that belong to another one."""
        start = "" if offset is None else _opened(offset)
        left = [row for row in rows if row["id"] >= start]
        return left[:size], _sealed(left[size]["id"]) if len(left) > size else ""

    # Changing

    def insert(self, entity: Entity, given: Row) -> Row:
        """A new row. Raises KongRefused."""
        row = self._made(entity, given, None)
        if row["id"] in self._rows[entity.name]:
            raise errors.primary_key_taken({"id": row["id"]})
        return self._put(entity, row, None)

    def upsert(self, entity: Entity, key: str, given: Row) -> Row:
        """The row that a path means, with this and defaults for all else; a new one where there is none."""
        before = self.find(entity, key)
        if before is not None:
            named: Row = {"id": before["id"], "created_at": before["created_at"]}
        else:
            named = {"id": key.lower()} if is_uuid(key) else {entity.key: key}
        if not is_uuid(key):
            named[entity.key] = key
        return self._put(entity, self._made(entity, {**given, **named}, None), before)

    def update(self, entity: Entity, key: str, given: Row) -> Row:
        """The row that a path means, changed. Raises KongRefused (404) where there is none."""
        before = self.find(entity, key)
        if before is None:
            raise errors.no_such_entity({"id" if is_uuid(key) else entity.key: key})
        row = merged(fields_of(entity, before), before, {**given, "id": before["id"]})
        return self._put(entity, self._made(entity, row, before), before)

    def delete(self, entity: Entity, row: Row) -> None:
        """Take a row away, with those that belong to it. Raises KongRefused where others keep it."""
        below = list(self._below(entity, row))
        for child, field, one in below:
            if child.ends[field] == "restrict":
                raise errors.still_referenced(entity.name, child.name)
            self.delete(child, one)
        self._forget(entity, row)
        del self._rows[entity.name][row["id"]]
        order = self._order[entity.name]
        del order[bisect.bisect_left(order, row["id"])]

    def drop(self, name: str, row_id: str) -> None:
        """Take a row away and leave those that belong to it, as a database does that somebody has meddled with."""
        row = self._rows[name].pop(row_id)
        self._forget(ENTITIES[name], row)
        self._order[name].remove(row_id)

    def clear(self) -> None:
        """Take all rows away."""
        self._unique.clear()
        self._owned.clear()
        for name in ENTITIES:
            self._rows[name].clear()
            self._order[name].clear()

    def _below(self, entity: Entity, row: Row) -> Iterator[tuple[Entity, str, Row]]:
        for child in ENTITIES.values():
            for field, parent in child.parents.items():
                if parent == entity.name:
                    yield from ((child, field, one) for one in self.owned(child, field, row["id"]))

    def _made(self, entity: Entity, given: Row, before: Row | None) -> Row:
        row = complete(entity, given)
        now_s = int(self._now_s())
        for name, field in fields_of(entity, row).items():
            if field.filled == "change" or (field.filled == "now" and row.get(name) is None):
                row[name] = now_s
            elif field.filled == "uuid" and row.get(name) is None:
                row[name] = str(uuid.uuid4())
            elif field.filled == "random" and row.get(name) is None:
                row[name] = secrets.token_hex(_RANDOM_BYTES)
        if before is not None:
            row["created_at"] = before["created_at"]
        found = wrong(entity, row)
        if found:
            raise errors.violated(found)
        row["id"] = row["id"].lower()
        for owner, parent in entity.parents.items():
            row[owner] = self._resolved(owner, parent, row.get(owner))
        return row

    def _resolved(self, field: str, parent: str, given: Row | None) -> Row | None:
        """The ID of what a row belongs to, which may be named by the field that stands for it."""
        if given is None:
            return None
        entity = ENTITIES[parent]
        named = given.get("id", given.get(entity.key))
        if not isinstance(named, str) or ("id" in given and not is_uuid(named)):
            raise errors.violated({field: {"id": "expected a valid UUID" if "id" in given else "missing primary key"}})
        row = self.find(entity, named) if "id" not in given else self.get(parent, named)
        if row is not None:
            return {"id": row["id"]}
        if "id" in given:
            raise errors.no_such_parent(field, {"id": named}, parent)
        told = f"the foreign key cannot be resolved with '{errors.lua(given)}' for an existing '{parent}' entity"
        raise errors.unresolved({field: {entity.key: told}})

    def _put(self, entity: Entity, row: Row, before: Row | None) -> Row:
        for name, value, told in self._claims(entity, row):
            holder = self._unique.get((entity.name, name, value))
            if holder is not None and (before is None or holder != before["id"]):
                raise errors.taken(told)
        if before is not None:
            self._forget(entity, before)
        else:
            bisect.insort(self._order[entity.name], row["id"])
        self._rows[entity.name][row["id"]] = row
        for name, value, _ in self._claims(entity, row):
            self._unique[entity.name, name, value] = row["id"]
        for field in entity.parents:
            if row[field] is not None:
                self._owned.setdefault((entity.name, field, row[field]["id"]), set()).add(row["id"])
        return row

    def _forget(self, entity: Entity, row: Row) -> None:
        for name, value, _ in self._claims(entity, row):
            self._unique.pop((entity.name, name, value), None)
        for field in entity.parents:
            if row[field] is not None:
                self._owned[entity.name, field, row[field]["id"]].discard(row["id"])

    def _claims(self, entity: Entity, row: Row) -> Iterator[tuple[str, Any, Row]]:
        """What no other row may have: a name for it, its value, and how it is told."""
        for name, field in entity.fields.items():
            if field.unique and row.get(name) is not None:
                yield name, row[name], {name: row[name]}
        if entity.together:
            told = {name: row[name] for name in entity.together}
            yield ",".join(entity.together), json.dumps(told, sort_keys=True), told


def _sealed(row_id: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([row_id]).encode()).decode("ascii").rstrip("=")


def _opened(offset: str) -> str:
    try:
        told = json.loads(base64.b64decode(offset + "=" * (-len(offset) % 4), b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise errors.refused(7, f"'{offset}' is not a valid offset: bad base64 encoding") from error
    if not isinstance(told, list) or len(told) != 1 or not isinstance(told[0], str):
        raise errors.refused(7, f"'{offset}' is not a valid offset: offset is not a list of one")
    return told[0]

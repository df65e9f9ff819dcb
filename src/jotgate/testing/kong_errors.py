"""How Kong's Admin API words what it refuses: codes, names, messages and fields, with the statuses of these."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from jotgate.testing.kong_values import Row

ENTITY: Final = "@entity"
UNEXPECTED: Final = "An unexpected error occurred"

_NAMES: Final[Mapping[int, str]] = {
    1: "invalid primary key",
    2: "schema violation",
    3: "primary key violation",
    4: "foreign key violation",
    5: "unique constraint violation",
    6: "not found",
    7: "invalid offset",
    8: "database error",
    9: "invalid size",
    10: "invalid unique",
    11: "invalid options",
    12: "operation unsupported",
    13: "foreign keys unresolved",
}
_STATUSES: Final[Mapping[int, int]] = {5: 409, 6: 404, 8: 500, 12: 405}
"""Where it is not 400."""


class KongRefused(Exception):
    """A refusal of the Admin API: its status and its body."""

    def __init__(self, status: int, body: Row) -> None:
        super().__init__(body.get("message"))
        self.status = status
        self.body = body


def said(status: int, message: str) -> KongRefused:
    """A refusal that says a message and nothing else."""
    return KongRefused(status, {"message": message})


def nowhere() -> KongRefused:
    """404, as it is for paths and for entities that are not there."""
    return said(404, "Not found")


def refused(code: int, message: str, fields: Row | None = None) -> KongRefused:
    """A refusal with a code; `fields` stand in it as `options` where options are refused."""
    body: Row = {"code": code, "name": _NAMES[code], "message": message}
    if fields is not None:
        body["options" if code == 11 else "fields"] = fields
    return KongRefused(_STATUSES.get(code, 400), body)


def violated(errors: Row) -> KongRefused:
    """A violation of a schema: what is wrong of the whole (`@entity`), then of the fields by their names."""
    return refused(2, _counted("schema violation", errors), errors)


def unresolved(errors: Row) -> KongRefused:
    """A foreign entity that is named by another field than its ID, and is not there."""
    return refused(13, _counted("foreign key unresolved", errors).replace("key unresolveds", "keys unresolved"), errors)


def taken(fields: Row) -> KongRefused:
    """A value that another entity has already."""
    return refused(5, f"UNIQUE violation detected on '{lua(fields)}'", fields)


def primary_key_taken(key: Row) -> KongRefused:
    """An entity with this primary key is there."""
    return refused(3, f"primary key violation on key '{lua(key)}'", key)


def no_such_entity(fields: Row) -> KongRefused:
    """What is to be changed is not there."""
    kind = "primary key " if "id" in fields else ""
    return refused(6, f"could not find the entity with {kind}'{lua(fields)}'", fields)


def no_such_parent(field: str, key: Row, parent: str) -> KongRefused:
    """What an entity belongs to is not there."""
    return refused(4, f"the foreign key '{lua(key)}' does not reference an existing '{parent}' entity.", {field: key})


def still_referenced(parent: str, child: str) -> KongRefused:
    """What other entities belong to, and does not take them along."""
    message = f"an existing '{child}' entity references this '{parent}' entity"
    return refused(4, message, {"@referenced_by": child})


def lua(value: Any) -> str:
    """A value as Kong writes it in messages: a table of Lua without spaces."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}={lua(one)}" for name, one in sorted(value.items())) + "}"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "null" if value is None else str(value)


def _counted(noun: str, errors: Row) -> str:
    lines = list(_lines(errors))
    return f"{noun} ({lines[0]})" if len(lines) == 1 else f"{len(lines)} {noun}s ({'; '.join(lines)})"


def _lines(errors: Row) -> Sequence[str]:
    lines = list(errors.get(ENTITY, ()))
    for name in sorted(errors.keys() - {ENTITY}):
        told = errors[name]
        if isinstance(told, str):
            lines.append(f"{name}: {told}")
            continue
        named = told.items() if isinstance(told, Mapping) else enumerate(told, 1)
        lines += [f"{name}.{below}: {one if isinstance(one, str) else _pretty(one)}" for below, one in named if one]
    return lines


def _pretty(value: Any) -> str:
    """A table in several lines, as messages have those that stand deeper."""
    if isinstance(value, Mapping):
        inner = [f"{name} = {_pretty(one)}" for name, one in sorted(value.items())]
    elif isinstance(value, list):
        inner = [_pretty(one) for one in value]
    else:
        return lua(value)
    return "{\n  " + ",\n  ".join(inner) + "\n}"

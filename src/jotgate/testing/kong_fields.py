"""The schemas of Kong's entities as values: fields with their types, defaults and limits, and what is wrong with a row.

The messages are Kong's own, letter by letter: a client shows them, and some match them.
"""

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from msgspec import Struct

from jotgate.testing.kong_values import Row

Kind = Literal["string", "number", "integer", "boolean", "set", "array", "record", "map", "foreign", "uuid"]
_REQUIRED: Final = "required field missing"
_UNKNOWN: Final = "unknown field"
_NULL: Final = "value must be null"
_TAG: Final = re.compile(r"[\x20-\x2b\x2d\x2e\x30-\x7e\x80-\U0010ffff]+")


class Field(Struct, frozen=True, kw_only=True):
    """One field. `filled` says what it gets when nobody gives it; `above` is exclusive, `between` is not.

    `unique`: no two entities have the same. `reference` is the entity that a foreign field names. `shut`: it must be
    null. `check` says what is wrong with a value of the right type; empty is nothing.
    """

    kind: Kind
    default: Any = None
    required: bool = False
    unique: bool = False
    one_of: tuple[Any, ...] = ()
    between: tuple[int, int] | None = None
    above: float | None = None
    reference: str = ""
    elements: "Field | None" = None
    fields: "Mapping[str, Field]" = {}
    check: Callable[[Any], str] | None = None
    filled: Literal["", "uuid", "now", "change", "random"] = ""
    shut: bool = False


def tag_fault(tag: str) -> str:
    """What is wrong with a tag: printable ASCII but `,` and `/`, and UTF-8."""
    if _TAG.fullmatch(tag):
        return ""
    return f"invalid tag '{tag}': expected printable ascii (except `,` and `/`) or valid utf-8 sequences"


TAGS: Final = Field(kind="set", elements=Field(kind="string", check=tag_fault))
ID: Final = Field(kind="uuid", filled="uuid")
CREATED: Final = Field(kind="integer", filled="now")
UPDATED: Final = Field(kind="integer", filled="change")


def is_uuid(text: str) -> bool:
    """Whether it is a UUID in its canonical length and hyphens."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def completed(fields: Mapping[str, Field], given: Row) -> Row:
    """What was given with the defaults of what was not; null for a field that must be there is its default too."""
    row = dict(given)
    for name, field in fields.items():
        value = given.get(name)
        if field.kind == "record" and (value is None or isinstance(value, dict)):
            row[name] = completed(field.fields, value or {}) if field.required or value is not None else None
        elif name not in given or (value is None and field.required):
            row[name] = _copied(field.default)
        elif field.kind == "set" and isinstance(value, list):
            row[name] = _distinct(value)
    return row


def merged(fields: Mapping[str, Field], row: Row, given: Row) -> Row:
    """A row with changes: records are merged member by member, all else is replaced."""
    result = {**row, **given}
    for name, value in given.items():
        field = fields.get(name)
        if field is not None and field.kind == "record" and isinstance(value, dict) and isinstance(row.get(name), dict):
            result[name] = merged(field.fields, row[name], value)
    return result


def faults(fields: Mapping[str, Field], row: Row) -> Row:
    """What is wrong with a row, by the names of its fields; empty when nothing is."""
    found: Row = {name: _UNKNOWN for name in row if name not in fields}
    for name, field in fields.items():
        told = _fault(field, row.get(name))
        if told:
            found[name] = told
    return found


def inferred(field: Field | None, value: Any) -> Any:
    """What a text of a form means in a field: a number, a boolean, a set of one; empty is null."""
    if field is None or field.kind in ("string", "uuid"):
        return None if value == "" and field is not None else value
    if field.kind in ("set", "array") and not isinstance(value, dict):
        values = value if isinstance(value, list) else [one for one in value.split(",") if one]
        return [inferred(field.elements, one) for one in values]
    if field.kind in ("record", "map", "foreign") and isinstance(value, dict):
        return {name: inferred(field.fields.get(name), one) for name, one in value.items()}
    if not isinstance(value, str):
        return value
    if value == "":
        return None
    if field.kind == "boolean":
        return {"true": True, "false": False}.get(value, value)
    return _number(value) if field.kind in ("number", "integer") else value


def _number(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _fault(field: Field, value: Any) -> Any:
    if value is None:
        return _REQUIRED if field.required else ""
    if field.shut:
        return _NULL
    wrong = _wrong_kind(field, value)
    if wrong:
        return wrong
    if field.kind == "record":
        inner = faults(field.fields, value)
        return inner or (field.check(value) if field.check else "")
    if field.elements is not None:
        below = [_fault(field.elements, one) or None for one in value]
        return below if any(below) else ""
    return _wrong_value(field, value)


def _wrong_kind(field: Field, value: Any) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    right = {
        "string": isinstance(value, str),
        "number": number,
        "integer": number and value == int(value),
        "boolean": isinstance(value, bool),
        "set": isinstance(value, list),
        "array": isinstance(value, list),
        "record": isinstance(value, dict),
        "map": isinstance(value, dict),
        "foreign": isinstance(value, dict),
        "uuid": isinstance(value, str) and is_uuid(value),
    }[field.kind]
    if right:
        return ""
    if field.kind == "uuid":
        return "expected a valid UUID"
    if field.kind == "foreign":
        return "expected a foreign key"
    return f"expected {'an' if field.kind in ('integer', 'array') else 'a'} {field.kind}"


def _wrong_value(field: Field, value: Any) -> str:
    if field.kind == "string" and not value:
        return "length must be at least 1"
    if field.one_of and value not in field.one_of:
        return "expected one of: " + ", ".join(map(str, field.one_of))
    if field.between is not None and not field.between[0] <= value <= field.between[1]:
        return f"value should be between {field.between[0]} and {field.between[1]}"
    if field.above is not None and value <= field.above:
        return f"value must be greater than {field.above:g}"
    return field.check(value) if field.check else ""


def _copied(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value


def _distinct(values: list[Any]) -> list[Any]:
    kept: list[Any] = []
    for value in values:
        if value not in kept:
            kept.append(value)
    return kept

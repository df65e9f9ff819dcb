"""The part of JSON Schema in which chains say what a step's output is: reading it, checking a value, an example.

A schema is a value of its own kind, so that what it says is understood or refused when the settings are read: a keyword
that is not known here would otherwise be a demand that nobody checks.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal

import msgspec
from msgspec import Struct

Scalar = str | int | float | bool | None
Json = Scalar | list["Json"] | dict[str, "Json"]
Kind = Literal["object", "array", "string", "number", "integer", "boolean", "null"]

DEPTH_MAX: Final = 16
_FAULTS_MAX: Final = 8
_KINDS: Final = ("object", "array", "string", "number", "integer", "boolean", "null")
_KNOWN: Final[Mapping[str, str]] = {
    "type": "",
    "properties": "object",
    "required": "object",
    "additionalProperties": "object",
    "items": "array",
    "minItems": "array",
    "maxItems": "array",
    "minLength": "string",
    "maxLength": "string",
    "minimum": "number",
    "maximum": "number",
    "enum": "",
    "title": "",
    "description": "",
}
"""The keywords that are understood, and the type that each is about; empty: any."""
KEYWORDS: Final = tuple(_KNOWN)
_WORDS: Final = ("title", "description")
_COUNTS: Final = ("minItems", "maxItems", "minLength", "maxLength")
_BOUNDS: Final = ("minimum", "maximum")


class Schema(Struct, frozen=True):
    """What one value is. Of the members those count that its `kind` has; `words` are its title and description.

    `least` and `most` bound a number, the length of a text, or how many items a list has; whole numbers stay such on
    the way to a worker, since no upstream need take `4.0` for a length.
    """

    kind: Kind
    members: dict[str, "Schema"] = {}
    required: tuple[str, ...] = ()
    closed: bool = False
    items: "Schema | None" = None
    least: int | float | None = None
    most: int | float | None = None
    one_of: tuple[Scalar, ...] = ()
    words: dict[str, str] = {}


class SchemaFault(ValueError):
    """A schema that is not understood: where in it, as a path behind its own, and what is wrong."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what


# Reading one


def read_schema(value: object, where: str = "", depth: int = 0) -> Schema:
    """The schema that a decoded table is. Raises SchemaFault for what is not understood."""
    if not isinstance(value, Mapping) or depth > DEPTH_MAX:
        raise SchemaFault(where, f"is no table, or lies deeper than {DEPTH_MAX} tables; write a JSON Schema")
    kind = _kind(value.get("type"), where)
    for name in value:
        about = _KNOWN.get(name) if isinstance(name, str) else None
        if about is None:
            raise SchemaFault(f"{where}.{name}", f"is not understood; known here: {', '.join(_KNOWN)}")
        if about and about != ("number" if kind == "integer" else kind):
            raise SchemaFault(f"{where}.{name}", f"says nothing of type '{kind}'; take it out")
    members = _members(value.get("properties", {}), where, depth)
    items = value.get("items")
    least, most = _bounds(value, where)
    return Schema(
        kind,
        members=members,
        required=_required(value.get("required", []), members, where),
        closed=_closed(value.get("additionalProperties", True), where),
        items=None if items is None else read_schema(items, f"{where}.items", depth + 1),
        least=least,
        most=most,
        one_of=_one_of(value.get("enum"), kind, where),
        words=_words(value, where),
    )


def _kind(value: object, where: str) -> Kind:
    for kind in _KINDS:
        if value == kind:
            return kind
    raise SchemaFault(f"{where}.type", f"must be one of {', '.join(_KINDS)}")


def _members(value: object, where: str, depth: int) -> dict[str, Schema]:
    if not isinstance(value, Mapping):
        raise SchemaFault(f"{where}.properties", "must be a table of schemas")
    return {str(name): read_schema(one, f"{where}.properties.{name}", depth + 1) for name, one in value.items()}


def _required(value: object, members: Mapping[str, Schema], where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) and name in members for name in value):
        raise SchemaFault(f"{where}.required", "must be a list of names that stand in properties")
    return tuple(value)


def _closed(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise SchemaFault(f"{where}.additionalProperties", "must be true or false")
    return not value


def _bounds(value: Mapping[object, object], where: str) -> tuple[int | float | None, int | float | None]:
    found: list[int | float | None] = []
    for low, high in (("minimum", "maximum"), ("minItems", "maxItems"), ("minLength", "maxLength")):
        pair = [_bound(value.get(name), name, where) for name in (low, high)]
        if any(one is not None for one in pair):
            found = pair
    least, most = found or (None, None)
    if least is not None and most is not None and least > most:
        raise SchemaFault(where, "has a least bound that lies above the most")
    return least, most


def _bound(value: object, name: str, where: str) -> int | float | None:
    if value is None:
        return None
    counts = name in _COUNTS
    if isinstance(value, bool) or not isinstance(value, int if counts else int | float) or (counts and value < 0):
        raise SchemaFault(f"{where}.{name}", "must be a whole number from 0" if counts else "must be a number")
    return value


def _one_of(value: object, kind: Kind, where: str) -> tuple[Scalar, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not value or not all(_is_a(one, kind) for one in value):
        raise SchemaFault(f"{where}.enum", f"must be a list of values of type '{kind}', and not empty")
    return tuple(value)


def _words(value: Mapping[object, object], where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in _WORDS:
        text = value.get(name)
        if text is not None and not isinstance(text, str):
            raise SchemaFault(f"{where}.{name}", "must be a text")
        if text is not None:
            found[name] = text
    return found


def as_json(schema: Schema) -> dict[str, Json]:
    """The schema as JSON has it, for an upstream or a prompt."""
    found: dict[str, Json] = {"type": schema.kind, **schema.words}
    match schema.kind:
        case "object":
            found["properties"] = {name: as_json(one) for name, one in schema.members.items()}
            found["required"] = list(schema.required)
            found["additionalProperties"] = not schema.closed
        case "array" if schema.items is not None:
            found["items"] = as_json(schema.items)
    low, high = {"array": ("minItems", "maxItems"), "string": ("minLength", "maxLength")}.get(schema.kind, _BOUNDS)
    found |= {name: bound for name, bound in ((low, schema.least), (high, schema.most)) if bound is not None}
    if schema.one_of:
        found["enum"] = list(schema.one_of)
    return found


def write_json(value: Json) -> str:
    """A value as JSON."""
    return msgspec.json.encode(value).decode()


# Checking a value


def faults_of(value: Json, schema: Schema, where: str = "") -> list[str]:
    """What is wrong with a value, for the model that made it: at most eight faults, and nothing of the value itself."""
    found: list[str] = []
    for fault in _faults(value, schema, where):
        found.append(fault)
        if len(found) == _FAULTS_MAX:
            break
    return found


def _faults(value: Json, schema: Schema, where: str) -> Iterator[str]:
    named = f"'{where}'" if where else "it"
    if not _is_a(value, schema.kind):
        yield f"{named} must be of type {schema.kind}"
        return
    if schema.one_of and value not in schema.one_of:
        yield f"{named} must be one of {write_json(list(schema.one_of))}"
    size, verb, unit = _size(value)
    if size is not None and schema.least is not None and size < schema.least:
        yield f"{named} must {verb} at least {schema.least:g}{unit}"
    if size is not None and schema.most is not None and size > schema.most:
        yield f"{named} must {verb} at most {schema.most:g}{unit}"
    prefix = f"{where}." if where else ""
    if isinstance(value, dict):
        yield from (f"'{prefix}{name}' is missing" for name in schema.required if name not in value)
        if schema.closed and not schema.members.keys() >= value.keys():
            yield f"{named} must have no members but {', '.join(schema.members)}"
        for name, member in schema.members.items():
            if name in value:
                yield from _faults(value[name], member, f"{prefix}{name}")
    elif isinstance(value, list) and schema.items is not None:
        for index, one in enumerate(value):
            yield from _faults(one, schema.items, f"{where}[{index}]")


def _size(value: Json) -> tuple[float | None, str, str]:
    """What bounds are about, and how one says so."""
    match value:
        case bool() | None | dict():
            return None, "", ""
        case str():
            return len(value), "have", " characters"
        case list():
            return len(value), "have", " items"
    return value, "be", ""


def _is_a(value: object, kind: Kind) -> bool:
    match kind:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return kind == "number" or float(value).is_integer()


# An example


def stand_in(schema: Schema, text: str) -> Json:
    """A value that is what the schema says, made of a text: what a model that only repeats words would have said.

    Texts are that text, numbers the highest that the schema allows, or 1; lists have as few items as they may.
    """
    if schema.one_of:
        return schema.one_of[0]
    match schema.kind:
        case "object":
            return {name: stand_in(one, text) for name, one in schema.members.items()}
        case "array":
            return [stand_in(schema.items, text) if schema.items else text for _ in range(int(schema.least or 0))]
        case "string":
            return _fitted(text, int(schema.least or 0), schema.most)
        case "boolean":
            return True
        case "null":
            return None
    number = schema.most if schema.most is not None else max(1.0, schema.least or 1.0)
    return int(number) if schema.kind == "integer" else number


def _fitted(text: str, least: int, most: int | float | None) -> str:
    return text.ljust(least, ".") if most is None else text[: int(most)].ljust(least, ".")

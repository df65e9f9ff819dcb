"""The shape of an answer: status, code, names and types of its members, names of its events; no value is kept."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct

_TYPES: Final[Mapping[type, str]] = {
    str: "text",
    bool: "boolean",
    int: "number",
    float: "number",
    type(None): "null",
    dict: "object",
    list: "array",
}


class Shape(Struct, frozen=True, kw_only=True):
    """What one answer looks like. `code` is Coze's, or the `error_code` of OAuth; empty when there is none.

    `members` are types by path, as `data.usage.token_count`; `[]` stands for every element, and the path of a member of
    an event begins with its name. `events` are in the order in which each came first, `spaced`: they have a space after
    the colon.
    """

    status: int
    code: str = ""
    kind: str = ""
    members: dict[str, str] = {}
    events: tuple[str, ...] = ()
    spaced: bool = False


class Event(Struct, frozen=True):
    """An event of a stream, its data decoded."""

    name: str
    data: object
    spaced: bool


def shape_of_json(status: int, kind: str, value: object) -> Shape:
    """The shape of an answer that is JSON."""
    return Shape(status=status, code=_code_of(value), kind=kind, members=_members([("", value)]))


def shape_of_stream(status: int, kind: str, events: Iterable[Event]) -> Shape:
    """The shape of an event stream."""
    found = list(events)
    return Shape(
        status=status,
        kind=kind,
        members=_members((event.name, event.data) for event in found),
        events=tuple(dict.fromkeys(event.name for event in found)),
        spaced=any(event.spaced for event in found),
    )


def events_of(text: str) -> Iterator[Event]:
    """The events of a stream's text; data that is no JSON counts as text."""
    for frame in text.split("\n\n"):
        fields = dict(line.partition(":")[::2] for line in frame.splitlines() if line)
        if "event" in fields:
            yield Event(fields["event"].strip(), _decoded(fields.get("data", "")), fields["event"].startswith(" "))


def differences(live: Shape, standin: Shape) -> list[str]:
    """Where the stand-in's answer is not as the live one, a line each."""
    said = [
        f"{name}: live {one!r}, stand-in {other!r}"
        for name, one, other in (
            ("status", live.status, standin.status),
            ("code", live.code, standin.code),
            ("content type", live.kind, standin.kind),
            ("space after the colon", live.spaced, standin.spaced),
        )
        if one != other
    ]
    said += [f"event {name}: live only" for name in live.events if name not in standin.events]
    said += [f"event {name}: stand-in only" for name in standin.events if name not in live.events]
    for path in sorted(live.members.keys() | standin.members.keys()):
        one, other = live.members.get(path), standin.members.get(path)
        if other is None:
            said.append(f"member {path}: live only, {one}")
        elif one is None:
            said.append(f"member {path}: stand-in only, {other}")
        elif one != other:
            said.append(f"member {path}: live {one}, stand-in {other}")
    return said


def _members(values: Iterable[tuple[str, object]]) -> dict[str, str]:
    found: dict[str, set[str]] = {}
    for path, value in values:
        _walk(path, value, found)
    return {path: "|".join(sorted(types)) for path, types in sorted(found.items())}


def _walk(path: str, value: object, found: dict[str, set[str]]) -> None:
    if path:
        found.setdefault(path, set()).add(_TYPES[type(value)])
    if isinstance(value, dict):
        for name, member in value.items():
            _walk(f"{path}.{name}" if path else str(name), member, found)
    elif isinstance(value, list):
        for element in value:
            _walk(f"{path}[]", element, found)


def _code_of(value: object) -> str:
    if not isinstance(value, dict):
        return ""
    return str(value.get("code", value.get("error_code", "")))


def _decoded(data: str) -> object:
    try:
        return json.loads(data)
    except ValueError:
        return data

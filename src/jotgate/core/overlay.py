"""Lays the environment and the command line over a decoded document: default < file < environment < option.

A setting is `JOTGATE_` + its table + `__` + its name, in capitals; one of an upstream that the file has is
`JOTGATE_UPSTREAMS__` + the upstream's name + `__` + its own, where every sign of the name that no variable can hold is
an underscore. The list of variables is closed. Variables of other shape are none of ours: a cluster may set
JOTGATE_PORT and its like for every service that has our name.
"""

import re
import tomllib
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct, inspect

from jotgate.core.config import Config, UpstreamEntry
from jotgate.core.faults import Fault, advice

_SHAPE: Final = re.compile(r"JOTGATE_[A-Za-z0-9]\w*?__\w+", re.ASCII)
_UPSTREAM_VARIABLE: Final = "JOTGATE_UPSTREAMS__"
_NOT_IN_A_VARIABLE: Final = re.compile(r"[^A-Z0-9]")
_OPTION_STEMS: Final = {"server": "", "logs": "log-"}
_WHAT_NAMES_AN_ENTRY: Final = "name"

Path = tuple[str | int, ...]


class Overlaid(Struct, frozen=True):
    """A document with what was laid over it. `origins` has the variable or option of each path that one decided."""

    document: dict[str, object]
    origins: dict[str, str]
    faults: tuple[Fault, ...]


def overlay(document: Mapping[str, object], variables: Mapping[str, str], options: Mapping[str, object]) -> Overlaid:
    """The document under the variables that are settings, and under the options, whose paths are like `server.port`."""
    laid = dict(document)
    origins: dict[str, str] = {}
    faults: list[Fault] = []
    known = _variables_of(document)
    for name in sorted(filter(_SHAPE.fullmatch, variables)):
        places = known.get(name, [])
        if len(places) == 1:
            _put(laid, places[0], _value(variables[name], _field_type(places[0])))
            origins[_text(places[0])] = name
        elif places:
            owners = " and ".join(_text(place) for place in places)
            faults.append((name, f"fits {owners}; rename one of these upstreams, or set it in the file"))
        else:
            faults.append((name, f"is not a variable of a setting; {_advice(name, known)}"))
    for path, value in options.items():
        section, _, name = path.partition(".")
        _put(laid, (section, name), value)
        origins[path] = "--" + _OPTION_STEMS.get(section, f"{section}-") + name.replace("_", "-")
    return Overlaid(laid, origins, tuple(faults))


def _variables_of(document: Mapping[str, object]) -> dict[str, list[Path]]:
    """What each variable may set, given the upstreams that the document has."""
    known: dict[str, list[Path]] = {}
    for section in msgspec.structs.fields(Config):
        kind = section.type
        if isinstance(kind, type) and issubclass(kind, Struct):
            for field in msgspec.structs.fields(kind):
                known[f"JOTGATE_{section.name}__{field.name}".upper()] = [(section.name, field.name)]
    fields = [field.name for field in msgspec.structs.fields(UpstreamEntry) if field.name != _WHAT_NAMES_AN_ENTRY]
    upstreams = document.get("upstreams")
    for index, entry in enumerate(upstreams if isinstance(upstreams, list) else []):
        name = entry.get(_WHAT_NAMES_AN_ENTRY) if isinstance(entry, Mapping) else None
        if isinstance(name, str):
            stem = _UPSTREAM_VARIABLE + _NOT_IN_A_VARIABLE.sub("_", name.upper())
            for setting in fields:
                known.setdefault(f"{stem}__{setting.upper()}", []).append(("upstreams", index, setting))
    return known


def _advice(name: str, known: Mapping[str, list[Path]]) -> str:
    stem = name.rpartition("__")[0] + "__"
    alike = [one for one in known if one.startswith(stem)]
    if name.startswith(_UPSTREAM_VARIABLE) and not alike:
        owners = sorted({one.rpartition("__")[0] + "__…" for one in known if one.startswith(_UPSTREAM_VARIABLE)})
        rest = f"; {advice(name, owners)}" if owners else ""
        return f"the file has no upstream of that name, and a variable adds to one that stands there{rest}"
    return advice(name, alike or sorted({one.rpartition("__")[0] + "__…" for one in known}))


def _field_type(place: Path) -> object:
    kind: object = Config if isinstance(place[1], str) else UpstreamEntry
    for part in place if kind is Config else place[2:]:
        fields = msgspec.structs.fields(kind)  # type: ignore[arg-type] # each step but the last leads to a struct
        kind = next(field.type for field in fields if field.name == part)
    return kind


def _value(text: str, kind: object) -> object:
    """What a text means for a setting of this type; what cannot be that stays text, and is refused as such."""
    if _takes_text(inspect.type_info(kind)):
        return text
    if text.lstrip()[:1] not in ("[", "{") and _takes_list(inspect.type_info(kind)):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        found = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # Not TOML, a number of thousands of digits, or nested as deep.
        return text
    return found["value"] if found.keys() == {"value"} else text


def _takes_text(kind: inspect.Type) -> bool:
    match kind:
        case inspect.StrType() | inspect.CustomType():
            return True
        case inspect.LiteralType(values=values):
            return all(isinstance(value, str) for value in values)
        case inspect.UnionType(types=types):
            return any(map(_takes_text, types))
        case inspect.Metadata(type=inner):
            return _takes_text(inner)
    return False


def _takes_list(kind: inspect.Type) -> bool:
    match kind:
        case inspect.VarTupleType() | inspect.ListType():
            return True
        case inspect.UnionType(types=types):
            return any(map(_takes_list, types))
        case inspect.Metadata(type=inner):
            return _takes_list(inner)
    return False


def _put(document: dict[str, object], place: Path, value: object) -> None:
    """Set one value in a document. What is changed on the way is copied; what is no table is left to its own fault."""
    table: object = document
    for part in place[:-1]:
        inner: object = None
        if isinstance(table, dict):
            inner = table[part] = _copied(table.get(part, {}))
        elif isinstance(table, list) and isinstance(part, int):
            inner = table[part] = _copied(table[part])
        table = inner
    if isinstance(table, dict):
        table[place[-1]] = value


def _copied(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, list) else value


def _text(place: Path) -> str:
    """A path as faults write it."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")

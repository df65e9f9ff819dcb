"""Lays what presets bring under the operator's own document, and keeps whose each table is."""

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.config import Config
from jotgate.core.presets import NAMED_TABLES, Preset, Tables

Names = Mapping[str, frozenset[str]]
"""Names of tables by the array that they stand in."""


class Underlaid(Struct, frozen=True):
    """A document with the tables of presets in it.

    `brought` are those by name that a preset put there: what the operator has written by that name is not among them.
    `owners` has the name of the preset for each path in the document that came of one, such as `upstreams[2]`.
    """

    document: Tables
    brought: Names = {}
    owners: Mapping[str, str] = {}


def names_in(document: Tables) -> Names:
    """The names that stand in the arrays of a document; what is no table is passed over."""
    return {array: frozenset(_named(document.get(array), member)) for array, member in NAMED_TABLES.items()}


def lay_under(document: Tables, presets: Iterable[Preset]) -> Underlaid:
    """The operator's document with all that presets say and it does not; of two presets the first goes before."""
    laid = dict(document)
    brought: dict[str, frozenset[str]] = dict.fromkeys(NAMED_TABLES, frozenset())
    owners: dict[str, str] = {}
    for preset in presets:
        for name, value in preset.tables.items():
            member = NAMED_TABLES.get(name)
            if member is None:
                owners |= dict.fromkeys(_lay_table(laid, name, value), preset.name)
            elif isinstance(value, list) and isinstance(known := laid.get(name, []), list):
                taken = set(_named(known, member))
                added = [one for one in value if one[member] not in taken]
                laid[name] = [*known, *added]
                brought[name] |= frozenset(_named(added, member))
                owners |= {f"{name}[{len(known) + place}]": preset.name for place in range(len(added))}
    return Underlaid(laid, brought, owners)


def native_part(config: Config, brought: Names) -> Config:
    """The configuration as the native listener serves it: without the models that presets brought."""

    def is_ours(array: str, name: str) -> bool:
        return name not in brought.get(array, ())

    return replace(
        config,
        upstreams=tuple(one for one in config.upstreams if is_ours("upstreams", one.name)),
        routes=tuple(one for one in config.routes if is_ours("routes", one.alias)),
        chains=tuple(one for one in config.chains if is_ours("chains", one.name)),
    )


def face_part(config: Config, preset: Preset) -> Config:
    """The configuration as a preset's face serves it: the models that the preset names, whoever says what they are.

    Where it has chains, its upstreams answer their steps alone, and are not asked by callers.
    """
    names = names_in(preset.tables)
    asked = frozenset() if names["chains"] else names["upstreams"]
    return replace(
        config,
        upstreams=tuple(one for one in config.upstreams if one.name in asked),
        routes=tuple(one for one in config.routes if one.alias in names["routes"]),
        chains=tuple(one for one in config.chains if one.name in names["chains"]),
    )


def _lay_table(laid: dict[str, object], name: str, value: object) -> list[str]:
    """Lay one table under the operator's of the same name; the paths of what came of it."""
    known = laid.get(name, {})
    if not isinstance(value, Mapping) or not isinstance(known, Mapping):
        return []
    laid[name] = {**value, **known}
    return [f"{name}.{member}" for member in value if member not in known]


def _named(entries: object, member: str) -> list[str]:
    tables = [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list) else []
    return [name for entry in tables if isinstance(name := entry.get(member), str)]

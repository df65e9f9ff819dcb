"""Lays what presets bring under the operator's own document, and keeps whose each table is."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from jotgate.core.presets import NAMED_TABLES, Preset, Tables

Names = Mapping[str, frozenset[str]]
"""Names of tables by the array that they stand in."""


class Underlaid(Struct, frozen=True):
    """A document with the tables of presets in it.

    `brought` are those by name that a preset put there: what the operator has written by that name is not among them.
    """

    document: Tables
    brought: Names


def names_in(document: Tables) -> Names:
    """The names that stand in the arrays of a document; what is no table is passed over."""
    return {array: frozenset(_named(document.get(array), member)) for array, member in NAMED_TABLES.items()}


def lay_under(document: Tables, presets: Iterable[Preset]) -> Underlaid:
    """The operator's document with all that presets say and it does not; of two presets the first goes before."""
    laid = dict(document)
    brought: dict[str, frozenset[str]] = dict.fromkeys(NAMED_TABLES, frozenset())
    for preset in presets:
        for name, value in preset.tables.items():
            known = laid.get(name)
            if name in NAMED_TABLES and isinstance(value, list) and isinstance(laid.setdefault(name, []), list):
                taken = names_in(laid)[name]
                added = [one for one in value if one[NAMED_TABLES[name]] not in taken]
                laid[name] = [*_listed(laid[name]), *added]
                brought[name] |= frozenset(_named(added, NAMED_TABLES[name]))
            elif isinstance(value, Mapping):
                laid[name] = {**value, **known} if isinstance(known, Mapping) else value if known is None else known
    return Underlaid(laid, brought)


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _named(entries: object, member: str) -> list[str]:
    tables = [entry for entry in _listed(entries) if isinstance(entry, Mapping)]
    return [name for entry in tables if isinstance(name := entry.get(member), str)]

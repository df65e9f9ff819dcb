"""Reads `[[quotas]]`, and turns sound entries into rules."""

from collections.abc import Iterable, Mapping
from typing import Final

from jotgate.core.faults import Fault, shown
from jotgate.core.limit_texts import read_limit
from jotgate.core.policy_checks import operation_fault, pattern_fault
from jotgate.core.quota_entries import QuotaEntry
from jotgate.core.quota_rules import TRAITS, QuotaRule
from jotgate.core.quotas import Level, Quota
from jotgate.core.spenders import Trait
from jotgate.core.tables import read_table
from jotgate.errors import CommandError

QUOTAS_MAX: Final = 1_000
MEMBERS_MAX: Final = 20_000
"""So many members may the lists of all of them have together: all are looked through for each new token and model."""

_ENDLESS: Final = "has no window, and what is used up would never come again; add /day or /month, or say /lifetime"
_SETTLED_BY: Final[Mapping[Level, frozenset[Trait]]] = {
    "principal": frozenset({"subjects"}),
    "client": frozenset({"clients"}),
    "tenant": frozenset({"tenants"}),
    "route": frozenset({"routes", "models"}),
    "model": frozenset({"routes", "models"}),
    "tool": frozenset({"routes", "tools"}),
    "token": frozenset({"subjects"}),
}
"""Which members are the same for all calls of one holder: a rule by them speaks of all its calls, or of none."""


def read_quotas(value: object, faults: list[Fault]) -> dict[str, QuotaEntry]:
    """The sound entries by their path, such as `quotas[0]`, in file order."""
    if not isinstance(value, list):
        faults.append(("quotas", f"is {shown(value)}, and must be tables, each headed [[quotas]]"))
        return {}
    entries: dict[str, QuotaEntry] = {}
    for index, item in enumerate(value):
        path = f"quotas[{index}]"
        entry = read_table(QuotaEntry, item, path, faults)
        if entry is None:
            continue
        found = _check(path, entry)
        faults += found
        if not found:
            entries[path] = entry
    faults += _check_together(entries)
    return entries


def compile_quotas(entries: Iterable[QuotaEntry]) -> tuple[QuotaRule, ...]:
    """What sound entries mean, in their order."""
    return tuple(map(_rule, entries))


def _rule(entry: QuotaEntry) -> QuotaRule:
    return QuotaRule(
        quota=Quota(entry.name, read_limit(entry.limit), entry.per, _scope(entry)),
        subjects=entry.subjects,
        clients=entry.clients,
        tenants=entry.tenants,
        roles=entry.roles,
        issuers=entry.issuers,
        operations=entry.operations,
        routes=entry.routes,
        models=entry.models,
        tools=entry.tools,
    )


def _scope(entry: QuotaEntry) -> str:
    """The rule's name if it speaks of some calls of a holder and not of others, which then count on another account."""
    settled = frozenset[Trait]().union(*(_SETTLED_BY.get(level, ()) for level in entry.per))
    return entry.name if any(getattr(entry, trait) for trait in TRAITS if trait not in settled) else ""


def _check(path: str, entry: QuotaEntry) -> list[Fault]:
    faults: list[Fault] = []
    try:
        limit = read_limit(entry.limit)
    except CommandError as error:
        faults.append((f"{path}.limit", f"{error.message}; {error.hint}"))
    else:
        if limit.window == "lifetime" and "/" not in entry.limit and "token" not in entry.per:
            faults.append((f"{path}.limit", _ENDLESS))
    if len(set(entry.per)) < len(entry.per):
        faults.append((f"{path}.per", "names a level twice; write each once"))
    for trait in TRAITS:
        faults += [(f"{path}.{trait}", fault) for one in getattr(entry, trait) if (fault := pattern_fault(one))]
    faults += [(f"{path}.operations", fault) for one in entry.operations if (fault := operation_fault(one))]
    return faults


def _check_together(entries: Mapping[str, QuotaEntry]) -> list[Fault]:
    first: dict[str, str] = {}
    faults: list[Fault] = []
    for path, entry in entries.items():
        if first.setdefault(entry.name, path) != path:
            faults.append((f"{path}.name", f"is '{entry.name}' as in {first[entry.name]}; each name stands once"))
    if len(entries) > QUOTAS_MAX:
        faults.append(("quotas", f"are more than {QUOTAS_MAX}; let some of them name several things each"))
    if sum(len(getattr(entry, trait)) for entry in entries.values() for trait in TRAITS) > MEMBERS_MAX:
        faults.append(("quotas", f"name more than {MEMBERS_MAX} things in all; say some with a *"))
    return faults

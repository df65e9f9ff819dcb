"""The policies of the settings and those of the store, put together into the one set by which calls are decided."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from msgspec import Struct

from jotgate.core.faults import Fault
from jotgate.core.policy_checks import compile_policy
from jotgate.core.policy_entries import PolicyEntry
from jotgate.core.policy_orders import PolicyView
from jotgate.core.policy_reader import read_kept
from jotgate.core.policy_values import SHIPPED, KeptPolicies, Policy, PolicyRecord, PolicySet

_UNREADABLE: Final = "one of the policies cannot be read"

FindZone = Callable[[str, Mapping[str, bytes]], bytes | None]
"""The rules of a time zone, of those that are known or of the machine's; empty for UTC, None: there are none."""


class PolicyBook(Struct, frozen=True):
    """The whole set, and the names of those of the store that cannot be read."""

    policies: PolicySet
    unreadable: tuple[str, ...]


def put_together(
    configured: Iterable[PolicyEntry], zones: Mapping[str, bytes], kept: KeptPolicies, find_zone: FindZone
) -> PolicyBook:
    """Those of the settings, whose `zones` are known, and then those of the store.

    One of the store that cannot be read denies everything: what it would deny is not known.
    """
    known = dict(zones)
    policies = [compile_policy(entry, "file") for entry in configured]
    unreadable: list[str] = []
    for record in kept.records:
        policy = _read(record, known, find_zone)
        if policy is None:
            unreadable.append(record.name)
            policy = Policy(name=record.name, effect="deny", origin="store", reason=_UNREADABLE)
        policies.append(policy)
    return PolicyBook(PolicySet(tuple(policies), known), tuple(unreadable))


def clashes(entries: Mapping[str, PolicyEntry], configured: Iterable[PolicyEntry]) -> list[Fault]:
    """The faults of entries for the store, by their paths, that have the name of one of the settings."""
    taken = {one.name for one in configured}
    return [
        (f"{path}.name", f"is '{entry.name}' as in the configuration; give it another name")
        for path, entry in entries.items()
        if entry.name in taken
    ]


def views_of(configured: Iterable[PolicyEntry], kept: KeptPolicies, unreadable: Collection[str]) -> list[PolicyView]:
    """All policies in their order, as people are shown them; the shipped one while there is none."""
    found = [PolicyView(name=one.name, origin="file", settings=one) for one in configured]
    for record in kept.records:
        view = PolicyView(
            name=record.name,
            origin="store",
            settings=read_kept(record.content),
            faults=[_UNREADABLE] if record.name in unreadable else [],
            version=record.version,
            created_at_s=record.created_at_s,
        )
        found.append(view)
    shipped = PolicyEntry(name=SHIPPED.name, effect=SHIPPED.effect)
    return found or [PolicyView(name=shipped.name, origin="shipped", settings=shipped)]


def warn_of(policies: Iterable[PolicyEntry | Policy]) -> list[str]:
    """What their author should know of policies that stand in one place."""
    found = tuple(policies)
    if found and all(one.effect == "deny" for one in found):
        return ["no policy here allows anything, so that every call is denied that none elsewhere allows"]
    return []


def _read(record: PolicyRecord, known: dict[str, bytes], find_zone: FindZone) -> Policy | None:
    """A policy of the store, with the rules of its zones added to those that are known; None: it cannot be read."""
    entry = read_kept(record.content)
    if entry is None:
        return None
    for window in entry.times:
        rules = find_zone(window.zone, known)
        if rules is None:
            return None
        if rules:
            known[window.zone] = rules
    return compile_policy(entry, "store")

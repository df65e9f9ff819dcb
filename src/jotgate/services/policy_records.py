"""Replaces the policies that the store keeps, as a whole, by compare-and-set."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.faults import Fault
from jotgate.core.policy_checks import write_policy
from jotgate.core.policy_entries import PolicyEntry
from jotgate.core.policy_orders import PolicyOrder
from jotgate.core.policy_reader import read_policies
from jotgate.core.policy_values import KeptPolicies, PolicyRecord
from jotgate.errors import CommandError, ConfigurationError, RecordChanged
from jotgate.store_ports import PolicyRecords

_NAMED_MAX: Final = 20

Examination = Callable[[Mapping[str, PolicyEntry]], Sequence[Fault]]
"""What is wrong with sound entries, by their paths, in this installation."""


class PolicyChange(Struct, frozen=True):
    """That the store keeps other policies than before."""

    before: KeptPolicies
    after: KeptPolicies


def carry_out(records: PolicyRecords, order: PolicyOrder, examine: Examination, now_s: float) -> PolicyChange | None:
    """Do what is ordered. Returns what has changed by it; None when nothing has.

    Raises:
        RecordChanged: the set is of another version, or somebody changed it meanwhile.
        ConfigurationError: what is to be kept has faults.
        CommandError: the order holds no entries.
        StoreUnavailable: the store does not answer.
    """
    if order.action == "list":
        return None
    entries = read_tables(order.tables, examine)
    if order.action == "check":
        return None
    before = records.policies()
    if order.version is not None and before.version != order.version:
        raise _changed()
    known = {record.name: record for record in before.records}
    after = tuple(_record(entry, known.get(entry.name), int(now_s)) for entry in entries)
    if after == before.records:
        return None
    version = records.put_policies(before.version, after)
    if version is None:
        raise _changed()
    kept = tuple(replace(record, version=record.version or version) for record in after)
    return PolicyChange(before, KeptPolicies(version, kept))


def proposed(tables: str, examine: Examination) -> KeptPolicies:
    """A set as the store would keep it, which it does not. Raises as `carry_out`."""
    return KeptPolicies(0, tuple(_record(entry, None, 0) for entry in read_tables(tables, examine)))


def read_tables(tables: str, examine: Examination) -> Sequence[PolicyEntry]:
    """The entries of a set, which are sound. Raises as `carry_out`."""
    try:
        found = msgspec.json.decode(tables.encode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError):
        raise CommandError("the policies are not a list of tables in JSON") from None
    faults: list[Fault] = []
    entries = read_policies(found, faults)
    faults += examine(entries)
    if faults:
        raise ConfigurationError(faults)
    return list(entries.values())


def details_of(change: PolicyChange) -> Mapping[str, str | int]:
    """What the audit log tells of a change: how many there are now, and the first of those that differ."""
    before = {record.name: record.content for record in change.before.records}
    after = {record.name: record.content for record in change.after.records}
    return {
        "version": change.after.version,
        "policies": len(after),
        "added": _names([name for name in after if name not in before]),
        "changed": _names([name for name in after if name in before and before[name] != after[name]]),
        "removed": _names([name for name in before if name not in after]),
    }


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
    return " ".join(names[:_NAMED_MAX]) + more


def _record(entry: PolicyEntry, before: PolicyRecord | None, now_s: int) -> PolicyRecord:
    """The entry as it is kept; one that says what it said stays as it is."""
    content = write_policy(entry)
    if before is None:
        return PolicyRecord(entry.name, content, created_at_s=now_s)
    return before if before.content == content else replace(before, content=content, version=0)


def _changed() -> RecordChanged:
    return RecordChanged(
        "the policies of the store were changed by somebody else meanwhile",
        hint="Look at what there is with: jotgate policy list",
    )

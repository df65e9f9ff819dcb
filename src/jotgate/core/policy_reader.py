"""Reads `[[policies]]`: those of the configuration, of a file that a command reads, and one that the store keeps."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from jotgate.core.faults import Fault, shown
from jotgate.core.policy_checks import check_policies, check_policy
from jotgate.core.policy_entries import AgeEntry, PolicyEntry, WindowEntry
from jotgate.core.tables import read_table


def read_policies(value: object, faults: list[Fault]) -> dict[str, PolicyEntry]:
    """The sound entries by their path, such as `policies[0]`, in their order."""
    if not isinstance(value, list):
        faults.append(("policies", f"is {shown(value)}, and must be tables, each headed [[policies]]"))
        return {}
    entries: dict[str, PolicyEntry] = {}
    for index, item in enumerate(value):
        path = f"policies[{index}]"
        entry = _read(path, item, faults)
        if entry is not None:
            entries[path] = entry
    faults += check_policies(entries)
    return entries


def read_policy_document(document: Mapping[str, object], faults: list[Fault]) -> dict[str, PolicyEntry]:
    """The entries of a document that holds nothing else."""
    faults += [(name, "does not belong here; write [[policies]] alone") for name in document if name != "policies"]
    return read_policies(document.get("policies", []), faults)


def read_kept(content: bytes) -> PolicyEntry | None:
    """An entry as the store keeps it; None when it has a fault."""
    try:
        table = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    faults: list[Fault] = []
    entry = _read("policies[0]", table, faults)
    return None if faults else entry


def _read(path: str, item: object, faults: list[Fault]) -> PolicyEntry | None:
    known = len(faults)
    entry = read_table(PolicyEntry, _with_tables(path, item, faults), path, faults)
    if entry is None or len(faults) > known:
        return None
    faults += check_policy(path, entry)
    return entry if len(faults) == known else None


def _with_tables(path: str, item: object, faults: list[Fault]) -> object:
    """An entry with the tables in it read one by one, so that a fault names its own place."""
    if not isinstance(item, Mapping):
        return item
    found: dict[str, object] = dict(item)
    times = item.get("times")
    if isinstance(times, list):
        places = [f"{path}.times[{index}]" for index in range(len(times))]
        found["times"] = [_inner(WindowEntry(), *one, faults) for one in zip(times, places, strict=True)]
    if "token_age" in item:
        found["token_age"] = _inner(AgeEntry(), item["token_age"], f"{path}.token_age", faults)
    return found


def _inner(other: Struct, item: object, path: str, faults: list[Fault]) -> Struct:
    """A table within an entry; where it has faults `other` stands for it, so that they are told once."""
    return read_table(type(other), item, path, faults) or other

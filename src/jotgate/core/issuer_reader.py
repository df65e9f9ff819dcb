"""Reads `[[issuers]]`, and one such table that stands alone: in the store, or in a file that a command reads."""

from collections.abc import Mapping

from jotgate.core.config import ClaimsEntry, IssuerEntry
from jotgate.core.faults import Fault, shown
from jotgate.core.issuer_checks import check_issuer_entry
from jotgate.core.issuer_compiler import check_issuers
from jotgate.core.tables import SHARED_SECRETS, read_table


def read_issuers(value: object, faults: list[Fault]) -> dict[str, IssuerEntry]:
    """The sound entries by their path, such as `issuers[0]`, in file order."""
    if not isinstance(value, list):
        faults.append(("issuers", f"is {shown(value)}, and must be tables, each headed [[issuers]]"))
        return {}
    entries: dict[str, IssuerEntry] = {}
    for index, item in enumerate(value):
        path = f"issuers[{index}]"
        entry = _read(path, item, faults)
        if entry is not None:
            entries[path] = entry
    faults += check_issuers(entries)
    return entries


def read_issuer(table: object) -> tuple[IssuerEntry | None, tuple[Fault, ...]]:
    """One entry alone, and its faults by the names of its settings; a secret in it is one."""
    found: list[Fault] = []
    entry = _read("issuers[0]", table, found)
    if isinstance(table, Mapping):
        found += [
            (f"issuers[0].{name}", "is a secret, and none is kept here; write secret_env or secret_file")
            for name in sorted(SHARED_SECRETS & table.keys())
        ]
    faults = tuple((path.removeprefix("issuers[0]").removeprefix("."), fault) for path, fault in found)
    return (None if faults else entry), faults


def _read(path: str, item: object, faults: list[Fault]) -> IssuerEntry | None:
    known = len(faults)
    if isinstance(item, Mapping) and "claims" in item:
        # Read by itself, so that a fault names its own place; one that has faults stands for itself meanwhile.
        claims = read_table(ClaimsEntry, item["claims"], f"{path}.claims", faults)
        item = {**item, "claims": claims or ClaimsEntry()}
    entry = read_table(IssuerEntry, item, path, faults)
    if entry is None:
        return None
    faults += check_issuer_entry(path, entry)
    return entry if len(faults) == known else None

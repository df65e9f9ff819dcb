"""Changes the issuers that the store keeps. Each change is a compare-and-set; of two at a time one is told so."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.durable import IssuerRecord
from jotgate.core.faults import Fault
from jotgate.core.issuer_orders import IssuerOrder
from jotgate.errors import CommandError, ConfigurationError, RecordChanged, RecordExists, RecordMissing
from jotgate.store_ports import IssuerRecords

_LOOK: Final = "Look at what there is with: jotgate issuer list"


_PAST: Final = {
    action: f"issuer.{past}"
    for action, past in (("add", "added"), ("remove", "removed"), ("enable", "enabled"), ("disable", "disabled"))
}

Examination = Callable[[IssuerRecord], Sequence[Fault]]
"""What is wrong with an issuer that is to be kept, by its settings."""


class IssuerChange(Struct, frozen=True):
    """That an issuer is kept otherwise than before; `event` is its name in the audit log."""

    event: str
    record: IssuerRecord


def carry_out(records: IssuerRecords, order: IssuerOrder, examine: Examination, now_s: float) -> IssuerChange | None:
    """Do what the operator orders. Returns what has changed by it; None when nothing has.

    Raises:
        RecordMissing, RecordExists, RecordChanged: there is none of this name, or one already, or somebody changed it.
        CommandError: it has no name.
        ConfigurationError: what is to be kept has faults.
        StoreUnavailable: the store does not answer.
    """
    if order.action == "list":
        return None
    if order.action == "add":
        record = add_issuer(records, order.table.encode("utf-8", "replace"), examine, int(now_s), enabled=not order.off)
    elif order.action == "remove":
        record = remove_issuer(records, order.name, order.version)
    else:
        before = find_issuer(records, order.name, order.version)
        record = switch_issuer(records, before, int(now_s), enabled=order.action == "enable")
        if record == before:
            return None
    return IssuerChange(_PAST[order.action], record)


def add_issuer(
    records: IssuerRecords, content: bytes, examine: Examination, now_s: int, *, enabled: bool = True
) -> IssuerRecord:
    """Keep a new issuer, whose name stands in its content. Raises as `carry_out`."""
    record = IssuerRecord(name_of(content), content, enabled, created_at_s=now_s, updated_at_s=now_s)
    taken = RecordExists(
        f"the store has an issuer '{record.name}' already",
        hint="Give it another name, or remove that one first with: jotgate issuer remove NAME",
    )
    if any(one.name == record.name for one in records.issuers()):
        raise taken
    faults = examine(record)
    if faults:
        raise ConfigurationError(list(faults))
    version = records.put_issuer(record)
    if version is None:
        raise taken
    return replace(record, version=version)


def switch_issuer(records: IssuerRecords, found: IssuerRecord, now_s: int, *, enabled: bool) -> IssuerRecord:
    """Switch an issuer on or off; one that is so already stays as it is. Raises as `carry_out`."""
    if found.enabled is enabled:
        return found
    changed = replace(found, enabled=enabled, updated_at_s=now_s)
    version = records.put_issuer(changed)
    if version is None:
        raise _changed(found.name)
    return replace(changed, version=version)


def remove_issuer(records: IssuerRecords, name: str, version: int | None = None) -> IssuerRecord:
    """Forget an issuer. Returns what it was. Raises as `carry_out`."""
    found = find_issuer(records, name, version)
    if not records.drop_issuer(name, found.version):
        raise _changed(name)
    return found


def find_issuer(records: IssuerRecords, name: str, version: int | None = None) -> IssuerRecord:
    """The issuer of this name, and of this version if one is meant. Raises as `carry_out`."""
    found = next((one for one in records.issuers() if one.name == name), None)
    if found is None:
        raise RecordMissing(f"the store has no issuer '{name}'", hint=_LOOK)
    if version is not None and found.version != version:
        raise _changed(name)
    return found


def name_of(table: bytes) -> str:
    """The name that an entry gives its issuer. Raises CommandError when it gives none."""
    try:
        return msgspec.json.decode(table, type=_Named).name
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CommandError(
            "the entry has no name",
            hint="Write name = \"NAME\" in it, 1 to 64 letters, digits, '.', '_' or '-'",
        ) from None


class _Named(Struct, frozen=True):
    name: str


def _changed(name: str) -> RecordChanged:
    return RecordChanged(f"the issuer '{name}' was changed by somebody else meanwhile", hint=_LOOK)


def details_of(change: IssuerChange) -> Mapping[str, str | int]:
    """What the audit log tells of a change."""
    return {"name": change.record.name, "version": change.record.version}

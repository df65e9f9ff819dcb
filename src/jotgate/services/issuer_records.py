"""Changes the issuers that the store keeps. Each change is a compare-and-set; of two at a time one is told so."""

from typing import Final

import msgspec
from msgspec.structs import replace

from jotgate.core.durable import IssuerRecord
from jotgate.errors import CommandError
from jotgate.ports import Clock, IssuerRecords

_LOOK: Final = "Look at what there is with: jotgate issuer list"


def add_issuer(records: IssuerRecords, name: str, content: bytes, clock: Clock) -> IssuerRecord:
    """Keep a new issuer.

    Raises:
        CommandError: one of this name is kept already.
        StoreUnavailable: the store does not answer.
    """
    now_s = int(clock.now_s())
    record = IssuerRecord(name, content, created_at_s=now_s, updated_at_s=now_s)
    version = records.put_issuer(record)
    if version is None:
        raise CommandError(
            f"the store has an issuer '{name}' already",
            hint=f"Give it another name, or run: jotgate issuer remove {name}",
        )
    return replace(record, version=version)


def switch_issuer(records: IssuerRecords, name: str, clock: Clock, *, enabled: bool) -> IssuerRecord:
    """Switch an issuer on or off; one that is so already stays as it is.

    Raises:
        CommandError: the store has none of this name, or somebody changed it meanwhile.
        StoreUnavailable: the store does not answer.
    """
    found = find_issuer(records, name)
    if found.enabled is enabled:
        return found
    changed = replace(found, enabled=enabled, updated_at_s=int(clock.now_s()))
    version = records.put_issuer(changed)
    if version is None:
        raise _changed(name)
    return replace(changed, version=version)


def remove_issuer(records: IssuerRecords, name: str) -> IssuerRecord:
    """Forget an issuer. Returns what it was.

    Raises:
        CommandError: the store has none of this name, or somebody changed it meanwhile.
        StoreUnavailable: the store does not answer.
    """
    found = find_issuer(records, name)
    if not records.drop_issuer(name, found.version):
        raise _changed(name)
    return found


def find_issuer(records: IssuerRecords, name: str) -> IssuerRecord:
    """The issuer of this name. Raises CommandError when the store has none, StoreUnavailable."""
    found = next((one for one in records.issuers() if one.name == name), None)
    if found is None:
        raise CommandError(f"the store has no issuer '{name}'", hint=_LOOK)
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


class _Named(msgspec.Struct, frozen=True):
    name: str


def _changed(name: str) -> CommandError:
    return CommandError(f"the issuer '{name}' was changed by somebody else meanwhile", hint=_LOOK)

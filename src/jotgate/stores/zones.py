"""Reads the rules of time zones, which the machine keeps (RFC 9636), for those who open no file."""

import zoneinfo
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Final

from jotgate.core.faults import Fault, shown
from jotgate.core.limit_texts import read_limit
from jotgate.core.policy_entries import PolicyEntry
from jotgate.core.policy_values import UTC_NAME
from jotgate.core.quota_entries import QuotaEntry

_BYTES_MAX: Final = 65_536


def read_zones(entries: Mapping[str, PolicyEntry]) -> tuple[dict[str, bytes], list[Fault]]:
    """The rules of the zones that entries name, by the zones' names, and the faults of those that are not known here.

    `entries` are by their paths. UTC has no rules.
    """
    found: dict[str, bytes] = {}
    faults: list[Fault] = []
    for path, entry in entries.items():
        for index, window in enumerate(entry.times):
            rules = find_zone(window.zone, found)
            if rules is None:
                fault = f'is {shown(window.zone)}, a time zone that this machine does not know; write one such as "UTC"'
                faults.append((f"{path}.times[{index}].zone", fault))
            elif rules:
                found[window.zone] = rules
    return found, faults


def check_quota_zones(entries: Mapping[str, QuotaEntry]) -> list[Fault]:
    """The faults of limits, in sound entries by their paths, that go by the clock of a zone that is not known here."""
    zones = {path: read_limit(entry.limit).zone for path, entry in entries.items()}
    return [
        (f"{path}.limit", f"names {shown(zone)}, a time zone that this machine does not know; leave it out for UTC")
        for path, zone in zones.items()
        if find_zone(zone, {}) is None
    ]


def find_zone(name: str, known: Mapping[str, bytes]) -> bytes | None:
    """The rules of a zone, of those that are known or of those of this machine; empty for UTC, None: there are none."""
    if name == UTC_NAME:
        return b""
    return known.get(name) or _read(name, map(Path, zoneinfo.TZPATH))


def _read(name: str, folders: Iterable[Path]) -> bytes | None:
    """The first sound rules; `name` is of letters, digits and single slashes, so that it leads out of no folder."""
    for folder in folders:
        try:
            with (folder / name).open("rb") as file:
                rules = file.read(_BYTES_MAX)
            zoneinfo.ZoneInfo.from_file(BytesIO(rules), key=name)
        except (OSError, ValueError):
            continue
        return rules
    return None

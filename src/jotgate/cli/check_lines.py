"""The lines of a report: what was looked at, how it is, and below a fault what mends it."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from jotgate.assembly.doctor import Check

_MARKS: Final = {"ok": "✓", "fault": "✗", "unknown": "?"}
_PLAIN_MARKS: Final = {"ok": "ok", "fault": "FAULT", "unknown": "?"}


def print_checks(checks: "Iterable[Check]") -> bool:
    """Write each line as soon as it is known. Returns whether there was no fault."""
    marks = _MARKS if _shows(sys.stdout.encoding, "✓✗") else _PLAIN_MARKS
    faults = 0
    for check in checks:
        faults += check.state == "fault"
        fix = f"    fix  {check.fix}\n" if check.fix and check.state != "ok" else ""
        sys.stdout.write(f"{marks[check.state]} {check.name}: {check.text}\n{fix}")
        sys.stdout.flush()
    return not faults


def _shows(encoding: str | None, signs: str) -> bool:
    try:
        signs.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True

"""`jotgate doctor`: looks at everything that jotgate needs, and says what would mend what is wrong."""

import argparse
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from jotgate.cli.common import (
    EXIT_FAILED,
    EXIT_OK,
    add_config_option,
    add_data_option,
    add_preset_option,
    add_server_options,
    data_directory,
    say_next,
    sources,
)

if TYPE_CHECKING:
    from jotgate.assembly.doctor import Check

_MARKS: Final = {"ok": "✓", "fault": "✗", "unknown": "?"}
_PLAIN_MARKS: Final = {"ok": "ok", "fault": "FAULT", "unknown": "?"}


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `jotgate doctor`."""
    parser = commands.add_parser(
        "doctor",
        help="find out what is wrong",
        description="Look at the clock, limits, files, settings, control, the address, faces and upstreams. Nothing "
        "is changed. Give it the options of 'jotgate up'. Exit status 0: no fault; 1: each is told.",
    )
    add_data_option(parser)
    add_server_options(parser)
    add_preset_option(parser)
    add_config_option(parser)
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    parser.set_defaults(run=doctor)


def doctor(arguments: argparse.Namespace) -> int:
    """Print the report, each line as soon as it is known."""
    import msgspec

    from jotgate.assembly.doctor import examine
    from jotgate.cli.operator import ask_if_running, find_status
    from jotgate.core.upstream_orders import UpstreamAnswer, UpstreamOrder
    from jotgate.stores.directory import DataDirectory

    directory = DataDirectory(data_directory(arguments))
    listing = UpstreamOrder(action="list")
    checks = examine(
        directory,
        sources(arguments),
        lambda: find_status(directory),
        lambda: ask_if_running(directory, "/upstreams", listing, UpstreamAnswer),
    )
    if arguments.json:
        found = list(checks)
        sound = not any(check.state == "fault" for check in found)
        sys.stdout.write(msgspec.json.encode({"sound": sound, "checks": found}).decode("utf-8") + "\n")
        return EXIT_OK if sound else EXIT_FAILED
    if not print_checks(checks):
        return EXIT_FAILED
    say_next("jotgate up", arguments)
    return EXIT_OK


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

"""`jotgate audit`: verifies the audit log and shows its newest records."""

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from jotgate.cli.common import EXIT_FAILED, EXIT_OK, add_data_option, say_next
from jotgate.cli.records import log_directory, plain, print_lines, record_json, show_time, word

if TYPE_CHECKING:
    from pathlib import Path

    from jotgate.core.audit_verifier import Fault, TornTail, VerificationReport
    from jotgate.stores.segment_files import Entry

_FOLLOW_INTERVAL_S: Final = 0.2
_CALL_FIELDS: Final = (
    "model",
    "tool",
    "rule",
    "upstream",
    "subject",
    "client_id",
    "code",
    "duration_us",
    "tokens_in",
    "tokens_out",
    "charged",
    "request_id",
    "face",
)


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    audit = commands.add_parser(
        "audit",
        help="verify and read the audit log",
        description="Verify and read the audit log. No command of this group needs a running jotgate.",
    )
    actions = audit.add_subparsers(dest="action", required=True, metavar="ACTION")

    check = actions.add_parser(
        "verify",
        help="check every record and every file",
        description="Check every record and every file of the audit log. Exit status 0: every chain holds (what a "
        "crash left at the end of a file is named); 1: records or files were changed, removed or added.",
    )
    _add_common(check, "print the whole report as one JSON object")
    check.set_defaults(run=verify)

    show = actions.add_parser(
        "tail",
        help="show the newest records",
        description="Show the newest records of the audit log, one line each. They are not verified.",
    )
    _add_common(show, "print the records as JSON lines, as they stand in the log")
    show.add_argument(
        "-n", dest="count", metavar="COUNT", type=_count, default=20, help="how many records (default: 20)"
    )
    show.add_argument("--follow", action="store_true", help="go on with new records until interrupted")
    show.set_defaults(run=tail)


def verify(arguments: argparse.Namespace) -> int:
    import msgspec

    from jotgate.stores.segment_files import verify_directory

    report = verify_directory(log_directory(arguments))
    as_json = arguments.json
    print_lines([msgspec.json.encode(report).decode("utf-8")] if as_json else _report_lines(report))
    if not report.holds:
        return EXIT_FAILED
    if not as_json:
        say_next("jotgate audit tail", arguments)
    return EXIT_OK


def tail(arguments: argparse.Namespace) -> int:
    from jotgate.stores.segment_files import newest_records

    directory = log_directory(arguments)
    # One at least, so that --follow knows where the log ends.
    entries = newest_records(directory, max(arguments.count, 1))
    shown = entries[-arguments.count :] if arguments.count else []
    if not print_lines(_record_lines(shown, as_json=arguments.json)):
        return EXIT_OK
    if not arguments.follow:
        if not arguments.json:
            say_next("jotgate audit verify", arguments)
        return EXIT_OK
    file, end = (entries[-1].file, entries[-1].end) if entries else ("", 0)
    try:
        _follow(directory, file, end, as_json=arguments.json)
    except KeyboardInterrupt:
        pass  # The way to end --follow.
    return EXIT_OK


def _follow(directory: "Path", file: str, offset: int, *, as_json: bool) -> None:
    import time

    from jotgate.stores.segment_files import records_after

    while True:
        entries = records_after(directory, file, offset)
        if entries:
            file, offset = entries[-1].file, entries[-1].end
        if not print_lines(_record_lines(entries, as_json=as_json)):
            return
        time.sleep(_FOLLOW_INTERVAL_S)


def _add_common(parser: argparse.ArgumentParser, json_help: str) -> None:
    add_data_option(parser)
    parser.add_argument("--json", action="store_true", help=json_help)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of records: write 0 or more")
    return int(text)


def _report_lines(report: "VerificationReport") -> Iterable[str]:
    instances = {part.file.split("-")[1] for part in report.segments}
    records, calls, events, unknown = (
        sum(getattr(part, name) for part in report.segments) for name in ("records", "calls", "events", "unknown")
    )
    times = [at for part in report.segments for at in (part.first_at, part.last_at) if at is not None]
    yield f"{plain(report.directory)}: segments {len(report.segments)}, instances {len(instances)}"
    yield f"good records: {records}, calls {calls}, events {events}"
    if times:
        yield f"from {show_time(times[0])} to {show_time(times[-1])}"
    for part in report.torn:
        yield _torn_line(part, is_newest=part.file == report.segments[-1].file)
    if report.duplicate_rows:
        yield f"duplicate rows: {report.duplicate_rows} (sent again after a crash; worker and row are equal)"
    if report.missing_rows:
        yield f"missing rows: {report.missing_rows} (numbers left out between the rows of a worker)"
    if unknown:
        yield f"records of kinds that this version does not know: {unknown} (chained all the same)"
    if report.other_files:
        yield f"not read, no segments by their name: {plain(', '.join(report.other_files))}"
    for fault in report.faults:
        yield _fault_line(fault)
    yield "every chain holds" if report.holds else f"the audit log does not hold: faults {len(report.faults)}"


def _torn_line(torn: "TornTail", *, is_newest: bool) -> str:
    last = "there is no good record before" if torn.last_at is None else f"last good record {show_time(torn.last_at)}"
    perhaps = " (or they are being written now)" if is_newest else ""
    return f"torn tail: {torn.file} line {torn.line}, byte {torn.offset}: {torn.bytes} bytes{perhaps}; {last}"


def _fault_line(fault: "Fault") -> str:
    place = f" line {fault.line}, byte {fault.offset}" if fault.line else ""
    return f"fault: {plain(fault.file)}{place}: {plain(fault.reason)}"


def _record_lines(entries: Iterable["Entry"], *, as_json: bool) -> Iterable[str]:
    for entry in entries:
        yield record_json(entry.record) if as_json else _record_line(entry.record)


def _record_line(text: bytes) -> str:
    import msgspec

    try:
        record = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        record = None
    if not isinstance(record, dict) or not isinstance(record.get("at"), int):
        return f"not a record: {plain(text.decode('utf-8', 'replace'))}"
    kind = record.pop("kind", "")
    words = [show_time(record.pop("at")), word(kind)]
    if kind == "call":
        words += [word(record.get(name, "")) for name in ("status", "outcome", "operation")]
        named = [name for name in _CALL_FIELDS if name in record]
    else:
        words += [word(record.pop("event"))] if "event" in record else []
        named = list(record)
    words += [f"{word(name)}={word(record[name])}" for name in named]
    return " ".join(words)

"""Reads the directory of audit segments: names, records, newest records, and whether the whole log holds.

Readers need no lock and may read while a segment is being written.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from jotgate.core.audit import PREFIX_BYTES, Link, digest_text
from jotgate.core.audit_verifier import (
    RowTally,
    SegmentReport,
    SegmentVerifier,
    VerificationReport,
    check_links,
    last_digest,
)
from jotgate.errors import AuditUnavailable

_NAME: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}-[0-9]{6}\.log", re.ASCII)
_PIECE_BYTES: Final = 1024 * 1024
_TAIL_BYTES: Final = 64 * 1024


class Entry(Struct, frozen=True):
    """A complete line of a segment as it stands there, unverified: where it is, and its JSON object."""

    file: str
    offset: int
    end: int
    record: bytes


def segments(directory: Path) -> tuple[str, ...]:
    """The names of the segment files, oldest first. A directory that is not there has none.

    Raises:
        AuditUnavailable: the directory cannot be read.
    """
    return _listing(directory)[0]


def read_records(path: Path, offset: int = 0) -> Iterator[Entry]:
    """The complete lines of a segment from `offset` on, where a line must begin; not an unended last line.

    Raises:
        AuditUnavailable: the file cannot be read.
    """
    rest = b""
    for piece in _pieces(path, offset):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            start, offset = offset, offset + len(line) + 1
            yield Entry(path.name, start, offset, line[PREFIX_BYTES:])


def newest_records(directory: Path, count: int) -> list[Entry]:
    """The last `count` complete lines of the log, oldest first.

    Raises:
        AuditUnavailable: a file cannot be read.
    """
    entries: list[Entry] = []
    for name in reversed(segments(directory)):
        wanted = count - len(entries)
        if wanted <= 0:
            break
        path = directory / name
        entries[:0] = list(read_records(path, _line_start(path, wanted)))[-wanted:]
    return entries


def records_after(directory: Path, file: str, offset: int) -> list[Entry]:
    """The complete lines that the log has got since `offset` of `file`, that file's and those of newer ones.

    Raises:
        AuditUnavailable: a file cannot be read.
    """
    # A newer name means that the file before it is complete: so the names are read first.
    names = [name for name in segments(directory) if name >= file]
    return [entry for name in names for entry in read_records(directory / name, offset if name == file else 0)]


def find_records(directory: Path, needle: bytes) -> Iterator[Entry]:
    """The complete lines whose JSON object holds these bytes, newest first, however large the log is.

    Raises:
        AuditUnavailable: a file cannot be read.
    """
    for name in reversed(segments(directory)):
        found = [entry for entry in read_records(directory / name) if needle in entry.record]
        yield from reversed(found)


def newest_link(directory: Path, names: tuple[str, ...]) -> Link | None:
    """What the next segment's `previous` is, when these are the names there are. Reads ends of files only.

    Raises:
        AuditUnavailable: a file cannot be read.
    """
    for name in reversed(names):
        size = _TAIL_BYTES
        while True:
            start, block = _tail(directory / name, size)
            digest = last_digest(block, is_whole=start == 0)
            if digest is not None:
                return Link(file=name, digest=digest_text(digest))
            if start == 0:
                break
            size *= 4
    return None


def verify_directory(directory: Path) -> VerificationReport:
    """Check every record, every segment and every link between segments, in a few MiB of memory.

    Raises:
        AuditUnavailable: a file cannot be read.
    """
    names, others = _listing(directory)
    tally = RowTally()
    reports = tuple(_verify_segment(directory / name, tally) for name in names)
    faults = (*(fault for report in reports for fault in report.faults), *check_links(reports))
    return VerificationReport(
        directory=str(directory),
        segments=reports,
        faults=faults,
        torn=tuple(report.torn for report in reports if report.torn is not None),
        duplicate_rows=tally.duplicates,
        missing_rows=tally.missing,
        other_files=others,
        holds=not faults,
    )


def unavailable(what: str, path: Path, error: OSError) -> AuditUnavailable:
    """The error to raise when the audit log cannot be `what` ("read", "written")."""
    return AuditUnavailable(
        f"the audit log cannot be {what}: {error.strerror}",
        hint=f"Check {path}: free space, its owner and its mode",
        debug=f"{path}: {error!r}",
    )


def _verify_segment(path: Path, tally: RowTally) -> SegmentReport:
    verifier = SegmentVerifier(path.name)
    for piece in _pieces(path, 0):
        for head in verifier.feed(piece):
            if head.kind == "call":
                tally.add(head.worker, head.row)
    return verifier.finish()


def _pieces(path: Path, offset: int) -> Iterator[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            while piece := file.read(_PIECE_BYTES):
                yield piece
    except OSError as error:
        raise unavailable("read", path, error) from error


def _tail(path: Path, size: int) -> tuple[int, bytes]:
    """The last `size` bytes of the file or all of it, after the offset at which they begin."""
    try:
        start = max(0, path.stat().st_size - size)
        with path.open("rb", buffering=0) as file:
            file.seek(start)
            return start, file.read(size)
    except OSError as error:
        raise unavailable("read", path, error) from error


def _line_start(path: Path, count: int) -> int:
    """Where a line begins, from which on there are at least `count` complete lines; else the file's start."""
    size = _TAIL_BYTES
    while True:
        start, block = _tail(path, size)
        if start == 0:
            return 0
        if block.count(b"\n") > count:
            return start + block.index(b"\n") + 1
        size *= 4


def _listing(directory: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    try:
        names = sorted(entry.name for entry in directory.iterdir())
    except FileNotFoundError:
        return (), ()
    except OSError as error:
        raise unavailable("read", directory, error) from error
    ours = tuple(name for name in names if _NAME.fullmatch(name) is not None)
    return ours, tuple(name for name in names if _NAME.fullmatch(name) is None)

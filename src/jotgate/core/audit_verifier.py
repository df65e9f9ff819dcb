"""Checks audit segments: their bytes, the links between them, and rows that stand twice.

Bytes are handed in as they are read, in pieces of any size, and memory stays small whatever the file holds.
What is found is of two kinds. A *torn tail* is what a crash leaves: the last line of a file without a `close`
record is cut off, or does not fit. Anything else that does not fit is a *fault*: somebody changed, removed,
added or moved records.
"""

from bisect import bisect_right
from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Final, get_args

import msgspec
from msgspec import Struct

from jotgate.core.audit import (
    FORMAT,
    PREFIX_BYTES,
    RECORD_BYTES_MAX,
    START_DIGEST,
    Head,
    Kind,
    OpenRecord,
    digest_text,
    read_head,
    read_open,
    stated_digest,
)

_LINE_BYTES_MAX: Final = PREFIX_BYTES + RECORD_BYTES_MAX
_CLOSE_START: Final = b'{"kind":"close",'
_FAULTS_MAX: Final = 100  # for each file; a file that was rewritten as a whole needs no longer list
_MISFIT: Final = "the digest does not fit: this record was changed, or one before it was removed, added or moved"
_NO_RECORD: Final = "not a record: no digest and space at the start, or longer than a record can be"


class Fault(Struct, frozen=True):
    """Where the log does not hold, and why. `line` counts from 1, `offset` (bytes) from 0."""

    file: str
    line: int
    offset: int
    reason: str


class TornTail(Struct, frozen=True):
    """What a crash left at the end of a file: `bytes` bytes from `offset` on that are no good record.

    `last_at` is the time of the last good record (microseconds since the epoch), None when the file has none.
    """

    file: str
    line: int
    offset: int
    bytes: int
    last_at: int | None


class SegmentReport(Struct, frozen=True, kw_only=True):
    """What one segment holds. Counts and times are those of good records, `digest` is the last one's."""

    file: str
    bytes: int
    records: int
    calls: int
    events: int
    unknown: int
    first_at: int | None
    last_at: int | None
    digest: str
    opened: OpenRecord | None
    closed: bool
    torn: TornTail | None
    faults: tuple[Fault, ...]


class VerificationReport(Struct, frozen=True, kw_only=True):
    """What a directory of segments holds, in the order of the file names, which is the order of writing.

    `duplicate_rows` counts rows that were sent again after a crash between writing and acknowledging.
    `missing_rows` counts the numbers left out between the rows of a worker instance. `other_files` are no
    segments by their name.
    """

    directory: str
    segments: tuple[SegmentReport, ...]
    faults: tuple[Fault, ...]
    torn: tuple[TornTail, ...]
    duplicate_rows: int
    missing_rows: int
    other_files: tuple[str, ...]
    holds: bool


class SegmentVerifier:
    """Checks one segment. Feed it the file's bytes in order, then finish it once."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._rest = b""
        self._skipped = 0  # bytes of an endless line that were dropped from `_rest`
        self._bytes = 0
        self._line = 0
        self._offset = 0
        self._chain = START_DIGEST
        self._good = START_DIGEST
        self._suspect: Fault | None = None  # a line that does not fit: torn if it is the last, else a fault
        self._suspect_line = b""
        self._faults: list[Fault] = []
        self._kinds: dict[str, int] = {}
        self._records = 0
        self._first_at: int | None = None
        self._last_at: int | None = None
        self._opened: OpenRecord | None = None
        self._closed = False

    def feed(self, piece: bytes) -> list[Head]:
        """Take the next bytes of the file. Returns the heads of the good records that they complete."""
        self._bytes += len(piece)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        heads = [head for line in lines if (head := self._take(line)) is not None]
        if len(self._rest) > _LINE_BYTES_MAX:
            self._skipped += len(self._rest)
            self._rest = b""
        return heads

    def finish(self) -> SegmentReport:
        """Say what the bytes were; they end here."""
        torn: TornTail | None = None
        unended = self._skipped + len(self._rest)
        if unended:
            self._convict()
            if self._closed:
                self._blame(self._line + 1, self._offset, "bytes after the close record")
            else:
                torn = TornTail(self._file, self._line + 1, self._offset, unended, self._last_at)
        elif self._suspect is not None and _CLOSE_START in self._suspect_line:
            # A whole line with a close record in it: the file was ended properly, and changed afterwards.
            self._convict()
        elif self._suspect is not None:
            start = self._suspect.offset
            torn = TornTail(self._file, self._line, start, self._offset - start, self._last_at)
        known = sum(self._kinds.get(kind, 0) for kind in get_args(Kind))
        return SegmentReport(
            file=self._file,
            bytes=self._bytes,
            records=self._records,
            calls=self._kinds.get("call", 0),
            events=self._kinds.get("event", 0),
            unknown=self._records - known,
            first_at=self._first_at,
            last_at=self._last_at,
            digest=digest_text(self._good),
            opened=self._opened,
            closed=self._closed,
            torn=torn,
            faults=tuple(self._faults),
        )

    def _take(self, line: bytes) -> Head | None:
        self._convict()
        length = self._skipped + len(line)
        start = self._offset
        self._offset += length + 1
        self._line += 1
        self._skipped = 0
        if self._closed:
            self._blame(self._line, start, "a record after the close record")
            return None
        stated = stated_digest(line) if length <= _LINE_BYTES_MAX else None
        if stated is None:
            self._suspect, self._suspect_line = Fault(self._file, self._line, start, _NO_RECORD), line
            return None
        record = line[PREFIX_BYTES:]
        fits = sha256(self._chain + record).digest() == stated
        self._chain = stated  # Behind a changed record the chain is taken up again, so that each one is named.
        if not fits:
            self._suspect, self._suspect_line = Fault(self._file, self._line, start, _MISFIT), line
            return None
        self._good = stated
        return self._read(record, start)

    def _read(self, record: bytes, start: int) -> Head | None:
        try:
            head = read_head(record)
            opened = read_open(record) if head.kind == "open" else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._blame(self._line, start, f"the digest fits what is not an audit record: {error}")
            return None
        misplaced = self._misplaced(opened)
        if misplaced:
            self._blame(self._line, start, misplaced)
        if opened is not None and self._line == 1:
            self._opened = opened
        self._closed = head.kind == "close"
        self._records += 1
        self._kinds[head.kind] = self._kinds.get(head.kind, 0) + 1
        self._first_at = head.at if self._first_at is None else self._first_at
        self._last_at = head.at
        return head

    def _misplaced(self, opened: OpenRecord | None) -> str:
        if opened is None:
            return "the first record is not an open record" if self._line == 1 else ""
        if self._line > 1:
            return "an open record that is not the first record"
        if opened.format != FORMAT:
            return f"format {opened.format}; this jotgate reads format {FORMAT}"
        if not self._file.endswith(f"-{opened.instance}-{opened.segment:06d}.log"):
            return f"the file was renamed: it is segment {opened.segment} of instance {opened.instance}"
        return ""

    def _convict(self) -> None:
        """Another line follows one that did not fit: no crash leaves that."""
        if self._suspect is not None:
            self._blame(self._suspect.line, self._suspect.offset, self._suspect.reason)
            self._suspect = None

    def _blame(self, line: int, offset: int, reason: str) -> None:
        if len(self._faults) < _FAULTS_MAX:
            self._faults.append(Fault(self._file, line, offset, reason))


def last_digest(block: bytes, *, is_whole: bool) -> bytes | None:
    """The digest of the last good record in the end of a segment.

    `block` is the end of the file, or the whole of it (`is_whole`); a record is good when it fits the digest
    that the line before it states. None when the block shows no such record: read a longer one.
    """
    lines = block.split(b"\n")[:-1]
    for index in range(len(lines) - 1, -1, -1):
        if index == 0 and not is_whole:
            return None
        before = stated_digest(lines[index - 1]) if index else START_DIGEST
        line = lines[index]
        digest = sha256(before + line[PREFIX_BYTES:]).digest() if before is not None else None
        if digest is not None and digest == stated_digest(line):
            return digest
    return None


def check_links(segments: Sequence[SegmentReport]) -> list[Fault]:
    """The faults between files: missing, cut short, added, renamed. `segments` are in order of name."""
    faults: list[Fault] = []
    by_name = {segment.file: segment for segment in segments}
    before: SegmentReport | None = None
    for segment in segments:
        if segment.records == 0:
            continue  # A crash right after creating the file leaves this; nothing links to it.
        if segment.opened is not None:
            fault = _broken_link(segment, segment.opened, before, by_name)
            faults += [fault] if fault is not None else []
        before = segment
    return faults


def _broken_link(
    segment: SegmentReport,
    opened: OpenRecord,
    before: SegmentReport | None,
    by_name: dict[str, SegmentReport],
) -> Fault | None:
    link = opened.previous
    if link is None:
        reason = "it says that no file came before it; files were added or renamed"
        return None if before is None else Fault(segment.file, 1, 0, reason)
    named = by_name.get(link.file)
    if named is None:
        return Fault(link.file, 0, 0, f"the file is missing: {segment.file} follows it")
    if link.digest != named.digest:
        end = named.torn.offset if named.torn is not None else named.bytes
        reason = f"cut short or changed: {segment.file} follows another last record"
        return Fault(named.file, named.records + 1, end, reason)
    if before is None or before.file != named.file:
        reason = f"it follows {link.file}, which does not stand right before it; files were added or renamed"
        return Fault(segment.file, 1, 0, reason)
    return None


class RowTally:
    """Counts rows that stand twice and numbers that are left out, per worker instance, in little memory."""

    def __init__(self) -> None:
        # Per worker: [first, last] of each run of numbers, in order.
        self._runs: dict[str, list[list[int]]] = {}
        self.duplicates = 0

    def add(self, worker: str, row: int) -> None:
        runs = self._runs.setdefault(worker, [])
        if runs and row == runs[-1][1] + 1:
            runs[-1][1] = row
            return
        place = bisect_right(runs, row, key=lambda run: run[0])
        if place and row <= runs[place - 1][1]:
            self.duplicates += 1
            return
        joins_before = place > 0 and runs[place - 1][1] + 1 == row
        joins_after = place < len(runs) and runs[place][0] - 1 == row
        if joins_before and joins_after:
            runs[place - 1][1] = runs.pop(place)[1]
        elif joins_before:
            runs[place - 1][1] = row
        elif joins_after:
            runs[place][0] = row
        else:
            runs.insert(place, [row, row])

    @property
    def missing(self) -> int:
        """Numbers between a worker's rows that are in no row. The ends are unknown and not counted."""
        return sum(after[0] - before[1] - 1 for runs in self._runs.values() for before, after in pairwise(runs))

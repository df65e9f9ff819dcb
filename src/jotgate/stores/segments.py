"""Writes the audit log: one process instance's chain of segment files in DATA/audit.

A directory has one writer at a time, which holds the lock on DATA. What `append` takes is in memory, after
`flush` it survives the process, after `sync` it survives the machine.
"""

import os
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from jotgate.core.audit import (
    FORMAT,
    PREFIX_BYTES,
    START_DIGEST,
    CloseRecord,
    Link,
    OpenRecord,
    check_lines,
    digest_text,
    encode,
    frame,
)
from jotgate.errors import AuditUnavailable
from jotgate.ports import Clock
from jotgate.stores.files import prepare_directory
from jotgate.stores.segment_files import newest_link, segments, unavailable

SEGMENT_BYTES_MAX: Final = 64 * 1024 * 1024
WAITING_BYTES_MAX: Final = 128 * 1024 * 1024

_INSTANCE: Final = re.compile(r"[0-9a-f]{12}", re.ASCII)
_TIME: Final = "%Y%m%dT%H%M%SZ"


class SegmentWriter:
    """The chain of one process instance. One thread calls it, and its owner keeps the time.

    Every method raises AuditUnavailable when the disk is full or fails. What was appended is then kept, and a
    later call goes on where the disk stopped. Only a failed fsync is final, because nobody knows what of the
    file is left, and so is a removed file: let the process end and the next instance go on.
    """

    def __init__(
        self, directory: Path, instance: str, clock: Clock, *, segment_bytes_max: int = SEGMENT_BYTES_MAX
    ) -> None:
        """Make the directory if needed (0700) and begin the first segment, on disk when this returns.

        `instance` is 12 random hex digits. A segment is closed before a batch would take it over
        `segment_bytes_max`.

        Raises:
            DirectoryRefused: the directory cannot be made, is not ours, or is open to others.
            AuditUnavailable: it cannot be written.
            ValueError: `instance` is something else.
        """
        if _INSTANCE.fullmatch(instance) is None:
            raise ValueError(f"'{instance}' is no instance name: 12 lower-case hex digits")
        self._directory = directory
        self._instance = instance
        self._clock = clock
        self._segment_bytes_max = segment_bytes_max
        self._descriptor = -1
        self._name = ""
        self._number = 0
        self._digest = START_DIGEST
        self._records = 0
        self._bytes = 0
        self._waiting = bytearray()
        self._unsynced = False
        self._ending = False
        self._ended = False
        self._broken = ""
        prepare_directory(directory)
        try:
            _sync_directory(directory.parent)
            older = segments(directory)
            self._started = _start_name(clock.now_s(), instance, older)
            self._previous = newest_link(directory, older)
            self._begin()
        except OSError as error:
            self._discard()
            raise unavailable("written", directory, error) from error
        except AuditUnavailable:
            self._discard()
            raise

    @property
    def path(self) -> Path:
        """The segment that is being written."""
        return self._directory / self._name

    def append(self, lines: Iterable[bytes]) -> None:
        """Chain encoded `call` and `event` records and keep them for the next flush: all or, on error, none.

        Raises:
            AuditUnavailable: also when more than WAITING_BYTES_MAX wait for the disk.
            ValueError: a line is no such record; its sender is at fault.
        """
        self._check_usable()
        batch = list(lines)
        check_lines(batch)
        size = sum(map(len, batch)) + (PREFIX_BYTES + 1) * len(batch)
        if len(self._waiting) + size > WAITING_BYTES_MAX:
            raise AuditUnavailable(
                "the audit log takes no more records: the disk does not keep up",
                debug=f"{len(self._waiting)} bytes wait for {self.path}",
            )
        if self._ending or (self._records > 1 and self._bytes + size > self._segment_bytes_max):
            self._end("rotated")
            self._previous = Link(file=self._name, digest=digest_text(self._digest))
            self._attempt(self._begin)
        self._chain(batch)

    def flush(self) -> None:
        """Hand what waits to the kernel: from here on it survives the end of this process."""
        self._check_usable()
        self._attempt(self._write)

    def sync(self) -> None:
        """Flush, and wait until the disk has it: from here on it survives the machine."""
        self._check_usable()
        self._attempt(self._write)
        self._attempt(self._fsync)

    def close(self) -> None:
        """Write the `close` record, sync and close the file. Closing again does nothing."""
        if self._ended:
            return
        self._check_usable()
        self._end("stopped")
        self._ended = True

    def _chain(self, lines: list[bytes]) -> None:
        framed, self._digest = frame(lines, self._digest)
        self._waiting += framed
        self._bytes += len(framed)
        self._records += len(lines)

    def _begin(self) -> None:
        number = self._number + 1
        name = f"{self._started}-{self._instance}-{number:06d}.log"
        opening = OpenRecord(
            at=_microseconds(self._clock),
            format=FORMAT,
            instance=self._instance,
            segment=number,
            previous=self._previous,
        )
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(self._directory / name, flags, 0o600)
        try:
            _sync_directory(self._directory)
        except OSError:
            os.close(descriptor)
            (self._directory / name).unlink()
            raise
        self._descriptor = descriptor
        self._name, self._number, self._ending = name, number, False
        self._digest, self._bytes, self._records = START_DIGEST, 0, 0
        self._chain([encode(opening)])
        self._write()
        self._fsync()

    def _end(self, reason: Literal["rotated", "stopped"]) -> None:
        """Close the segment; a call after a failed one goes on where that stopped."""
        if not self._ending:
            closing = CloseRecord(at=_microseconds(self._clock), records=self._records, reason=reason)
            self._chain([encode(closing)])
            self._ending = True
        if self._descriptor >= 0:
            self._attempt(self._write)
            self._attempt(self._fsync)
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self) -> None:
        while self._waiting:
            written = os.write(self._descriptor, self._waiting)
            self._unsynced = True
            del self._waiting[:written]

    def _fsync(self) -> None:
        if not self._unsynced:
            return
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            # The kernel may have dropped the pages that it could not write, and says so only once.
            self._broken = f"fsync failed: {error.strerror}"
            raise
        if os.fstat(self._descriptor).st_nlink == 0:
            self._broken = f"{self._name} was removed while it was being written"
            self._check_usable()
        self._unsynced = False

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except OSError as error:
            raise unavailable("written", self.path, error) from error

    def _check_usable(self) -> None:
        if self._broken:
            raise AuditUnavailable(
                f"the audit log cannot be written: {self._broken}",
                hint=f"Check the disk that holds {self._directory}, then start jotgate again",
            )
        if self._ended:
            raise AuditUnavailable("the audit log was closed")

    def _discard(self) -> None:
        """Undo a first segment that could not be begun: it holds no record."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self.path.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _start_name(now_s: float, instance: str, older: tuple[str, ...]) -> str:
    """The start as it stands in file names, later than now if need be: names sort in the order of writing.

    Two instances may start in one second, and a clock may be set back; the true time is in the records.
    """
    start = datetime.fromtimestamp(int(now_s), UTC)
    if older:
        start = max(start, _named_start(older[-1]))
        if f"{start.strftime(_TIME)}-{instance}" <= older[-1]:
            start += timedelta(seconds=1)
    return start.strftime(_TIME)


def _named_start(name: str) -> datetime:
    try:
        return datetime.strptime(name.partition("-")[0], _TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise AuditUnavailable(
            f"'{name}' in the audit log is not a segment of jotgate: its name is no time",
            hint="Move it out of the directory",
        ) from error


def _microseconds(clock: Clock) -> int:
    return int(clock.now_s() * 1_000_000)

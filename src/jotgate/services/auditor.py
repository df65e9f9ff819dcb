"""The worker's side of the audit trail: plain appends to a bounded buffer, encoded and handed on in numbered batches.

A batch is kept until control says that it is written, and sent again to the next control process. When the buffer is
full no further call is admitted: nothing is let through unrecorded.
"""

from collections import deque
from typing import Final

from msgspec import Struct

from jotgate.core.audit import CallRecord, encode_lines

_REFUSAL_SHARE: Final = 0.5
# Rows are encoded together, which costs half of what it would singly, while they are still in the processor's cache:
# thousands of records, kept until the next flush, would pass through all of it and drive everything else out.
ROWS_PER_BATCH: Final = 32


class Batch(Struct, frozen=True):
    """Encoded records, joined by line feeds. `number` counts up from 1 per process instance."""

    number: int
    rows: int
    text: bytes


class Auditor:
    """The buffer of one worker process. `capacity` is in rows.

    While it is `full` no further call may be admitted. Refusals have filled at most half of the room before that.
    """

    def __init__(self, capacity: int) -> None:
        self.full = False
        self._capacity = capacity
        self._rows = 0
        self._number = 0
        self._held = 0
        self._open: list[CallRecord] = []
        self._closed: list[Batch] = []
        self._unwritten: deque[Batch] = deque()

    @property
    def crowded(self) -> bool:
        """Refusals of callers who proved nothing are no longer recorded, so that they cannot shut out the others."""
        return self._held >= self._capacity * _REFUSAL_SHARE

    @property
    def waiting(self) -> tuple[int, int]:
        """Rows that control has not confirmed, and the bytes of those among them that are encoded."""
        return self._held, sum(len(batch.text) for batch in self._unwritten)

    def limit(self, capacity: int) -> None:
        """Hold at most this many rows from now on; what is held already stays."""
        self._capacity = capacity
        self.full = self._held >= capacity

    def next_row(self) -> int:
        """The number of the next record of this process instance, from 1."""
        self._rows += 1
        return self._rows

    def append(self, record: CallRecord) -> None:
        """Keep one record for the next batch."""
        self._held = held = self._held + 1
        self.full = held >= self._capacity
        self._open.append(record)
        if len(self._open) >= ROWS_PER_BATCH:
            self._close()

    def take_batches(self) -> list[Batch]:
        """What has been gathered since the last time, in order."""
        if self._open:
            self._close()
        taken, self._closed = self._closed, []
        return taken

    def unwritten(self) -> list[Batch]:
        """The batches that control has not confirmed, oldest first: what a new control process is sent."""
        return list(self._unwritten)

    def written(self, number: int) -> None:
        """Control has all batches up to this one in its file."""
        while self._unwritten and self._unwritten[0].number <= number:
            self._held -= self._unwritten.popleft().rows
        self.full = self._held >= self._capacity

    def _close(self) -> None:
        self._number += 1
        batch = Batch(self._number, len(self._open), encode_lines(self._open))
        self._open = []
        self._closed.append(batch)
        self._unwritten.append(batch)

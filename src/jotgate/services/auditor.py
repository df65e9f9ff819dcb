"""The worker's side of the audit trail: plain appends to a bounded buffer, handed to control in numbered batches.

A batch is kept until control says that it is written, and sent again to the next control process. When the buffer is
full no further call is admitted: nothing is let through unrecorded.
"""

from collections import deque
from typing import Final

_REFUSAL_SHARE: Final = 0.5


class Auditor:
    """The buffer of one worker process. `capacity` is in rows."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._rows = 0
        self._number = 0
        self._held = 0
        self._open: list[bytes] = []
        self._unwritten: deque[tuple[int, list[bytes]]] = deque()
        self._unwritten_bytes: deque[int] = deque()

    @property
    def full(self) -> bool:
        """No further call may be admitted. Refusals have filled at most half of the room before that."""
        return self._held >= self._capacity

    @property
    def crowded(self) -> bool:
        """Refusals of callers who proved nothing are no longer recorded, so that they cannot shut out the others."""
        return self._held >= self._capacity * _REFUSAL_SHARE

    @property
    def waiting(self) -> tuple[int, int]:
        """Rows and bytes that control has not confirmed."""
        return self._held, sum(self._unwritten_bytes) + sum(map(len, self._open))

    def limit(self, capacity: int) -> None:
        """Hold at most this many rows from now on; what is held already stays."""
        self._capacity = capacity

    def next_row(self) -> int:
        """The number of the next record of this process instance, from 1."""
        self._rows += 1
        return self._rows

    def append(self, line: bytes) -> None:
        """Keep one encoded record for the next batch."""
        self._open.append(line)
        self._held += 1

    def take_batch(self) -> tuple[int, list[bytes]] | None:
        """Close the rows gathered since the last batch and number them; None when there are none."""
        if not self._open:
            return None
        self._number += 1
        batch = (self._number, self._open)
        self._unwritten_bytes.append(sum(map(len, self._open)))
        self._open = []
        self._unwritten.append(batch)
        return batch

    def unwritten(self) -> list[tuple[int, list[bytes]]]:
        """The batches that control has not confirmed, oldest first: what a new control process is sent."""
        return list(self._unwritten)

    def written(self, number: int) -> None:
        """Control has all batches up to this one in its file."""
        while self._unwritten and self._unwritten[0][0] <= number:
            self._held -= len(self._unwritten.popleft()[1])
            self._unwritten_bytes.popleft()

"""Writes events of this installation into the audit log; an event that matters is on file before what it allows."""

from collections.abc import Mapping

from jotgate.core.audit import EventRecord, encode
from jotgate.ports import AuditLog, Clock


class Recorder:
    """Records events. `actor` of an event is who did it: `control`, or the client of a command."""

    def __init__(self, log: AuditLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock

    def record(self, event: str, *, actor: str, subject: str = "", details: Mapping[str, str | int]) -> None:
        """Append an event and hand it to the system. Raises AuditUnavailable."""
        record = EventRecord(
            at=int(self._clock.now_s() * 1_000_000),
            event=event,
            actor=actor,
            subject=subject,
            details=dict(details),
        )
        self._log.append([encode(record)])
        self._log.flush()

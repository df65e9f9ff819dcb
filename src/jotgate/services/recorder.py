"""Writes events of this installation into the audit log; an event that matters is on file before what it allows."""

from collections.abc import Mapping
from typing import Final

from jotgate.core.audit import EventRecord, encode
from jotgate.ports import AuditLog, Clock

_NONE: Final[Mapping[str, str | int]] = {}


class Recorder:
    """Records events. `actor` of an event is who did it: `control`, or the client of a command."""

    def __init__(self, log: AuditLog, clock: Clock, along: Mapping[str, str | int] = _NONE) -> None:
        """`along` stands among the details of each event, whose own of the same name are the ones that count."""
        self._log = log
        self._clock = clock
        self._along = along

    def along(self, details: Mapping[str, str | int]) -> "Recorder":
        """One that puts these among the details of each event too, such as the request that caused them."""
        return Recorder(self._log, self._clock, {**self._along, **details})

    def check(self) -> None:
        """Refuse before a change what could not be recorded behind it, as far as the log knows by now.

        Raises:
            AuditUnavailable: earlier records still wait for the disk, or the log takes no more.
        """
        self._log.flush()

    def record(self, event: str, *, actor: str, subject: str = "", details: Mapping[str, str | int]) -> None:
        """Append an event and hand it to the system. Raises AuditUnavailable."""
        record = EventRecord(
            at=int(self._clock.now_s() * 1_000_000),
            event=event,
            actor=actor,
            subject=subject,
            details={**self._along, **details},
        )
        self._log.append([encode(record)])
        self._log.flush()

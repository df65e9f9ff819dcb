"""Records clients that failed to prove who they are, without letting whoever fails often fill the audit log."""

from typing import Final

from jotgate.ports import Clock
from jotgate.services.recorder import Recorder

RECORDED_PER_MINUTE: Final = 60
_MINUTE_S: Final = 60.0
_CHARS_MAX: Final = 256


class ClientRefusals:
    """Takes note of refusals. Mutable: how many were recorded in this minute, and how many were not since the last."""

    def __init__(self, recorder: Recorder, clock: Clock) -> None:
        self._recorder = recorder
        self._clock = clock
        self._begun_s = clock.monotonic_s()
        self._recorded = 0
        self._left_out = 0

    def note(self, client_id: str, method: str, peer: str) -> None:
        """Record that a request did not prove to be of the client that it names; its next event tells those left out.

        Raises:
            AuditUnavailable: it cannot be recorded.
        """
        now_s = self._clock.monotonic_s()
        if now_s - self._begun_s >= _MINUTE_S:
            self._begun_s, self._recorded = now_s, 0
        if self._recorded >= RECORDED_PER_MINUTE:
            self._left_out += 1
            return
        details: dict[str, str | int] = {"method": method, "peer": peer}
        if self._left_out:
            details["left_out"] = self._left_out
        self._recorder.record("client.refused", actor=client_id[:_CHARS_MAX], details=details)
        self._recorded += 1
        self._left_out = 0

"""Records refusals as events, without letting whoever is refused often fill the audit log."""

from collections.abc import Mapping
from typing import Final

from jotgate.ports import Clock
from jotgate.services.recorder import Recorder

RECORDED_PER_MINUTE: Final = 60
"""So many refusals of one key are recorded in a minute, and the next one of it tells how many were left out."""

KEYS_MAX: Final = 100
"""So many keys have room of their own in a minute; all further ones share that of the empty key."""

_MINUTE_S: Final = 60.0


class RefusalLog:
    """Takes note of refusals. Mutable: how many of each key were recorded in this minute, and how many left out.

    `event` is what each of them is called.
    """

    def __init__(self, recorder: Recorder, clock: Clock, event: str) -> None:
        self._recorder = recorder
        self._clock = clock
        self._event = event
        self._begun_s = clock.monotonic_s()
        self._recorded: dict[str, int] = {}
        self._left_out: dict[str, int] = {}

    def note(self, actor: str, details: Mapping[str, str | int], key: str = "") -> None:
        """Record a refusal of `actor`. Those of one `key` count together; it is nothing that the refused may choose.

        Raises:
            AuditUnavailable: it cannot be recorded.
        """
        now_s = self._clock.monotonic_s()
        if now_s - self._begun_s >= _MINUTE_S:
            self._begun_s, self._recorded = now_s, {}
        if key not in self._recorded and len(self._recorded) >= KEYS_MAX:
            key = ""
        if self._recorded.get(key, 0) >= RECORDED_PER_MINUTE:
            self._left_out[key] = self._left_out.get(key, 0) + 1
            return
        left_out = self._left_out.get(key, 0)
        told = {**details, "left_out": left_out} if left_out else details
        self._recorder.record(self._event, actor=actor, details=told)
        self._recorded[key] = self._recorded.get(key, 0) + 1
        self._left_out.pop(key, None)

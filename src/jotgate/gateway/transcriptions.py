"""What an upstream writes down of what somebody said, on one connection of the Realtime API: reserved, and charged.

It is work of another model beside the responses, and there are sessions that have nothing else. Each is reserved when
its sound is committed, as far as the session is known to be written down, and else charged when it is done.
"""

from collections.abc import Callable
from typing import Final

from jotgate.core.realtime import ServerEvent, transcribes
from jotgate.core.routes import MeteringRules
from jotgate.core.stream_counts import TOKEN_BYTES
from jotgate.services.meter_reservations import Reservation

_SESSIONS: Final = frozenset(
    {"session.created", "session.updated", "transcription_session.created", "transcription_session.updated"}
)
_COMMITTED: Final = "input_audio_buffer.committed"
_COMPLETED: Final = "conversation.item.input_audio_transcription.completed"
_FAILED: Final = "conversation.item.input_audio_transcription.failed"


class Transcriptions:
    """Those of one connection. Mutable: whether there are any, what is reserved by item, what waits to be.

    `reserve` is as `Metering.reserve`, of the call that the connection is now; `settle` charges tokens of input and of
    output.
    """

    def __init__(
        self,
        rules: MeteringRules,
        reserve: Callable[[int, int], Reservation | None],
        settle: Callable[[Reservation, int, int], None],
    ) -> None:
        self._rules = rules
        self._reserve = reserve
        self._settle = settle
        self._are_made = False
        self._reserved: dict[str, Reservation] = {}
        # By item: what it has used, if it is done already.
        self._waiting: dict[str, tuple[int, int] | None] = {}

    @property
    def unpaid(self) -> bool:
        """Whether one is done of which nothing could be reserved yet."""
        return any(used is not None for used in self._waiting.values())

    def hear(self, event: ServerEvent) -> tuple[int, int] | None:
        """See what an event of the upstream says of them; what one has used, if the upstream tells.

        Raises:
            QuotaExceeded, QuotaUnavailable, PriceUnknown: nothing can be reserved for one.
            UnitsUnresolved: call `catch_up` when that is known.
        """
        item = event.item_id
        if event.type in _SESSIONS:
            self._are_made = transcribes(event)
        elif event.type == _COMMITTED and self._are_made:
            self._waiting.setdefault(item, None)
            self.catch_up()
        elif event.type == _COMPLETED:
            self._done(item, event.tokens or self._counted(event))
            return event.tokens
        elif event.type == _FAILED:
            self._done(item, (0, 0))
        return None

    def catch_up(self) -> None:
        """Reserve what waits for that. Raises as `hear`."""
        rules = self._rules
        for item, used in tuple(self._waiting.items()):
            reservation = self._reserve(*(used or (rules.audio_tokens, rules.output_ceiling)))
            del self._waiting[item]
            if reservation is None:
                continue
            if used is None:
                self._reserved[item] = reservation
            else:
                self._settle(reservation, *used)

    def give_up(self) -> None:
        """Reserve nothing more of what waits."""
        self._waiting.clear()

    def end(self) -> None:
        """Charge what was reserved for those whose end nobody heard of."""
        self._waiting = {item: used for item, used in self._waiting.items() if used is not None}
        while self._reserved:
            _, reservation = self._reserved.popitem()
            self._settle(reservation, reservation.input_tokens, reservation.output_tokens)

    def _done(self, item: str, used: tuple[int, int]) -> None:
        reservation = self._reserved.pop(item, None)
        if reservation is not None:
            self._settle(reservation, *used)
            return
        self._waiting[item] = used
        self.catch_up()

    def _counted(self, event: ServerEvent) -> tuple[int, int]:
        """What it counts for where the upstream does not say tokens, but seconds or nothing."""
        size = max(0, len(bytes(event.transcript)) - 2)
        return self._rules.audio_tokens, max(min(size, self._rules.output_ceiling), size // TOKEN_BYTES)

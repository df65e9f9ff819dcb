"""What a worker asks of the ledger and has no answer to: sent in one message a turn, and again until it is answered."""

from collections.abc import Callable, Sequence
from math import inf
from typing import Final

from jotgate.core.ledger import LeaseAnswer, LeaseAsk
from jotgate.jose.encoding import b64url_encode
from jotgate.ports import Clock, Entropy
from jotgate.services.meter_attention import Attention
from jotgate.services.meter_leases import Pending

AskLeases = Callable[[int, list[LeaseAsk]], object]
"""Sends asks to the ledger, by way of control (`processes.messages.LeasesAsked`)."""
Soon = Callable[[Callable[[], None]], object]
"""Has something done later in this turn of the event loop."""

OUTAGE_S: Final = 1.0
"""When nothing could be asked for so long, no call waits for an answer any more."""
SILENT_S: Final = 3.0
"""When nothing that was asked has been answered for so long, no call begins to wait for an answer."""
RETRY_S: Final = 0.25
"""So long after the store did not answer it is asked again."""
OVERDUE_S: Final = 3.0
"""What is not answered for so long is sent again, whatever became of it: it is done once only."""

_NAME_BYTES: Final = 16


class LeasePost:
    """Asks on their way. Mutable: those to be sent, those that are sent, and since when none are answered.

    An answer counts only if it is to the newest message in which an ask was sent. What is overdue, or silent, is so by
    `attention`; the other times are monotonic.
    """

    __slots__ = (
        "_ask",
        "_attention",
        "_clock",
        "_count",
        "_name",
        "_out_since_s",
        "_outbox",
        "_retry_s",
        "_sent",
        "_silent_since_s",
        "_soon",
        "_unlinked",
        "_waits_for_turn",
    )

    def __init__(self, clock: Clock, attention: Attention, entropy: Entropy, ask: AskLeases, soon: Soon) -> None:
        self._clock = clock
        self._attention = attention
        self._ask = ask
        self._soon = soon
        self._name = b64url_encode(entropy.random_bytes(_NAME_BYTES)).decode("ascii")
        self._count = 0
        self._outbox: list[Pending] = []
        self._sent: dict[int, tuple[float, float, list[Pending]]] = {}
        self._silent_since_s = inf
        self._retry_s = -inf
        self._out_since_s = inf
        self._unlinked = False
        self._waits_for_turn = False

    @property
    def broken(self) -> bool:
        """Whether the ledger is out of reach, as far as is known."""
        return self._out_since_s < inf

    def is_out(self, now_s: float) -> bool:
        """Whether the ledger has been out of reach for so long that nobody waits for it."""
        return now_s - self._out_since_s >= OUTAGE_S

    @property
    def is_silent(self) -> bool:
        """Whether control, or the store, has left unanswered for long what it was asked: it hangs."""
        return self._attention.s - self._silent_since_s >= SILENT_S

    def heard(self) -> None:
        """Control has answered something."""
        self._silent_since_s = inf

    def new_id(self) -> str:
        """A lease's name that nobody has had."""
        self._count += 1
        return f"{self._name}.{self._count}"

    def put(self, pending: Pending) -> None:
        """Send an ask in the message of this turn of the event loop."""
        self._outbox.append(pending)
        if not self._waits_for_turn:
            self._waits_for_turn = True
            self._soon(self.flush)

    def flush(self) -> None:
        """Send what is to be sent, unless nobody is there."""
        self._waits_for_turn = False
        now_s = self._clock.monotonic_s()
        if not self._outbox or self._unlinked or now_s < self._retry_s:
            return
        batch, self._outbox = self._outbox, []
        self._count += 1
        self._sent[self._count] = (now_s, self._attention.s, batch)
        self._ask(self._count, [one.ask for one in batch])

    def answered(self, number: int, answers: Sequence[LeaseAnswer] | None) -> Sequence[tuple[Pending, LeaseAnswer]]:
        """The asks that are answered by this message, each with its answer. Without answers they are sent again."""
        now_s = self._clock.monotonic_s()
        sent_s, _, batch = self._sent.pop(number, (now_s, 0.0, []))
        self.heard()
        if answers is None:
            self._outbox[:0] = batch
            self._out_since_s = min(self._out_since_s, sent_s)
            self._retry_s = now_s + RETRY_S
            return ()
        if batch:
            self._out_since_s = inf
            self._retry_s = -inf
        return tuple(zip(batch, answers, strict=True)) if batch else ()

    def tick(self, *, asking: bool) -> None:
        """Send again what is overdue. `asking`: something else that control was asked has no answer either."""
        awake_s = self._attention.s
        self._silent_since_s = min(self._silent_since_s, awake_s) if asking or self._sent else inf
        if not self._unlinked:
            self._recall(awake_s - OVERDUE_S)
        self.flush()

    def lost_link(self) -> None:
        """Nobody is there: what was sent is to be sent to whoever comes."""
        self._unlinked = True
        self._out_since_s = min(self._out_since_s, self._clock.monotonic_s())
        self._recall(inf)

    def ask_again(self) -> None:
        """Somebody is there."""
        self._unlinked = False
        self._out_since_s = inf
        self._retry_s = -inf
        self.heard()
        self._recall(inf)
        self.flush()

    def _recall(self, before_s: float) -> None:
        """Have what was sent before that be sent again; each in a new message, in the order of before."""
        late = [number for number, (_, awake_s, _) in self._sent.items() if awake_s <= before_s]
        self._outbox[:0] = [one for number in late for one in self._sent.pop(number)[2]]

"""Handshakes that wait in a worker while control redeems their tickets.

Each is a question of its own: of two that show the same ticket, one gets something for it. What control says stays with
the request, which goes on, or is refused, when it is decided anew.
"""

from collections.abc import Callable
from typing import Final

from jotgate.core.calls import Request
from jotgate.core.socket_tickets import Redemption, ShownTicket
from jotgate.errors import JotgateError, TicketUnredeemed
from jotgate.gateway.credentials import ticket_of
from jotgate.gateway.waits import Desk, Soon, Waits
from jotgate.ports import Answer, Clock

PATIENCE_S: Final = 5.0
"""How long a handshake waits at most: for a control that is started again too."""


class TicketWaits:
    """All that wait in one worker. Mutable: who waits under which number.

    `ask` puts a question under its number; `desk` and `soon` are as for `Waits`. `instance` is the worker's name.
    """

    def __init__(
        self, clock: Clock, desk: Desk, *, ask: Callable[[int, ShownTicket], object], soon: Soon, instance: str
    ) -> None:
        self._waits: Waits[int, Redemption] = Waits(
            clock, desk, ask=self._put, judge=_judge, soon=soon, patience_s=PATIENCE_S
        )
        self._ask = ask
        self._instance = instance
        self._number = 0
        self._asked: dict[int, Request] = {}
        self.ask_again = self._waits.ask_again
        self.cancel_all = self._waits.cancel_all

    def join(self, request: Request, refusal: TicketUnredeemed) -> Answer:
        """Let a handshake wait; what is returned answers it.

        Raises:
            TicketUnredeemed: it cannot be known now, or too many wait.
        """
        try:
            if self._waits.is_reopened(request):
                raise refusal
            self._number += 1
            self._asked[self._number] = request
            return self._waits.join(request, refusal, self._number)
        finally:
            if not self._waits.is_asked(self._number):
                self._asked.pop(self._number, None)
            del refusal  # Its traceback names this frame: what names one another, only the collector can take away.

    def answered(self, number: int, found: Redemption) -> None:
        """Control's answer to a question."""
        request = self._asked.pop(number, None)
        if request is not None:
            request.redemption = found
            self._waits.answered(number, found)

    def check_deadlines(self, now_s: float) -> None:
        """Refuse those that have waited for long enough. Called a few times a second."""
        self._waits.check_deadlines(now_s)
        for number in [one for one in self._asked if not self._waits.is_asked(one)]:
            del self._asked[number]

    def _put(self, number: int) -> None:
        request = self._asked.get(number)
        if request is not None:
            origin = request.headers.get(b"origin", b"").decode("latin-1")
            asker = f"{self._instance}:{number}".encode()
            self._ask(number, ShownTicket(ticket_of(request), request.path.decode("latin-1"), origin, asker))


def _judge(refusal: JotgateError, outcome: Redemption | None, asks: int) -> JotgateError | None:  # noqa: ARG001 - as Judge
    """What is said of a ticket: whatever the handshake was refused for."""
    return refusal

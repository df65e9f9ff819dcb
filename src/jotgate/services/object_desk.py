"""What a worker asks control of owned objects: who asked what, and for how long they wait for the answer."""

from collections.abc import Callable
from functools import partial
from typing import Final

from msgspec import Struct

from jotgate.core.owned_objects import ObjectAnswer, ObjectOrder
from jotgate.ports import Clock

PATIENCE_S: Final = 5.0
"""So long an answer is waited for; then it is not known what came of the order."""
WAITING_MAX: Final = 4_096

Then = Callable[[ObjectAnswer | None], None]
"""Takes the answer; None: it is not known, since control or the store does not answer."""


class _Asked(Struct, frozen=True):
    order: ObjectOrder
    then: Then
    deadline_s: float


class ObjectDesk:
    """Asks control. Mutable: the orders that have no answer yet.

    `ask` tells control, if there is one. `soon` does one thing in a coming turn of the event loop.
    """

    def __init__(
        self, clock: Clock, ask: Callable[[int, ObjectOrder], object], soon: Callable[[Callable[[], None]], object]
    ) -> None:
        self._clock = clock
        self._ask = ask
        self._soon = soon
        self._number = 0
        self._open: dict[int, _Asked] = {}

    def ask(self, order: ObjectOrder, then: Then) -> Callable[[], None]:
        """Ask control; `then` is called once, in a coming turn of the loop.

        What is returned lets go of the answer: `then` is not called any more; the order may be carried out all the
        same.
        """
        self._number += 1
        number = self._number
        patience_s = PATIENCE_S if len(self._open) < WAITING_MAX else 0.0
        self._open[number] = _Asked(order, then, self._clock.monotonic_s() + patience_s)
        if patience_s:
            self._ask(number, order)
        else:
            self._soon(partial(self.answered, number, None))
        return partial(self._forget, number)

    def answered(self, number: int, answer: ObjectAnswer | None) -> None:
        """Control's answer."""
        asked = self._open.pop(number, None)
        if asked is not None:
            asked.then(answer)

    def ask_again(self) -> None:
        """Put all open orders to another control process; for one that was carried out, see `PutObject`."""
        for number, asked in tuple(self._open.items()):
            self._ask(number, asked.order)

    def check_deadlines(self, now_s: float) -> None:
        """Tell those that have waited for long enough. Called a few times a second."""
        for number, asked in tuple(self._open.items()):
            if asked.deadline_s <= now_s:
                self.answered(number, None)

    def _forget(self, number: int) -> None:
        self._open.pop(number, None)

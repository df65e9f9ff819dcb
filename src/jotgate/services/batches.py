"""Has what is asked at the same time done together: one batch at a time, in the order in which it was asked."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from jotgate.errors import JotgateError, StoreUnavailable
from jotgate.ports import Clock

PATIENCE_S: Final = 2.0
"""How long anybody waits for an answer; a batch that takes longer goes on, and nobody waits behind it meanwhile."""

_Ask = TypeVar("_Ask")
_Answer = TypeVar("_Answer")
_Part = tuple[Sequence[_Ask], asyncio.Future[Sequence[_Answer]]]


class Batches(Generic[_Ask, _Answer]):
    """Gathers asks. Mutable: those that wait, and since when a batch is under way.

    `carry_out` does a batch and answers each ask of it in order; it does all of them or, if it raises, none. At most
    `most` asks are done at once, or those of one caller.
    """

    def __init__(
        self,
        carry_out: Callable[[list[_Ask]], Awaitable[Sequence[_Answer]]],
        clock: Clock,
        *,
        most: int,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._carry_out = carry_out
        self._clock = clock
        self._most = most
        self._patience_s = patience_s
        self._waiting: deque[_Part[_Ask, _Answer]] = deque()
        self._running: asyncio.Task[None] | None = None
        self._begun_s = 0.0

    async def ask(self, asks: Sequence[_Ask]) -> Sequence[_Answer]:
        """What becomes of these, in their order.

        Raises:
            StoreUnavailable: there was no answer within `patience_s`, or there is none to be expected. They may have
                been done, or be done still.
            JotgateError: what `carry_out` raises; none of them was done.
        """
        running = self._running is not None
        if running and self._clock.monotonic_s() - self._begun_s > self._patience_s:
            raise StoreUnavailable("the store does not answer")
        answer: asyncio.Future[Sequence[_Answer]] = asyncio.get_running_loop().create_future()
        self._waiting.append((asks, answer))
        if not running:
            self._begun_s = self._clock.monotonic_s()
            self._running = asyncio.get_running_loop().create_task(self._run())
        try:
            async with asyncio.timeout(self._patience_s):
                return await answer
        except TimeoutError:
            raise StoreUnavailable("the store does not answer") from None

    async def settle(self) -> None:
        """Wait until all that was asked is done, also what nobody waits for any more."""
        if self._running is not None:
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        try:
            while parts := self._take():
                self._begun_s = self._clock.monotonic_s()
                await self._do(parts)
        finally:  # Whatever nobody foresaw ends this task alone: the next who asks begins another.
            self._running = None

    def _take(self) -> list[_Part[_Ask, _Answer]]:
        """The next of those that are waited for still."""
        parts: list[_Part[_Ask, _Answer]] = []
        size = 0
        while self._waiting and (not parts or size + len(self._waiting[0][0]) <= self._most):
            asks, answer = self._waiting.popleft()
            if not answer.done():
                parts.append((asks, answer))
                size += len(asks)
        return parts

    async def _do(self, parts: list[_Part[_Ask, _Answer]]) -> None:
        try:
            answers = await self._carry_out([ask for asks, _ in parts for ask in asks])
        except JotgateError as error:
            await self._do_apart(parts, error)
            return
        for asks, answer in parts:
            if not answer.done():
                answer.set_result(answers[: len(asks)])
            answers = answers[len(asks) :]

    async def _do_apart(self, parts: list[_Part[_Ask, _Answer]], error: JotgateError) -> None:
        """Do the asks of each by themselves: what one of them asks must not stand against the others."""
        if len(parts) == 1:
            _refuse(parts[0][1], error)
            return
        for part in parts:
            if self._clock.monotonic_s() - self._begun_s > self._patience_s:
                _refuse(part[1], error)
            else:
                await self._do([part])


def _refuse(answer: "asyncio.Future[Sequence[_Answer]]", error: JotgateError) -> None:
    if not answer.done():
        answer.set_exception(error)

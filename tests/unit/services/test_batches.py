"""What is asked at one time is done together, one batch at a time, and a store that hangs keeps nobody waiting."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from jotgate.errors import StoreRefused, StoreUnavailable
from jotgate.services.batches import Batches
from jotgate.testing.ports import ManualClock

Play = Callable[["Bench"], Awaitable[None]]


class Bench:
    """Batches over a store that answers each number with its double, when it may."""

    def __init__(self, patience_s: float) -> None:
        self.clock = ManualClock()
        self.done: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.bad: set[int] = set()
        self.most_at_once = 0
        self._at_once = 0
        self.batches: Batches[int, int] = Batches(self._carry_out, self.clock, most=4, patience_s=patience_s)

    def ask(self, *asks: int) -> "asyncio.Task[Sequence[int]]":
        return asyncio.ensure_future(self.batches.ask(asks))

    async def _carry_out(self, asks: list[int]) -> Sequence[int]:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await self.open.wait()
        finally:
            self._at_once -= 1
        self.done.append(asks)
        if self.bad & {*asks}:
            raise StoreRefused("the store does not take this")
        return [2 * ask for ask in asks]


def with_bench(play: Play, patience_s: float = 60.0) -> Bench:
    async def run() -> Bench:
        bench = Bench(patience_s)
        await play(bench)
        return bench

    return asyncio.run(run())


async def turns(count: int) -> None:
    """Let the event loop go round a few times."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_all_that_is_asked_in_one_turn_of_the_loop_is_done_at_once() -> None:
    async def play(bench: Bench) -> None:
        assert [*await asyncio.gather(bench.ask(1), bench.ask(2, 3), bench.ask())] == [[2], [4, 6], []]

    assert with_bench(play).done == [[1, 2, 3]]


def test_what_is_asked_meanwhile_is_the_next_batch_in_the_order_of_asking() -> None:
    async def play(bench: Bench) -> None:
        bench.open.clear()
        first = bench.ask(1)
        await turns(5)
        later = [bench.ask(2), bench.ask(3, 4), bench.ask(5, 6)]
        await turns(5)
        bench.open.set()
        assert [list(await one) for one in (first, *later)] == [[2], [4], [6, 8], [10, 12]]

    bench = with_bench(play)
    assert bench.done == [[1], [2, 3, 4], [5, 6]], "a batch has no more than four, but where one caller asked more"
    assert bench.most_at_once == 1


def test_who_asks_for_more_than_a_batch_at_once_is_answered_in_one() -> None:
    async def play(bench: Bench) -> None:
        assert len(await bench.ask(*range(9))) == 9

    assert with_bench(play).done == [[*range(9)]]


def test_what_one_asks_in_vain_stands_against_no_other() -> None:
    async def play(bench: Bench) -> None:
        bench.bad = {2}
        first, bad, last = bench.ask(1), bench.ask(2), bench.ask(3)
        assert (list(await first), list(await last)) == ([2], [6])
        with pytest.raises(StoreRefused):
            await bad
        assert list(await bench.ask(4)) == [8], "and it goes on"

    assert with_bench(play).done == [[1, 2, 3], [1], [2], [3], [4]]


def test_nobody_waits_long_for_a_store_that_hangs_nor_at_all_behind_one_that_has() -> None:
    async def play(bench: Bench) -> None:
        bench.open.clear()
        first, second = bench.ask(1), bench.ask(2)
        await turns(5)
        third = bench.ask(3)
        for one in (first, second, third):
            with pytest.raises(StoreUnavailable):
                await one
        bench.clock.advance(0.1)
        late = bench.ask(4)
        await turns(2)
        assert late.done(), "at once"
        with pytest.raises(StoreUnavailable):
            await late
        bench.open.set()
        await bench.batches.settle()
        assert list(await bench.ask(5)) == [10], "it is asked again as soon as it answers"

    assert with_bench(play, patience_s=0.05).done == [[1, 2], [5]], "what nobody waited for any more was not begun"


def test_settling_waits_for_what_was_asked_by_somebody_who_went_away() -> None:
    async def play(bench: Bench) -> None:
        await bench.batches.settle()
        bench.open.clear()
        gone = bench.ask(1)
        await turns(5)
        gone.cancel()
        settling = asyncio.ensure_future(bench.batches.settle())
        await turns(5)
        assert not settling.done()
        bench.open.set()
        await settling

    assert with_bench(play).done == [[1]]


def test_a_fault_that_nobody_foresaw_ends_one_batch_and_not_all() -> None:
    async def play(bench: Bench) -> None:
        told: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

        async def fail(asks: list[int]) -> Sequence[int]:
            raise ZeroDivisionError if asks == [0] else StoreUnavailable("away")

        failing: Batches[int, int] = Batches(fail, bench.clock, most=4)
        lost = asyncio.ensure_future(failing.ask((0,)))
        await turns(5)
        with pytest.raises(StoreUnavailable):
            await failing.ask((1,))
        lost.cancel()

    with_bench(play)

"""A worker asks control of owned objects: each who asks is told once, whatever becomes of control."""

from collections.abc import Callable

from jotgate.core.owned_objects import FindObject, ObjectAnswer, ObjectKey, ObjectOrder
from jotgate.services.object_desk import PATIENCE_S, WAITING_MAX, ObjectDesk
from jotgate.testing.ports import ManualClock

ORDER = FindObject(ObjectKey("k", "p", "o", "n"))
FOUND = ObjectAnswer(True)


class Bench:
    """A desk, what control is asked, and what those who ask are told."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.asked: list[tuple[int, ObjectOrder]] = []
        self.told: list[ObjectAnswer | None] = []
        self.later: list[Callable[[], None]] = []
        self.desk = ObjectDesk(self.clock, lambda number, order: self.asked.append((number, order)), self.later.append)

    def ask(self) -> Callable[[], None]:
        return self.desk.ask(ORDER, self.told.append)


def test_who_asks_is_told_what_control_answers_once() -> None:
    bench = Bench()
    bench.ask()
    assert (bench.asked, bench.told) == ([(1, ORDER)], [])
    bench.desk.answered(1, FOUND)
    bench.desk.answered(1, FOUND)
    bench.desk.answered(7, FOUND)
    assert bench.told == [FOUND]


def test_who_lets_go_is_not_told() -> None:
    bench = Bench()
    bench.ask()()
    bench.desk.answered(1, FOUND)
    bench.clock.advance(PATIENCE_S)
    bench.desk.check_deadlines(bench.clock.monotonic_s())
    assert bench.told == []


def test_who_waits_too_long_is_told_that_it_is_not_known() -> None:
    bench = Bench()
    bench.ask()
    bench.clock.advance(PATIENCE_S - 0.1)
    bench.desk.check_deadlines(bench.clock.monotonic_s())
    assert bench.told == []
    bench.clock.advance(0.1)
    bench.desk.check_deadlines(bench.clock.monotonic_s())
    bench.desk.answered(1, FOUND)
    assert bench.told == [None]


def test_the_next_control_process_is_asked_what_has_no_answer() -> None:
    bench = Bench()
    bench.ask()
    bench.ask()
    bench.desk.answered(1, FOUND)
    bench.desk.ask_again()
    assert bench.asked == [(1, ORDER), (2, ORDER), (2, ORDER)]


def test_of_too_many_the_last_are_told_at_once_and_control_is_not_asked() -> None:
    bench = Bench()
    for _ in range(WAITING_MAX):
        bench.ask()
    bench.ask()
    let_go = bench.ask()
    assert (len(bench.asked), len(bench.later), bench.told) == (WAITING_MAX, 2, [])
    let_go()
    for one in bench.later:
        one()
    assert bench.told == [None]

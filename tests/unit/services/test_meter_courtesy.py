"""A place that no call has sleeps nowhere, and whoever waits for one gets it from a worker that always uses it."""

from functools import partial

from jotgate.core.ledger import Balance
from jotgate.core.quotas import Meter
from jotgate.services.meter_courtesy import WAY_AGAIN_S
from jotgate.services.unit_hints import UnitHints
from tests.property.metering_machine import TICK_S, Chance, Worker, World
from tests.unit.services.test_meter import ONE, balance, begin, begin_now, meter, settle, world_of


class Machine(World):
    """One machine of two workers, which tells both that somebody waits. Mutable: as World."""

    def __init__(self, slots: Meter) -> None:
        super().__init__(2)
        for worker in self.workers:
            worker.meters = (slots,)
        self._hints = UnitHints(self.workers[0].clock, Chance(), self._tell)

    def ask(self, worker: Worker, *, times: int = 1, lost: bool = False) -> None:
        number, asks = worker.sent.popleft()
        answers = self.store.turn(asks)
        worker.told.append((number, answers))
        self._hints.answered(asks, answers)

    def hint(self, slots: Meter) -> None:
        """Say that somebody waits."""
        self._tell([slots.key])

    def _tell(self, accounts: list[str]) -> None:
        for worker in self.workers:
            worker.turns.append(partial(worker.metering.others_want, accounts))


class Hog:
    """Whoever has the place of a worker all the time: when a call ends the next one comes. Mutable: its call."""

    def __init__(self, world: World, worker: Worker) -> None:
        self._world = world
        self._worker = worker
        self.let_through = 0

    def go_on(self) -> None:
        """A call ends, and the next one comes at once."""
        running = [call for call in self._worker.calls if not call.ended]
        settle(running)
        self.let_through += len(running)
        if not self._worker.waiting:
            self._worker.begin(ONE)
        self._worker.run()
        self._world.carry(self._worker)


def test_a_lone_caller_of_two_idle_workers_never_waits() -> None:
    slots = meter(1, "concurrent", "now")
    world = world_of(slots, workers=2)
    for number in range(20):
        worker = world.workers[number % 2]
        calls = begin(world, worker)
        assert len(calls) == 1
        settle(calls)
        worker.run()
        world.carry(worker)
        assert balance(world, slots) == Balance(slots.key, left=1)


def test_whoever_waits_gets_a_place_that_is_used_now_and_then_without_being_told() -> None:
    world = world_of(meter(1, "concurrent", "now"), workers=2)
    ann, bob = world.workers
    for _ in range(6):
        anns = begin(world, ann)
        assert begin(world, bob) == []
        settle(anns)
        ann.run()
        world.carry(ann)
        world.let_time_pass(2)
        bobs = [call for call in bob.calls if not call.ended]
        assert len(bobs) == 1
        settle(bobs)
        bob.run()
        world.carry(bob)


def test_whoever_waits_gets_the_place_of_one_that_always_uses_it() -> None:
    world = Machine(meter(1, "concurrent", "now"))
    ann, bob = world.workers
    hog = Hog(world, ann)
    hog.go_on()
    for _ in range(6):
        before = len(bob.calls)
        begin(world, bob)
        for _ in range(int((WAY_AGAIN_S + 1.0) / TICK_S)):
            hog.go_on()
            world.let_time_pass(1)
        (call,) = bob.calls[before:]
        settle([call])
        bob.run()
        world.carry(bob)
        for _ in range(4):
            hog.go_on()
            world.let_time_pass(1)
    assert not bob.refused
    assert hog.let_through > 12, "who shares a place is not shut out either"


def test_of_many_places_some_are_kept() -> None:
    slots = meter(500, "concurrent", "now")
    world = world_of(slots)
    (worker,) = world.workers
    settle(begin(world, worker))
    worker.run()
    assert not worker.sent
    begin_now(worker).void()
    worker.run()
    assert not worker.sent, "it needed no turn of the ledger"


def test_hints_that_lie_hold_a_place_up_once_in_a_while_at_most() -> None:
    slots = meter(1, "concurrent", "now")
    world = Machine(slots)
    hog = Hog(world, world.workers[0])
    span_s = 10.0
    for _ in range(int(span_s / TICK_S)):
        world.hint(slots)
        hog.go_on()
        world.let_time_pass(1)
    assert hog.let_through >= span_s / TICK_S / 2

"""Whatever happens to workers, to the bus and to the store: no quota is overspent, and everything idle comes back."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from jotgate.services.meter_reservations import Need
from tests.property.metering_machine import MODEL, SLOTLESS, Call, World

WORKERS = 3
numbers = st.integers(0, WORKERS - 1)
sizes = st.lists(st.integers(1, 12), min_size=1, max_size=4)
mostly = st.sampled_from([True, True, True, False])
spans = st.sampled_from([1, 8, 30, 44, 59, 66, 90])
"""So many ticks things are wrong; a lease is spent for 40 and given back for 60."""


class Peaceful(RuleBasedStateMachine):
    """Calls of some workers, while messages take their time and none is lost: what is posted is what was used."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(WORKERS)
        self.world.whole = True

    # Calls

    @rule(number=numbers, sizes=sizes, carry=mostly, send=mostly, least=st.booleans(), slotted=st.booleans())
    def begin(self, number: int, sizes: list[int], *, carry: bool, send: bool, least: bool, slotted: bool) -> None:
        """Some calls come at once; those that get what they need are sent, or lie about for a while."""
        worker = self.world.workers[number]
        before = len(worker.calls)
        for tokens in sizes:
            need = Need(input_tokens=1, output_tokens=tokens, output_least=1 if least else None)
            worker.begin(need, model=MODEL if slotted else SLOTLESS)
        worker.run()
        if carry:
            self.world.carry(worker)
        if send:
            for call in worker.calls[before:]:
                self.world.send(call)

    def _calls(self, *, sent: bool) -> list[Call]:
        return [one for worker in self.world.workers for one in worker.calls if one.sent == sent and not one.ended]

    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        for call in self._calls(sent=False):
            if data.draw(st.booleans()):
                self.world.send(call)

    @rule(data=st.data(), step=st.integers(1, 5))
    def extend(self, data: st.DataObject, step: int) -> None:
        calls = self._calls(sent=True)
        if calls:
            self.world.extend(data.draw(st.sampled_from(calls)), step)

    @rule(data=st.data(), over=st.sampled_from([0, 0, 0, 1, 7]), some=st.integers(1, 4))
    def settle(self, data: st.DataObject, over: int, some: int) -> None:
        for call in self._calls(sent=True)[:some]:
            tokens = call.tokens + over if over else data.draw(st.integers(1, call.tokens))
            self.world.settle(call, tokens)

    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        calls = self._calls(sent=False)
        if calls:
            self.world.void(data.draw(st.sampled_from(calls)))

    # Time

    @rule(ticks=st.sampled_from([1, 1, 3, 8]))
    def wait(self, ticks: int) -> None:
        self.world.let_time_pass(ticks)

    @rule(short=st.sampled_from([0, 1, 2, 3]), carry=st.booleans())
    def wait_for_the_end_of_the_minute(self, short: int, carry: bool) -> None:
        world = self.world
        span = int((world.minute + 1) * 60 - world.time.s) * 4 - short
        world.let_time_pass(max(0, span - 8))
        world.let_time_pass(min(8, max(0, span)), deliver=carry)

    @rule(number=numbers)
    def carry(self, number: int) -> None:
        self.world.carry(self.world.workers[number])

    @rule(number=numbers)
    def change_limits(self, number: int) -> None:
        self.world.workers[number].metering.limits_changed()

    @invariant()
    def nothing_is_overspent(self) -> None:
        self.world.end_slotless()
        self.world.check()

    def teardown(self) -> None:
        self.world.come_to_rest()


class Restless(Peaceful):
    """All that can go wrong beside."""

    @rule(ticks=spans)
    def wait_in_silence(self, ticks: int) -> None:
        self.world.let_time_pass(ticks, deliver=False)

    @rule(number=numbers, times=st.sampled_from([1, 1, 2]), lost=st.sampled_from([False, False, True]))
    def ask(self, number: int, times: int, lost: bool) -> None:
        if self.world.workers[number].sent:
            self.world.ask(self.world.workers[number], times=times, lost=lost)

    @rule(number=numbers, times=st.sampled_from([1, 1, 2]))
    def answer(self, number: int, times: int) -> None:
        worker = self.world.workers[number]
        if worker.told:
            self.world.answer(worker, times=times)

    @rule(number=numbers, ticks=spans)
    def cut(self, number: int, ticks: int) -> None:
        """Control is away for a while, as one worker sees it."""
        worker = self.world.workers[number]
        worker.cut()
        self.world.let_time_pass(ticks)
        worker.join()

    @rule(number=numbers)
    def kill(self, number: int) -> None:
        self.world.kill(number)

    @rule(number=numbers, ticks=spans)
    def pause(self, number: int, ticks: int) -> None:
        """A worker stands still, and its clock jumps."""
        worker = self.world.workers[number]
        worker.paused = worker.late = True
        self.world.let_time_pass(ticks)
        worker.paused = False

    @rule(ticks=spans)
    def lose_the_store(self, ticks: int) -> None:
        self.world.down = True
        self.world.let_time_pass(ticks)
        self.world.down = False


_USUAL = settings(deadline=None, suppress_health_check=list(HealthCheck))
TestPeaceful = Peaceful.TestCase
TestPeaceful.settings = settings(_USUAL, max_examples=60, stateful_step_count=40)
TestRestless = Restless.TestCase
TestRestless.settings = settings(_USUAL, max_examples=150, stateful_step_count=60)

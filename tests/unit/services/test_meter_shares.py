"""How much a worker takes that no call has reserved: the less is left, the less sleeps with one of many."""

from typing import Final

from jotgate.core.quotas import Meter
from jotgate.services.meter_reservations import Need
from tests.property.metering_machine import Worker, World
from tests.unit.services.test_meter import balance, begin, meter, settle

PART_AHEAD: Final = 16
PART_FOR_ALL: Final = 4
FIFTY: Final = Need(input_tokens=1, output_tokens=49)


class Watched(World):
    """A worker of which is noted, of each ask, what was wanted, at least, and left of the quota. Mutable: these too."""

    def __init__(self, tokens: Meter) -> None:
        super().__init__(1)
        self.tokens_meter = tokens
        self.workers[0].meters = (tokens,)
        self.asks: list[tuple[int, int, int]] = []

    def ask(self, worker: Worker, *, times: int = 1, lost: bool = False) -> None:
        _, asks = worker.sent[0]
        left = balance(self, self.tokens_meter).left
        self.asks += [(one.want, one.least, left) for one in asks if one.want]
        super().ask(worker, times=times, lost=lost)


def test_what_is_taken_before_calls_ask_for_it_is_a_sixteenth_of_what_is_left() -> None:
    world = Watched(meter(16_000, "total_tokens"))
    (worker,) = world.workers
    for _ in range(6):
        settle(begin(world, worker, FIFTY, calls=40), 50)
        world.let_time_pass(1)
    early = [(want, left) for want, least, left in world.asks if not least]
    assert all(want <= left // PART_AHEAD for want, left in early)
    assert any(want > left // (2 * PART_AHEAD) for want, left in early), "it takes some"


def test_what_is_taken_for_all_that_wait_is_a_quarter_of_what_is_left_or_what_one_needs() -> None:
    world = Watched(meter(1_000, "total_tokens"))
    begin(world, world.workers[0], FIFTY, calls=30)
    assert all(want <= max(least, left // PART_FOR_ALL) for want, least, left in world.asks)
    assert world.asks[0] == (250, 50, 1_000)

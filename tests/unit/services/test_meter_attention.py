"""Only time in which a worker was there to hear an answer counts as silence of others."""

from collections import deque

from jotgate.core.ledger import LeaseAsk
from jotgate.services.meter_attention import STRIDE_S, Attention
from tests.metering import EVENT, MeteredStage, quota
from tests.unit.services.test_meter_outages import Bench

BUSY_S = 1.7


def test_it_goes_on_with_the_clock_while_it_is_looked_at_often() -> None:
    attention = Attention()
    for now_s in (100.0, 100.25, 100.5, 100.5):
        attention.look(now_s)
    assert attention.s == 0.5


def test_what_passed_unseen_counts_for_one_stride() -> None:
    attention = Attention()
    for now_s in (100.0, 130.0, 129.0, 129.25):
        attention.look(now_s)
    assert attention.s == STRIDE_S + 0.25


class BusyStage(MeteredStage):
    """A worker whose event loop takes long for each turn: an answer is read two turns after it was asked for."""

    def __init__(self) -> None:
        super().__init__(quota(1_000_000))
        self.unread: deque[int] = deque()

    def busy_turn(self) -> None:
        self.wait(BUSY_S)
        self.unread.append(len(self.asked) - sum(self.unread))
        for _ in range(self.unread.popleft() if len(self.unread) > 1 else 0):
            self.asked.popleft()()
        while self.turns.waiting:
            self.turns.waiting.popleft()()


def test_no_stream_ends_because_its_worker_is_busy() -> None:
    stage = BusyStage()
    callers = [stage.begin()[0] for _ in range(8)]
    streams = tuple(stage.one.exchanges)
    assert len(streams) == len(callers)
    for exchange in streams:
        exchange.stream(b"")
    stage.mute = True
    for _ in range(20):
        for exchange in streams:
            if not exchange.paused:
                exchange.tell(None, EVENT * 400, complete=False)
        stage.busy_turn()
    assert {caller.state for caller in callers} == {"begun"}


def test_no_call_is_refused_because_its_worker_is_busy() -> None:
    stage = BusyStage()
    stage.mute = True
    callers = [stage.begin()[0] for _ in range(8)]
    for _ in range(8):
        stage.busy_turn()
    assert [caller.status for caller in callers] == [0] * 8
    assert len(stage.one.exchanges) == 8


def test_a_busy_worker_takes_the_answer_to_what_it_asked_first() -> None:
    """What is sent again makes void the answer that lies there: by a busy worker none would ever be taken."""
    bench = Bench()
    bench.wait()
    sent: list[tuple[int, list[LeaseAsk]]] = list(bench.asks)
    for _ in range(4):
        bench.tick(BUSY_S)
    assert bench.asks == sent

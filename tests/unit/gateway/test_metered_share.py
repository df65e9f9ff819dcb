"""Many streams without a ceiling share a quota to its end: none is refused while much of it is left."""

import random
from collections.abc import Sequence
from typing import Final

import pytest
from msgspec import Struct

from jotgate.core.ledger import LeaseAnswer, LeaseAsk
from jotgate.core.quotas import Quota
from jotgate.core.routes import MeteringRules
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import RecordingCaller, ScriptedExchange
from tests.metering import DONE, TICK_S, MeteredStage, quota, usage

STREAMS: Final = 64
QUOTA: Final = 1_000_000
TOKENS: Final = 32
"""So many tokens come to each stream in a tick, in one event: 128 in a second."""
WORKERS: Final = 4
EVENT: Final = 16
_PATIENT: Final = {"one": {"total_timeout_s": 3_600.0, "first_byte_timeout_s": 3_600.0, "idle_timeout_s": 3_600.0}}


class Sharing(MeteredStage):
    """One of some workers of one ledger, with answers up to `late_ticks` late. Mutable: those on their way."""

    def __init__(self, limit: Quota, store: MemoryStore | None, late_ticks: int, chance: random.Random) -> None:
        super().__init__(limit, rules=MeteringRules(), upstreams=_PATIENT)
        self._late_ticks = late_ticks
        self._chance = chance
        self.coming: list[tuple[int, int, list[LeaseAnswer]]] = []
        self.ticks = 0
        if store is not None:
            self.store = store

    def deliver(self) -> None:
        """A tick has passed: what is due arrives."""
        self.ticks += 1
        due = [one for one in self.coming if one[0] <= self.ticks]
        for found in due:
            self.coming.remove(found)
            self.metering.leases_answered(found[1], found[2])
        self.tick()

    def _lease(self, number: int, asks: Sequence[LeaseAsk]) -> None:
        def answer() -> None:
            self.coming.append((self.ticks + self._chance.randint(0, self._late_ticks), number, answers))

        if self._late_ticks:
            answers = list(self.store.turn(asks))
            self.asked.append(answer)
        else:
            super()._lease(number, asks)


class Stream:
    """A call of one worker whose upstream goes on whether it is read or not. Mutable: what is to come."""

    def __init__(self, worker: Sharing, number: int, tokens: int) -> None:
        self.worker = worker
        self.tokens = self.left = tokens
        self.unread = 0
        self.exchange: ScriptedExchange | None = None
        self._mark = b'"user":"%d"' % number
        caller, _ = worker.begin(b'{"model":"a","stream":true,%b}' % self._mark)
        self.caller: RecordingCaller = caller

    @property
    def ended(self) -> bool:
        """Whether it was refused or cut, for whatever reason."""
        return self.caller.status in {429, 503} or (self.exchange is not None and self.exchange.aborted)

    @property
    def spent(self) -> bool:
        """Whether it was told that its quota is spent, before or while it came."""
        return self.ended and b'"quota_exceeded"' in b"".join(self.caller.pieces[-2:])

    def go_on(self, pace: int) -> bool:
        """So many tokens come; whether that was the end."""
        if self.exchange is None:
            self.exchange = next((one for one in self.worker.one.exchanges if self._mark in one.outbound.body), None)
            if self.exchange is None:
                return False
            self.exchange.stream(b"")
        came = min(self.left, pace)
        self.left -= came
        self.unread += came
        while self.unread and not (self.exchange.paused or self.exchange.aborted):
            count = min(self.unread, EVENT)
            self.unread -= count
            event = b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % (b"tok " * count)
            self.exchange.tell(None, event, complete=False)
            self.worker.run()
        if self.left or self.unread or self.exchange.aborted:
            return False
        self.exchange.tell(None, usage(1, self.tokens) + DONE, complete=True)
        self.worker.run()
        return True


class Case(Struct, frozen=True):
    """How fast each stream comes, in tokens a second, and how many ticks of 0.25 s an answer takes at most."""

    pace: int
    late_ticks: int


@pytest.mark.parametrize(
    "case",
    [Case(285, 0), Case(285, 4), Case(4_000, 0), Case(20_000, 0)],
    ids=lambda case: f"{case.pace}-{case.late_ticks}",
)
def test_no_stream_of_four_workers_is_told_that_nothing_is_left_before_nine_tenths_have_come(case: Case) -> None:
    """However fast they are, and however late a busy store answers; each that has ended is followed by a new one.

    While answers are late one may be told that nobody knows what is left (503), which it may ask again at once.
    """
    chance = random.Random(7)  # noqa: S311 - the same in every run
    workers: list[Sharing] = []
    for number in range(WORKERS):
        store = workers[0].store if workers else None
        workers.append(Sharing(quota(QUOTA), store, case.late_ticks, chance))
        workers[number].metering._post._name = f"worker-{number}"
    begun = 0

    def begin(worker: Sharing) -> Stream:
        nonlocal begun
        begun += 1
        return Stream(worker, begun, chance.randint(2_000, 20_000))

    streams = [begin(workers[number % WORKERS]) for number in range(STREAMS)]
    came = 0
    while not any(one.spent for one in streams):
        for place, stream in enumerate(streams):
            before = stream.left + stream.unread
            ended = stream.go_on(int(case.pace * TICK_S))
            came += before - stream.left - stream.unread
            if ended or (case.late_ticks and stream.ended and not stream.spent):
                streams[place] = begin(stream.worker)
        for worker in workers:
            worker.deliver()

    assert came >= 0.9 * QUOTA
    for worker in workers:
        worker.gateway.cancel_all()


def test_no_stream_of_many_is_refused_before_nine_tenths_are_spent() -> None:
    stage = MeteredStage(quota(QUOTA), rules=MeteringRules(), upstreams={"one": {"total_timeout_s": 3_600.0}})
    for _ in range(STREAMS):
        stage.begin()
    exchanges = tuple(stage.one.exchanges)
    for exchange in exchanges:
        exchange.stream(b"")
    event = b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % (b"tok " * TOKENS)
    spent = 0
    while not any(exchange.aborted for exchange in exchanges):
        for exchange in exchanges:
            if not (exchange.paused or exchange.aborted):
                exchange.tell(None, event, complete=False)
                spent += TOKENS
                stage.run()
        stage.wait(TICK_S)
        stage.run()

    assert 0.9 * QUOTA <= spent <= QUOTA
    assert stage.balance().debt == 0

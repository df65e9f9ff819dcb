"""A machine that lacks units says so, and whoever holds some that are not used gives them back at once."""

from collections.abc import Sequence
from functools import partial

import msgspec
import pytest

from jotgate.core.ledger import LeaseAnswer, LeaseAsk
from jotgate.core.meters import meter_of
from jotgate.core.quotas import Limit, Quota
from jotgate.services.meter_reservations import Need, Used
from jotgate.services.unit_hints import ACCOUNTS_MAX, AGAIN_S, MESSAGE_BYTES_MAX, UnitHints, Wanted
from jotgate.testing.ports import ManualClock
from tests.property.metering_machine import TICK_S, Chance, Worker, World

TOKENS = meter_of(Quota("tokens", Limit("total_tokens", 100)), ("ann",))
OTHER = meter_of(Quota("requests", Limit("requests", 100)), ("ann",))


class Machines(World):
    """Two machines of one worker each on one ledger. Mutable: what was published, and whether anybody hears it."""

    def __init__(self, *, hinted: bool) -> None:
        super().__init__(2)
        self.hinted = hinted
        self.published: list[bytes] = []
        self.hints: dict[Worker, UnitHints] = {}
        for worker in self.workers:
            worker.meters = (TOKENS,)
            hints = self.hints[worker] = UnitHints(worker.clock, Chance(), partial(self._tell, worker))
            hints.publish_by(self._publish)

    def ask(self, worker: Worker, *, times: int = 1, lost: bool = False) -> None:
        number, asks = worker.sent.popleft()
        answers = self.store.turn(asks)
        worker.told.append((number, answers))
        self.hints[worker].answered(asks, answers)

    def _publish(self, message: bytes) -> None:
        self.published.append(message)
        if self.hinted:
            for hints in self.hints.values():
                hints.hear(message)

    def _tell(self, worker: Worker, accounts: list[str]) -> None:
        worker.turns.append(partial(worker.metering.others_want, accounts))


def begin_elsewhere(machines: Machines, *, running: int = 0) -> Worker:
    """One machine holds what it has not used, beside what a call has that runs; a call of the other one needs it."""
    here, there = machines.workers
    for tokens in (60, *(running,) * bool(running)):
        here.begin(Need(input_tokens=1, output_tokens=tokens - 1))
        here.run()
        machines.carry(here)
    here.calls[0].reservation.settle(Used(input_tokens=1, output_tokens=4))
    here.calls[0].ended = True
    machines.let_time_pass(1)
    there.begin(Need(input_tokens=1, output_tokens=59))
    there.run()
    machines.carry(there)
    here.run()
    machines.carry(here)
    return there


def leased(machines: Machines) -> int:
    (account,) = machines.store.balances([TOKENS])
    return account.leased


def test_idle_units_of_another_machine_go_back_at_once_and_without_hints_when_they_were_idle_for_a_second() -> None:
    without = Machines(hinted=False)
    begin_elsewhere(without)
    assert leased(without) == 60
    hinted = Machines(hinted=True)
    there = begin_elsewhere(hinted)
    assert leased(hinted) == 0
    hinted.let_time_pass(int(0.5 / TICK_S))
    assert len(there.calls) == 1


def test_what_running_calls_have_reserved_stays_theirs() -> None:
    machines = Machines(hinted=True)
    begin_elsewhere(machines, running=30)
    assert leased(machines) == 30
    machines.let_time_pass(2)
    (account,) = machines.store.balances([TOKENS])
    assert account.posted == 5
    assert 30 + 60 <= account.leased <= 95


def test_a_hint_names_an_account_by_its_digest_and_nobody() -> None:
    machines = Machines(hinted=True)
    begin_elsewhere(machines)
    found = msgspec.msgpack.decode(machines.published[0], type=Wanted)
    assert found.accounts == [TOKENS.key]
    assert b"ann" not in b"".join(machines.published)


class Desk:
    """The hints of one machine, and what its workers and others are told."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.told: list[list[str]] = []
        self.published: list[bytes] = []
        self.hints = UnitHints(self.clock, Chance(), self.told.append)
        self.hints.publish_by(self.published.append)

    def lack(self, *accounts: LeaseAsk, leased: int = 5) -> None:
        """The ledger had nothing for these asks, and others hold so much."""
        self.hints.answered(accounts, [LeaseAnswer(one.lease_id, 0, leased=leased) for one in accounts])


ASK = LeaseAsk("lease", TOKENS, want=1, least=1)


def test_workers_of_this_machine_are_told_too_and_each_account_once_in_a_while() -> None:
    desk = Desk()
    desk.lack(ASK, ASK)
    desk.lack(ASK)
    assert (desk.told, len(desk.published)) == ([[TOKENS.key]], 1)
    desk.clock.advance(AGAIN_S)
    desk.lack(ASK)
    assert (desk.told, len(desk.published)) == ([[TOKENS.key]] * 2, 2)


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (ASK, LeaseAnswer("lease", 0, posted=100)),
        (ASK, LeaseAnswer("lease", 1, leased=5)),
        (LeaseAsk("lease", TOKENS, want=5), LeaseAnswer("lease", 0, leased=5)),
        (LeaseAsk("", TOKENS, previous="before", spent=1), LeaseAnswer("", 0, leased=5)),
    ],
    ids=["spent", "granted", "beforehand", "returned"],
)
def test_who_need_not_wait_or_would_wait_in_vain_says_nothing(ask: LeaseAsk, answer: LeaseAnswer) -> None:
    desk = Desk()
    desk.hints.answered([ask], [answer])
    assert (desk.told, desk.published) == ([], [])


def message(accounts: Sequence[str], of: str = "somebody") -> bytes:
    return msgspec.msgpack.encode(Wanted(of, list(accounts)))


def test_others_are_heard_of_accounts_that_this_machine_has_and_of_no_others() -> None:
    desk = Desk()
    desk.hints.hear(message([TOKENS.key]))
    assert desk.told == [], "no worker has asked for any of it"
    desk.hints.answered([LeaseAsk("lease", TOKENS, want=1)], [LeaseAnswer("lease", 1, leased=1)])
    desk.hints.hear(message([OTHER.key, TOKENS.key, TOKENS.key]))
    desk.hints.hear(message([TOKENS.key]))
    assert desk.told == [[TOKENS.key]]
    desk.clock.advance(AGAIN_S)
    desk.hints.hear(message([TOKENS.key]))
    assert desk.told == [[TOKENS.key]] * 2


def test_its_own_words_come_back_and_are_passed_over() -> None:
    desk = Desk()
    desk.lack(ASK)
    desk.told.clear()
    desk.clock.advance(AGAIN_S)
    desk.hints.hear(desk.published[0])
    assert desk.told == []


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\xc1",
        b"\x80",
        msgspec.msgpack.encode({"type": "other"}),
        msgspec.msgpack.encode({"type": "wanted", "of": 1, "accounts": [TOKENS.key]}),
        msgspec.msgpack.encode({"type": "wanted", "of": "x", "accounts": TOKENS.key}),
        b"\x83\xa4type\xa6wanted\xa2of\xa1\xff\xa8accounts\x90",
        b"\x91" * 8_000,
        message([TOKENS.key, *map(str, range(ACCOUNTS_MAX))]),
        message([TOKENS.key, "x" * MESSAGE_BYTES_MAX]),
    ],
    ids=range(10),
)
def test_what_is_not_understood_is_passed_over(garbage: bytes) -> None:
    desk = Desk()
    desk.hints.answered([LeaseAsk("lease", TOKENS, want=1)], [LeaseAnswer("lease", 1, leased=1)])
    desk.hints.hear(garbage)
    assert desk.told == []


def test_a_flood_of_hints_about_idle_units_overspends_nothing() -> None:
    machines = Machines(hinted=True)
    here, there = machines.workers
    for _ in range(40):
        for worker in (here, there):
            worker.begin(Need(input_tokens=1, output_tokens=4))
            worker.run()
            machines.carry(worker)
            for hints in machines.hints.values():
                hints.hear(message([TOKENS.key]))
            worker.run()
            for call in [one for one in worker.calls if not one.ended]:
                call.reservation.settle(Used(input_tokens=1, output_tokens=1))
                call.ended = True
        machines.let_time_pass(1)
    machines.let_time_pass(12)
    (account,) = machines.store.balances([TOKENS])
    calls = len(here.calls) + len(there.calls)
    assert (account.posted, account.leased, account.debt) == (2 * calls, 0, 0)
    assert 48 <= calls <= 50, "hints keep nobody from what is left"

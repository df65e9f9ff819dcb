"""Which proofs count: once for all machines, in their time, and none that a lost memory might have known as used."""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import TypeVar

import pytest
from msgspec.structs import replace

from jotgate.core.dpop_nonces import NONCE_LIFE_S
from jotgate.core.proof_times import LEEWAY_S, ProofRules, Sight, Verdict
from jotgate.errors import StoreUnavailable
from jotgate.services.proof_desk import ProofDesk
from jotgate.services.used_proofs import UsedProofs
from jotgate.store_ports import Store
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock
from tests.token_stage import Chance

_T = TypeVar("_T")
_asks = count(1)


class Shaky:
    """The way to a store that may be away (ports.StoreAccess)."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.away = False

    async def run(self, work: Callable[[Store], _T]) -> _T:
        if self.away:
            raise StoreUnavailable("the store does not answer")
        return work(self.store)


class Machine:
    """One control process."""

    def __init__(self, clock: ManualClock, access: Shaky | None = None, rules: ProofRules | None = None) -> None:
        self.clock = clock
        self.rules = rules or ProofRules()
        self.desk = ProofDesk(access, clock=clock, entropy=Chance(), rules=lambda: self.rules)

    def sight(self, handle: bytes = b"h", nonce: str = "", iat: float | None = None) -> Sight:
        return Sight(handle, self.clock.now_s() if iat is None else iat, nonce, b"ask %d" % next(_asks))

    def judge(self, sight: Sight) -> Verdict:
        return asyncio.run(self.desk.judge(sight))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def settled(clock: ManualClock, access: Shaky | None = None) -> Machine:
    """A machine whose start is long over."""
    machine = Machine(clock, access)
    clock.advance(3_600)
    return machine


def test_DP_17_a_proof_counts_once(clock: ManualClock) -> None:
    machine = settled(clock)
    assert machine.judge(machine.sight()) == Verdict("fresh")
    assert machine.judge(machine.sight()) == Verdict("used")
    assert machine.judge(machine.sight(b"other")).word == "fresh"


def test_DP_17_what_is_refused_for_another_reason_is_not_used_up(clock: ManualClock) -> None:
    machine = settled(clock)
    assert machine.judge(machine.sight(iat=clock.now_s() - 3_600)).word == "late"
    wanted = machine.judge(machine.sight(iat=clock.now_s() - 100))
    assert wanted.word == "nonce"
    assert machine.judge(machine.sight(nonce=wanted.nonce)).word == "fresh"


def test_one_holder_fills_the_memory_for_nobody_else(clock: ManualClock) -> None:
    machine = settled(clock)
    machine.desk._used = UsedProofs(capacity=6)
    sights = [replace(machine.sight(b"%d" % number), holder="greedy") for number in range(4)]
    assert [machine.judge(one).word for one in sights] == ["fresh", "fresh", "fresh", "crowded"]
    assert machine.judge(replace(machine.sight(b"x"), holder="modest")).word == "fresh"
    assert machine.judge(replace(sights[0], asker=b"thief")).word == "used"


def test_a_look_uses_nothing_up_and_knows_what_was_used_here(clock: ManualClock) -> None:
    machine = settled(clock)
    sights = [machine.sight() for _ in range(3)]
    assert [asyncio.run(machine.desk.look(one)).word for one in sights] == ["fresh"] * 3
    assert machine.judge(sights[0]).word == "fresh"
    assert [asyncio.run(machine.desk.look(one)).word for one in sights] == ["fresh", "used", "used"]
    assert asyncio.run(machine.desk.look(machine.sight(b"x", iat=clock.now_s() - 100))).word == "nonce"


def test_an_answer_that_was_lost_is_given_again(clock: ManualClock) -> None:
    store = MemoryStore()
    for machine in (settled(clock), settled(clock, Shaky(store))):
        shown = machine.sight()
        assert [machine.judge(shown).word for _ in range(2)] == ["fresh", "fresh"]
        assert machine.judge(replace(shown, asker=b"another")).word == "used"


def test_DP_17_a_proof_counts_once_for_all_machines_of_a_store(clock: ManualClock) -> None:
    store = MemoryStore()
    one, other = settled(clock, Shaky(store)), settled(clock, Shaky(store))
    assert one.judge(one.sight()).word == "fresh"
    assert other.judge(other.sight()).word == "used"


def test_DP_10_every_machine_takes_the_nonces_of_the_others(clock: ManualClock) -> None:
    store, rules = MemoryStore(), ProofRules(nonce_required=True)
    one, other = (Machine(clock, Shaky(store), rules) for _ in range(2))
    clock.advance(3_600)
    nonce = one.judge(one.sight()).nonce
    assert nonce
    assert other.judge(other.sight(nonce=nonce)).word == "fresh"
    stranger = Machine(clock, Shaky(MemoryStore()), rules)
    assert stranger.judge(stranger.sight(nonce=nonce)).word == "nonce"


def test_DP_10_a_nonce_of_yesterday_counts_today_and_none_counts_for_long(clock: ManualClock) -> None:
    clock.advance(86_400 - clock.now_s() % 86_400 + 86_400 - 10)
    machine = Machine(clock, rules=ProofRules(nonce_required=True))
    nonce = machine.judge(machine.sight()).nonce
    clock.advance(20)
    assert machine.judge(machine.sight(nonce=nonce)).word == "fresh"
    clock.advance(NONCE_LIFE_S)
    assert machine.judge(machine.sight(b"other", nonce)).word == "nonce"
    for forged in ("x", "A" * 32, nonce[:-1] + ("A" if nonce[-1] != "A" else "B")):
        assert machine.judge(machine.sight(b"other", forged)).word == "nonce"


def test_a_new_nonce_goes_with_answers_before_the_old_one_ends(clock: ManualClock) -> None:
    machine = Machine(clock, rules=ProofRules(nonce_required=True))
    first = machine.judge(machine.sight()).nonce
    clock.advance(1)
    assert machine.judge(machine.sight(b"a", first)).nonce not in ("", first)
    machine.rules = ProofRules()
    assert machine.judge(machine.sight(b"b", first)).nonce == "", "who needs none, and has one, is told none"
    clock.advance(NONCE_LIFE_S - 10)
    assert machine.judge(machine.sight(b"c", first)).nonce not in ("", first)


def test_F15_what_was_used_before_a_restart_is_not_taken_after_it(clock: ManualClock) -> None:
    """A new process knows nothing of what the last one took: it asks for a nonce, which shows what is new."""
    before = settled(clock)
    ahead = clock.now_s() + LEEWAY_S  # its maker's clock is ahead by as much as is allowed
    used = [before.sight(b"one"), before.sight(b"two", iat=ahead)]
    assert [before.judge(one).word for one in used] == ["fresh", "fresh"]
    clock.advance(0.5)
    after = Machine(clock)
    for moment in range(120):
        words = {after.judge(replace(one, asker=b"thief")).word for one in used}
        assert words == {"nonce"}, moment
        clock.advance(0.5)
    assert after.judge(after.sight(b"three")).word == "fresh"


def test_after_a_restart_a_client_goes_on_with_the_nonce_that_it_is_given(clock: ManualClock) -> None:
    machine = Machine(clock)
    wanted = machine.judge(machine.sight())
    assert (wanted.word, bool(wanted.nonce)) == ("nonce", True)
    assert machine.judge(machine.sight(nonce=wanted.nonce)).word == "fresh"


def test_F18_without_the_store_nothing_is_taken_and_what_comes_after_is_an_epoch_of_its_own(clock: ManualClock) -> None:
    access = Shaky(MemoryStore())
    machine = settled(clock, access)
    kept = machine.sight(b"kept")
    assert machine.judge(kept).word == "fresh"
    access.away = True
    assert machine.judge(machine.sight(b"a")).word == "unknown"
    access.away, access.store = False, MemoryStore()  # a copy that lacks what was marked last
    clock.advance(1)
    old = machine.sight(b"kept elsewhere", iat=clock.now_s() - 2)
    assert machine.judge(old).word == "nonce"
    wanted = machine.judge(machine.sight(b"b"))
    assert wanted.word == "nonce"
    assert machine.judge(machine.sight(b"b", wanted.nonce)).word == "fresh"
    assert machine.judge(replace(kept, asker=b"thief")).word != "fresh"


def test_a_loss_that_somebody_else_noticed_begins_an_epoch_too(clock: ManualClock) -> None:
    machine = settled(clock, Shaky(MemoryStore()))
    machine.desk.lose()
    assert machine.judge(machine.sight()).word == "nonce"
    alone = settled(clock)
    alone.desk.lose()
    assert alone.judge(alone.sight()).word == "fresh", "its memory is its own"


def test_a_clock_that_is_set_back_frees_no_proof(clock: ManualClock) -> None:
    machine = settled(clock)
    shown = machine.sight()
    assert machine.judge(shown).word == "fresh"
    clock.advance(-120)
    assert machine.judge(replace(shown, asker=b"thief")).word == "used"

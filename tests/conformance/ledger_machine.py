"""Several takers of one account whose messages are lost, doubled, late and out of order, whose time runs out, who die.

After each step: what is posted without debt, and what is leased, has grown only by a grant, and a grant kept it within
the limit. In the end: nobody has spent, of units that it had and within their time, more than the limit; all that was
spent is posted; and no unit is leased for ever. Where nothing was lost, what is posted is what was spent.
"""

from itertools import count
from typing import ClassVar, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from jotgate.core.ledger import LeaseAnswer, LeaseAsk
from jotgate.core.quotas import Meter, WindowKind
from tests.conformance.leasing import Stage, metered

TAKERS: Final = 3
HOUR_S: Final = 3_600
DAY_S: Final = 86_400


class Taker:
    """Who has a lease, as it sees that. Mutable: all of this."""

    def __init__(self) -> None:
        self.lease = ""
        self.units = 0
        self.window_s = 0
        self.until_s = 0.0
        self.return_s = 0.0
        self.spent = 0  # of its units
        self.over = 0  # beyond them
        self.asked: LeaseAsk | None = None
        self.asked_s = 0.0
        self.since = 0  # of the units that are to be kept, since it asked


class Leasing(RuleBasedStateMachine):
    """One account of one window at a time."""

    kept: ClassVar[Stage | None] = None
    """A database for all examples, each of which has an account of its own; None: each has a store in memory."""
    window: ClassVar[WindowKind] = "lifetime"
    names: ClassVar["count[int]"] = count()

    def __init__(self) -> None:
        super().__init__()
        self.stage = self.kept or Stage(None)
        clock = self.stage.clock
        clock.s = (clock.s // HOUR_S + 1) * HOUR_S
        self.holder = f"iss {next(self.names)}"
        self.asks = count()
        self.takers = [Taker() for _ in range(TAKERS)]
        self.wire: list[LeaseAsk] = []
        self.amount = self.most = 10
        self.spent: dict[int, int] = {}  # by window, of units that somebody had
        self.over: dict[int, int] = {}  # beyond them, and beyond what else their lease has
        self.stood: dict[int, int] = {}
        self.granting = 0
        self.first_s: dict[tuple[str, str], float] = {}  # when an ask was carried out first
        self.calm = True

    def meter(self) -> Meter:
        """The meter with the limit of now."""
        return metered(self.amount, self.window, holder=self.holder)

    @rule(amount=st.integers(0, 12))
    def change_the_limit(self, amount: int) -> None:
        self.amount = amount
        self.most = max(self.most, amount)

    @rule(span_s=st.sampled_from([0.3, 1.0, 4.0, 9.0]))
    def wait(self, span_s: float) -> None:
        self.stage.clock.s += span_s

    @rule(before_s=st.sampled_from([0.0, 0.5, 3.0]))
    def wait_for_the_end_of_a_minute(self, before_s: float) -> None:
        self.stage.clock.s = max(self.stage.clock.s, (self.stage.clock.s // 60 + 1) * 60 - before_s)
        self.calm = False

    @rule(span_s=st.sampled_from([10.0, 14.9, 15.1, 61.0, 100.0, 4_000.0]))
    def wait_long(self, span_s: float) -> None:
        self.calm = False
        self.stage.clock.s += span_s

    @rule(number=st.integers(0, TAKERS - 1), units=st.integers(1, 4))
    def spend(self, number: int, units: int) -> None:
        taker = self.takers[number]
        if not taker.lease or self.stage.clock.s >= taker.until_s:
            return
        if taker.asked is None:
            units = min(units, taker.units - taker.spent)
            taker.spent += units
        else:
            units = min(units, taker.asked.kept - taker.since)
            taker.since += units
        self.spent[taker.window_s] = self.spent.get(taker.window_s, 0) + units

    @rule(number=st.integers(0, TAKERS - 1), units=st.integers(1, 4))
    def use_more_than_was_reserved(self, number: int, units: int) -> None:
        taker = self.takers[number]
        if taker.lease and taker.asked is None and taker.spent:
            taker.over += units
            self.over[taker.window_s] = self.over.get(taker.window_s, 0) + units

    @rule(number=st.integers(0, TAKERS - 1), want=st.integers(0, 8), least=st.integers(0, 3), kept=st.integers(0, 8))
    def ask(self, number: int, want: int, least: int, kept: int) -> None:
        taker = self.takers[number]
        if taker.asked is not None:
            self.wire.append(taker.asked)  # once more
            return
        name = f"{self.holder} {next(self.asks)}"
        ask = LeaseAsk(name, self.meter(), want, min(least, want))
        self.send(taker, ask, min(kept, taker.units - taker.spent))

    @rule(number=st.integers(0, TAKERS - 1))
    def give_back(self, number: int) -> None:
        taker = self.takers[number]
        if taker.lease and taker.asked is None:
            self.send(taker, LeaseAsk("", self.meter()), 0)

    def send(self, taker: Taker, ask: LeaseAsk, kept: int) -> None:
        if taker.lease:
            ask = replace(ask, previous=taker.lease, spent=taker.spent + taker.over, kept=kept)
            # What was used beyond a reservation is no debt as far as the taker's own lease covers it.
            covered = min(taker.over, taker.units - taker.spent - kept)
            self.spent[taker.window_s] = self.spent.get(taker.window_s, 0) + covered
            self.over[taker.window_s] = self.over.get(taker.window_s, 0) - covered
        taker.asked, taker.asked_s, taker.since = ask, self.stage.clock.s, 0
        self.wire.append(ask)

    @precondition(lambda self: self.wire)
    @rule(
        places=st.lists(st.integers(0, 20), min_size=1, max_size=4),
        again=st.sampled_from(["no", "later"]),
        heard=st.booleans(),
    )
    def deliver(self, places: list[int], again: str, heard: bool) -> None:
        """Messages reach the store in any order, and may come again; their answers may be lost."""
        asks = [self.wire[place % len(self.wire)] for place in places]
        if again == "no":
            self.wire = [ask for ask in self.wire if ask not in asks]
        self.carry_out(asks, heard=heard)

    def carry_out(self, asks: list[LeaseAsk], *, heard: bool = True) -> None:
        self.granting = max(ask.meter.quota.limit.amount for ask in asks)
        answers = self.stage.store.turn(asks)
        for ask, answer in zip(asks, answers, strict=True):
            self.first_s.setdefault((ask.previous, ask.lease_id), self.stage.clock.s)
            assert answer.lease_id == ask.lease_id
            self.stood.setdefault(answer.window_s, 0)
            taker = next((one for one in self.takers if one.asked is ask), None)
            if heard and taker is not None:
                self.hear(taker, ask, answer)

    def hear(self, taker: Taker, ask: LeaseAsk, answer: LeaseAnswer) -> None:
        self.calm = self.calm and not answer.lost
        in_time = self.first_s[ask.previous, ask.lease_id] < taker.return_s
        assert not (answer.lost and in_time and taker.window_s == answer.window_s), "it was its own until then"
        taker.asked = None
        since = 0 if answer.lost else taker.since
        assert answer.lost or not ask.lease_id or answer.units >= ask.kept, "what is kept goes on"
        taker.lease = ask.lease_id if answer.units else ""
        taker.units, taker.spent, taker.over = answer.units, since, 0
        taker.until_s = taker.asked_s + answer.spend_s
        taker.return_s = taker.asked_s + answer.return_s
        taker.window_s = answer.window_s

    @rule(number=st.integers(0, TAKERS - 1))
    def die(self, number: int) -> None:
        self.calm = False
        self.takers[number] = Taker()

    @rule()
    def tidy(self) -> None:
        self.expire()
        self.stage.store.drop_leases(1_000)
        if self.stage.store.drop_windows(1_000):
            ended_s = self.stage.clock.s - DAY_S
            self.stood = {start: stands for start, stands in self.stood.items() if not start or start > ended_s}

    def expire(self) -> None:
        while self.stage.store.expire_leases(1_000):
            pass

    @invariant()
    def nothing_is_granted_beyond_the_limit(self) -> None:
        for window_s, before in self.stood.items():
            found = self.look(window_s)
            posted, leased, debt = found
            stands = posted - debt + leased
            assert min(posted, leased, debt) >= 0
            assert stands <= max(before, self.granting)
            assert posted + leased >= self.spent.get(window_s, 0), "what was spent is posted or leased"
            assert debt <= self.over.get(window_s, 0), "nobody owes what nobody used"
            self.stood[window_s] = stands
        self.granting = 0

    @invariant()
    def nobody_has_spent_beyond_the_limit(self) -> None:
        assert all(spent <= self.most for spent in self.spent.values())

    def look(self, window_s: int) -> tuple[int, int, int]:
        """What is posted, leased and owed in a window, which may be over."""
        clock = self.stage.clock
        now_s, clock.s = clock.s, float(window_s) if window_s else clock.s
        (found,) = self.stage.store.balances([self.meter()])
        clock.s = now_s
        return found.posted, found.leased, found.debt

    def teardown(self) -> None:
        if self.calm:
            self.end_in_peace()
        self.stage.clock.s += 20
        self.expire()
        for window_s in self.stood:
            posted, leased, debt = self.look(window_s)
            spent, over = self.spent.get(window_s, 0), self.over.get(window_s, 0)
            assert leased == 0
            assert posted - debt >= spent
            if self.calm:
                assert (posted, debt) == (spent + over, over)

    def end_in_peace(self) -> None:
        """Everybody hears what it asked for, and gives back what it has."""
        for _ in range(2):
            for taker in self.takers:
                if taker.lease and taker.asked is None:
                    self.send(taker, LeaseAsk("", self.meter()), 0)
                if taker.asked is not None:
                    self.carry_out([taker.asked])


class LeasingByMinutes(Leasing):
    """The same with windows that end."""

    window: ClassVar[WindowKind] = "minute"

"""Breakers and choices of upstreams through random lives."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jotgate.core.attempts import Condition, choose, rest_s
from jotgate.core.breakers import CLOSED, BreakerRules, begin, fail, hold, permits, recover, release, succeed
from jotgate.core.routes import Attempt

_CONDITIONS: list[Condition] = ["free", "full", "resting", "crowded", "suspended"]


class BreakerLife(RuleBasedStateMachine):
    """Calls come, succeed, fail or end without a word, while time passes; beside it a count kept in plain words."""

    def __init__(self) -> None:
        super().__init__()
        self.rules_now = BreakerRules(failures=3, open_s=10.0)
        self.breaker = CLOSED
        self.now_s = 0.0
        self.in_a_row = 0
        self.opened_s: float | None = None
        self.tried_s: float | None = None

    @rule(span_s=st.floats(0, 25))
    def wait(self, span_s: float) -> None:
        self.now_s += span_s

    @precondition(lambda self: permits(self.breaker, self.now_s))
    @rule()
    def call(self) -> None:
        if self.breaker.state != "closed":
            assert self.opened_s is not None
            assert self.now_s >= self.opened_s + self.rules_now.open_s, "a trial before its time"
            assert self.tried_s is None or self.now_s >= self.tried_s + self.rules_now.open_s, "two trials at once"
            self.tried_s = self.now_s
        self.breaker = begin(self.breaker, self.rules_now, self.now_s)

    @rule()
    def answered(self) -> None:
        before = self.breaker.state
        self.breaker = succeed(self.breaker)
        if before != "open":
            self.in_a_row, self.opened_s, self.tried_s = 0, None, None

    @rule()
    def failed(self) -> None:
        before = self.breaker.state
        self.breaker = fail(self.breaker, self.rules_now, self.now_s)
        self.in_a_row += 1
        if before != "open" and self.breaker.state == "open":
            self.opened_s, self.tried_s = self.now_s, None

    @rule()
    def checked_well(self) -> None:
        before = self.breaker
        self.breaker = recover(before, self.now_s)
        early = self.breaker.state != "closed" or before.state == "closed"
        assert early or permits(release(before), self.now_s), "a check closed it before its time"
        assert not self.breaker.held
        if before.state != "closed" and self.breaker.state == "closed":
            self.in_a_row, self.opened_s, self.tried_s = 0, None, None

    @rule()
    def checked_ill(self) -> None:
        before = self.breaker.state
        self.breaker = hold(self.breaker, self.rules_now, self.now_s)
        self.in_a_row += 1
        if before != "open" and self.breaker.state == "open":
            self.opened_s, self.tried_s = self.now_s, None
        assert self.breaker.held == (self.breaker.state == "open")

    @invariant()
    def it_is_open_if_and_only_if_enough_failed_in_a_row(self) -> None:
        assert (self.breaker.state == "closed") == (self.opened_s is None)
        if self.breaker.state == "closed":
            assert self.breaker.failures == self.in_a_row < self.rules_now.failures

    @invariant()
    def nothing_but_a_failed_check_shuts_an_upstream_out_for_good(self) -> None:
        assert permits(self.breaker, self.now_s + self.rules_now.open_s) != self.breaker.held


TestBreakerLife = BreakerLife.TestCase


@given(
    st.lists(st.tuples(st.integers(0, 100), st.sampled_from(_CONDITIONS), st.booleans()), min_size=1, max_size=8),
    st.integers(0, 2**40),
)
def test_a_choice_is_able_untried_and_the_best_there_is(rows: list[tuple[int, Condition, bool]], turn: int) -> None:
    attempts = [Attempt(f"u{index}", "m", weight) for index, (weight, _, _) in enumerate(rows)]
    conditions = [condition for _, condition, _ in rows]
    tried = sum(1 << index for index, (_, _, done) in enumerate(rows) if done)
    index = choose(attempts, conditions, tried, turn)
    left = [condition for _, condition, done in rows if not done]
    if index is None:
        assert set(left) <= {"crowded", "suspended"}
        return
    assert not tried >> index & 1
    assert conditions[index] == min(left, key=_CONDITIONS.index)
    if not attempts[index].weight:  # Nobody of the first tier could have taken it.
        assert all(not weight for weight, condition, done in rows if condition == conditions[index] and not done)


@given(st.lists(st.integers(1, 100), min_size=2, max_size=6), st.integers(0, 2**48), st.integers(1, 600))
def test_over_any_run_of_calls_each_gets_its_share(weights: list[int], start: int, count: int) -> None:
    attempts = [Attempt(f"u{index}", "m", weight) for index, weight in enumerate(weights)]
    found = [choose(attempts, ["free"] * len(weights), 0, turn) for turn in range(start, start + count)]
    for index, weight in enumerate(weights):
        share = count * weight / sum(weights)
        assert abs(found.count(index) - share) <= 5, "further from its share than a handful of calls"


@given(st.binary(max_size=60), st.floats(0, 4e9))
def test_whatever_an_upstream_writes_it_rests_for_at_most_a_minute(field: bytes, now_s: float) -> None:
    assert 0.0 <= rest_s(field, now_s) <= 60.0

"""What a step has used is the sum of its tries: as its upstreams say, else what bounds it, up to what is reserved."""

from typing import Final

from jotgate.core.chain_answers import EventReader
from jotgate.core.chain_asks import StepBody
from jotgate.core.chain_bounds import StepBudget
from jotgate.core.quotas import Price
from jotgate.core.routes import Attempt
from jotgate.core.sse import UNKNOWN, Usage
from jotgate.upstreams.chain_tally import StepTally

_AT: Final = Attempt("one", "m", price=Price(1_000_000, 5_000_000))
_BODY: Final = StepBody(b"x" * 100, 50, streams=True)
_BUDGET: Final = StepBudget(ask_in=80, repair_in=15, ask_out=30, most_in=200, most_out=100)


def test_a_step_that_nobody_has_seen_has_used_nothing() -> None:
    tally = StepTally(None)
    assert (tally.seen, tally.tokens_in, tally.tokens_out, tally.cost) == (False, 0, 0, 0)


def test_tries_add_up_and_one_of_which_nothing_is_told_counts_for_what_bounds_it() -> None:
    tally = StepTally(None)
    tally.count(_AT, _BODY, Usage(10, 4), 7)
    assert (tally.tokens_in, tally.tokens_out, tally.cost, tally.estimated) == (10, 4, 30_000, False)
    tally.count(_AT, _BODY, UNKNOWN, 7)
    assert (tally.tokens_in, tally.tokens_out, tally.estimated) == (110, 11, True)
    tally.count_lost(_AT, _BODY, None, 0)
    assert (tally.tokens_in, tally.tokens_out) == (210, 61)


def test_a_try_without_a_price_leaves_the_sum_without_one() -> None:
    tally = StepTally(None)
    tally.count(Attempt("two", "m"), _BODY, Usage(10, 4), 7)
    tally.count(_AT, _BODY, Usage(10, 4), 7)
    assert tally.cost is None


def test_what_is_estimated_is_no_more_than_what_was_reserved_for_it() -> None:
    tally = StepTally(_BUDGET)
    tally.count_lost(_AT, _BODY, None, 0)
    assert (tally.tokens_in, tally.tokens_out) == (80, 30)
    tally.repairs = True
    tally.count_lost(_AT, _BODY, EventReader(), 0)
    assert (tally.tokens_in, tally.tokens_out) == (80 + 95, 30 + 50 // 8)
    tally.count_lost(_AT, _BODY, EventReader(), 40)
    assert tally.tokens_out == 30 + 6 + 46, "what was passed on has been reserved as it came"


def test_what_an_upstream_says_is_charged_whatever_was_reserved() -> None:
    tally = StepTally(_BUDGET)
    tally.count(_AT, _BODY, Usage(900, 800), 7)
    assert (tally.tokens_in, tally.tokens_out, tally.affords(repair=False)) == (900, 800, False)


def test_a_step_is_asked_again_within_its_budget_and_without_one_always() -> None:
    free, met = StepTally(None), StepTally(_BUDGET)
    for tally in (free, met):
        tally.count(_AT, _BODY, Usage(110, 70), 0)
    assert (met.affords(repair=False), met.affords(repair=True)) == (True, False)
    for tally in (free, met):
        tally.count(_AT, _BODY, Usage(11, 1), 0)
    assert (free.affords(repair=True), met.affords(repair=False)) == (True, False)

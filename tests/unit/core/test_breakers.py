"""The circuit breaker of an upstream, step by step; tests/property runs it through random lives."""

from jotgate.core.breakers import CLOSED, Breaker, BreakerRules, begin, fail, hold, permits, recover, release, succeed

_RULES = BreakerRules(failures=3, open_s=10.0)


def opened(at_s: float = 100.0) -> Breaker:
    """A breaker that has opened at this time."""
    breaker = CLOSED
    for _ in range(_RULES.failures):
        breaker = fail(breaker, _RULES, at_s)
    return breaker


def test_it_opens_after_failures_in_a_row_and_not_before() -> None:
    breaker = fail(fail(CLOSED, _RULES, 100.0), _RULES, 100.0)
    assert permits(breaker, 100.0)
    breaker = fail(breaker, _RULES, 100.0)
    assert (breaker.state, breaker.until_s) == ("open", 110.0)
    assert not permits(breaker, 109.9)
    assert permits(breaker, 110.0)


def test_a_success_between_failures_forgives_them() -> None:
    breaker = succeed(fail(fail(CLOSED, _RULES, 0.0), _RULES, 0.0))
    assert breaker == CLOSED
    assert fail(breaker, _RULES, 0.0).failures == 1


def test_one_call_tries_and_the_next_waits_for_what_it_shows() -> None:
    trial = begin(opened(), _RULES, 110.0)
    assert trial.state == "trial"
    assert not permits(trial, 110.0)
    assert succeed(trial) == CLOSED
    assert fail(trial, _RULES, 112.0) == Breaker("open", until_s=122.0)


def test_a_trial_that_shows_nothing_is_followed_by_another() -> None:
    trial = begin(opened(), _RULES, 110.0)
    assert not permits(trial, 119.9)
    assert begin(trial, _RULES, 120.0) == Breaker("trial", until_s=130.0)


def test_while_open_late_results_of_older_calls_change_nothing() -> None:
    breaker = opened()
    assert succeed(breaker) == breaker
    assert fail(breaker, _RULES, 105.0) == breaker


def test_a_good_check_stands_for_a_trial_and_forgives_no_calls() -> None:
    breaker = opened()
    assert recover(breaker, 109.9) == breaker
    assert recover(breaker, 110.0) == CLOSED
    failing = fail(CLOSED, _RULES, 0.0)
    assert recover(failing, 10.0) == failing


def test_no_call_tries_what_fails_its_checks() -> None:
    breaker = hold(opened(), _RULES, 105.0)
    assert not permits(breaker, 1_000.0)
    assert recover(breaker, 110.0) == CLOSED
    early = recover(breaker, 109.0)
    assert (early.state, permits(early, 109.9), permits(early, 110.0)) == ("open", False, True)
    assert permits(release(breaker), 110.0)


def test_a_failed_check_counts_like_a_call_and_ends_a_trial() -> None:
    assert hold(CLOSED, _RULES, 0.0) == Breaker(failures=1)
    trial = hold(begin(opened(), _RULES, 110.0), _RULES, 111.0)
    assert (trial.state, trial.until_s, permits(trial, 1_000.0)) == ("open", 121.0, False)


def test_without_a_number_of_failures_it_never_opens() -> None:
    never = BreakerRules(failures=0)
    breaker = CLOSED
    for _ in range(100):
        breaker = fail(breaker, never, 0.0)
    assert breaker == CLOSED

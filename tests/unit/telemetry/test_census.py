"""Control's picture of the figures: sums outlive workers, gauges do not."""

from jotgate.core.figures import Counts, Gauges
from jotgate.telemetry.census import Census
from jotgate.testing.ports import ManualClock


def counts(hits: int) -> Counts:
    """Figures that can be told apart by one number."""
    return Counts(cache_hits=hits)


def test_a_sum_does_not_go_down_when_a_worker_is_replaced() -> None:
    census = Census(ManualClock())
    census.greeted(0, "a")
    census.took("a", counts(5), Gauges())
    census.left("a")
    assert (census.counts().cache_hits, census.gauges()) == (5, {})
    census.greeted(0, "b")
    census.took("b", counts(2), Gauges())
    assert (census.counts().cache_hits, census.restarts) == (7, {0: 1})


def test_a_worker_that_comes_back_is_counted_once_and_is_no_restart() -> None:
    census = Census(ManualClock())
    census.greeted(0, "a")
    census.took("a", counts(5), Gauges())
    census.left("a")
    census.greeted(0, "a")
    census.took("a", counts(6), Gauges())
    assert (census.counts().cache_hits, census.restarts) == (6, {0: 0})


def test_the_counts_of_many_that_are_gone_are_kept_and_their_names_are_not() -> None:
    census = Census(ManualClock())
    for number in range(1_000):
        census.greeted(0, str(number))
        census.took(str(number), counts(1), Gauges())
        census.left(str(number))
    assert (census.counts().cache_hits, census.restarts) == (1_000, {0: 999})
    assert len(census._workers) <= 65


def test_the_silence_of_control_grows_while_a_worker_says_nothing() -> None:
    clock = ManualClock()
    census = Census(clock)
    census.greeted(3, "a")
    census.took("a", counts(0), Gauges(control_age_s=1.0))
    clock.advance(2.5)
    assert census.gauges()[3].control_age_s == 3.5


def test_a_worker_that_drains_and_its_successor_are_one_place() -> None:
    census = Census(ManualClock())
    for name, live in (("a", 2), ("b", 3)):
        census.greeted(0, name)
        census.took(name, counts(live), Gauges(live_calls=live, audit_rows=live, snapshot=live, block_s=live / 10))
    assert census.gauges() == {0: Gauges(live_calls=5, audit_rows=5, snapshot=2, block_s=0.3)}


def test_figures_of_somebody_unknown_count_for_nothing() -> None:
    census = Census(ManualClock())
    census.took("a", counts(5), Gauges())
    census.left("a")
    assert census.counts() == Counts()

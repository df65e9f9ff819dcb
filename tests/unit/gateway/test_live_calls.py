"""Running calls are found by what can end them, and at the moment in which they end."""

from math import inf

import pytest

from jotgate.gateway.live_calls import TICKS_PER_S, UNWATCHED, Life, LiveCalls

NOW_S = 1_800_000_000.0
TICK_S = 1 / TICKS_PER_S


@pytest.fixture
def index() -> LiveCalls[str]:
    found: LiveCalls[str] = LiveCalls()
    found.take_ending(NOW_S)
    return found


def test_calls_are_found_by_each_of_their_names_and_by_no_other(index: LiveCalls[str]) -> None:
    index.add("one", Life(("token a", "client c", ("key", "us", "k"))))
    index.add("two", Life(("token b", "client c")))
    assert list(index.named("client c")) == ["one", "two"]
    assert list(index.named("token a")) == list(index.named(("key", "us", "k"))) == ["one"]
    assert list(index.named("token c")) == []


def test_what_has_left_is_found_no_more_and_leaves_nothing_behind(index: LiveCalls[str]) -> None:
    life = Life(("token a", "client c", "client c"), NOW_S + 10)
    first = index.add("one", life)
    second = index.add("two", life)
    index.remove("one", first)
    assert list(index.named("client c")) == list(index.named("token a")) == ["two"]
    index.remove("two", second)
    index.remove("two", second)
    index.remove("three", UNWATCHED)
    assert list(index.named("client c")) == index.take_ending(NOW_S + 20) == []
    assert all(not getattr(index, kept) for kept in ("_by_name", "_by_tick"))


def test_what_ends_is_told_once_in_the_order_of_its_ends(index: LiveCalls[str]) -> None:
    for name, ends_s in (("late", NOW_S + 3), ("soon", NOW_S + 1), ("too", NOW_S + 1.1), ("never", inf)):
        index.add(name, Life((f"token {name}",), ends_s))
    assert index.take_ending(NOW_S + 0.9) == []
    assert index.take_ending(NOW_S + 1) == ["soon"]
    assert index.take_ending(NOW_S + 1 + TICK_S) == ["too"]
    assert index.take_ending(NOW_S + 1_000_000) == ["late"], "the clock may jump"
    assert index.take_ending(NOW_S + 2_000_000) == []
    assert list(index.named("token soon")) == ["soon"], "it is the caller's to take it out"


def test_what_has_ended_already_is_told_at_the_next_tick(index: LiveCalls[str]) -> None:
    index.add("one", Life(("token a",), NOW_S - 100))
    assert index.take_ending(NOW_S) == []
    assert index.take_ending(NOW_S + TICK_S) == ["one"]


def test_a_clock_that_goes_back_loses_nothing(index: LiveCalls[str]) -> None:
    index.add("before", Life(("token a",), NOW_S + 5))
    assert index.take_ending(NOW_S - 1_000) == []
    index.add("after", Life(("token b",), NOW_S - 500))
    assert index.take_ending(NOW_S - 500) == ["after"]
    assert index.take_ending(NOW_S + 5) == ["before"]

"""The index of running calls says what going through all of them would say, whatever comes, goes and ends."""

from math import ceil, floor, inf

from hypothesis import given
from hypothesis import strategies as st

from jotgate.gateway.live_calls import TICKS_PER_S, Life, LiveCalls, Watch

NOW_S = 1_800_000_000
NAMES = ("token a", "token b", "client c", "key i k", ("tenant", "t"))
CALLS = tuple(f"call {number}" for number in range(6))  # a call is known by its identity
lives = st.builds(
    Life,
    st.lists(st.sampled_from(NAMES), max_size=4).map(tuple),
    st.one_of(st.just(inf), st.floats(NOW_S - 3, NOW_S + 12)),
)
deeds = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 5), lives),
    st.tuples(st.just("remove"), st.integers(0, 5), st.none()),
    st.tuples(st.just("end"), st.floats(-2, 6), st.none()),
)


@given(st.lists(deeds, max_size=30))
def test_the_index_finds_what_a_search_would_find(done: list[tuple[str, float, Life | None]]) -> None:
    index: LiveCalls[str] = LiveCalls()
    index.take_ending(NOW_S)
    asked = NOW_S * TICKS_PER_S
    clock_s = float(NOW_S)
    known: dict[str, tuple[Life, Watch]] = {}
    due: dict[str, int] = {}
    for deed, value, life in done:
        if deed == "end":
            clock_s += value  # It may go back too.
            tick = floor(clock_s * TICKS_PER_S)
            ending = {one for one, moment in due.items() if moment <= tick}
            if tick > asked:
                assert set(index.take_ending(clock_s)) == ending
                due = {one: moment for one, moment in due.items() if one not in ending}
            else:
                assert index.take_ending(clock_s) == []
            asked = tick
            continue
        one = CALLS[int(value)]
        if one in known:
            index.remove(one, known.pop(one)[1])
            due.pop(one, None)
        if life is not None:
            known[one] = (life, index.add(one, life))
            if life.ends_s != inf:
                due[one] = max(ceil(life.ends_s * TICKS_PER_S), asked + 1)
        for name in NAMES:
            assert set(index.named(name)) == {each for each, (has, _) in known.items() if name in has.names}
    for one, (_, watch) in known.items():
        index.remove(one, watch)
    assert not any(index.named(name) for name in NAMES)
    assert index.take_ending(NOW_S * 2) == []

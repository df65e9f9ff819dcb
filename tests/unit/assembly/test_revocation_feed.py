"""What was revoked is read whole, then followed in order; a look that fails leaves it as old as it is."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from jotgate.assembly.keys import OpenKeys
from jotgate.assembly.revocation_feed import RevocationFeed
from jotgate.core.durable import Revocation, RevocationKind, Versions
from jotgate.core.revocations import Entry
from jotgate.errors import StoreUnavailable
from jotgate.services.revocation import PAGE, load_revocations
from jotgate.stores.access import DirectAccess
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock


class Flaky(MemoryStore):
    """A store that can be out of reach, be put back to what it was, or take its time."""

    away = False
    takes: Callable[[], None] = staticmethod(lambda: None)

    def versions(self) -> Versions:
        if self.away:
            raise StoreUnavailable("it is away")
        self.takes()
        return super().versions()

    def restore(self) -> None:
        """As from a backup that was made before anything was revoked."""
        self._rows.revocations = {}
        self._rows.revocations_number = 0


class Bench:
    """A feed, and what it has told."""

    def __init__(self, already: int = 0) -> None:
        self.store = Flaky()
        self.clock = ManualClock()
        self.told: list[Entry] = []
        self.most = 0
        self.revoke(*(f"old-{number}" for number in range(already)))
        self.feed = RevocationFeed(DirectAccess(self.store), self.clock, load_revocations(self.store))
        self.feed.begin(self.hear)

    def revoke(self, *handles: str, expires_at_s: int | None = None) -> None:
        self.store.revoke([Revocation(RevocationKind.TOKEN, handle, 1, expires_at_s) for handle in handles])

    def hear(self, entries: list[Entry]) -> None:
        self.told += entries
        self.most = max(self.most, len(entries))

    def look(self) -> None:
        asyncio.run(self.feed.look())


def test_what_is_there_is_loaded_and_only_what_is_new_is_told() -> None:
    bench = Bench(already=3)
    assert len(bench.feed.revoked) == 3
    bench.look()
    assert bench.told == []
    bench.revoke("new")
    bench.look()
    bench.look()
    assert bench.told == [Entry("token new", None)]


def test_many_are_told_in_frames_of_bounded_size_and_all_of_them() -> None:
    bench = Bench()
    bench.store.revoke([Revocation(RevocationKind.TOKEN, "one", 1)])
    rows = [Revocation(RevocationKind.TOKEN, f"t-{number}", 1, number=number) for number in range(2, 2 * PAGE + 7)]
    bench.store._rows.revocations |= {row.number: row for row in rows}
    bench.store._rows.revocations_number = rows[-1].number
    bench.look()
    assert len(bench.told) == len(rows) + 1
    assert bench.most == PAGE
    assert len(load_revocations(bench.store)) == len(rows) + 1


def test_rows_that_ended_before_they_were_read_are_not_waited_for() -> None:
    bench = Bench()
    bench.revoke("gone", expires_at_s=5)
    assert bench.store.drop_revocations(10, 100) == 1
    bench.look()
    assert bench.feed.revoked.cursor == bench.store.versions().revocations == 1


def test_a_store_that_is_away_leaves_the_set_as_old_as_it_is() -> None:
    bench = Bench()
    bench.clock.advance(5)
    assert bench.feed.age_s == 5
    bench.store.away = True
    with pytest.raises(StoreUnavailable):
        bench.look()
    assert bench.feed.age_s == 5
    bench.store.away = False
    bench.look()
    assert bench.feed.age_s == 0


def test_a_store_that_was_restored_is_read_anew_and_nothing_is_unrevoked() -> None:
    bench = Bench(already=3)
    bench.store.restore()
    bench.revoke("since")
    bench.look()
    assert bench.told == [Entry("token since", None)]
    assert len(bench.feed.revoked) == 4


def test_a_store_that_lost_its_last_rows_and_went_on_hides_nothing_of_what_came_since() -> None:
    """As after a fail-over to a standby that was behind: the same numbers again, and more."""
    bench = Bench()
    bench.revoke("kept", "lost-1", "lost-2", expires_at_s=9_000_000_000)
    bench.look()
    for number in (2, 3):
        del bench.store._rows.revocations[number]
    bench.store._rows.revocations_number = 1
    bench.revoke("new-1", "new-2", "new-3", expires_at_s=9_000_000_000)
    bench.told.clear()
    bench.look()
    assert {entry.name for entry in bench.told} >= {"token new-1", "token new-2", "token new-3"}
    assert len(bench.feed.revoked) == 6, "what was lost is revoked still where it was known"
    bench.told.clear()
    bench.look()
    assert bench.told == [], "once is enough"


def test_as_many_rows_as_before_that_are_others_are_read_too() -> None:
    bench = Bench(already=2)
    bench.store.restore()
    bench.revoke("new-1", "new-2")
    bench.look()
    assert not bench.feed.revoked.spares(("token new-1",))


def test_a_last_row_that_has_ended_and_was_dropped_is_no_other_history() -> None:
    bench = Bench()
    bench.revoke("first")
    ends_at_s = int(bench.clock.now_s()) + 60
    bench.revoke("mine", expires_at_s=ends_at_s)
    bench.look()
    bench.clock.advance(300)
    assert bench.store.drop_revocations(ends_at_s, 9) == 1
    bench.told.clear()
    bench.revoke("next")
    bench.look()
    assert [entry.name for entry in bench.told] == ["token next"]


def test_what_is_known_is_as_old_as_the_beginning_of_the_look() -> None:
    """What was revoked while the store took its time may be missing from its answer."""
    bench = Bench()
    bench.store.takes = lambda: bench.clock.advance(7)
    bench.look()
    assert bench.feed.age_s == 7


def test_a_clock_that_was_ahead_for_a_while_lets_nothing_count_again() -> None:
    bench = Bench()
    ends_at_s = int(bench.clock.now_s()) + 60
    bench.revoke("mine", expires_at_s=ends_at_s)
    bench.look()
    ahead = ManualClock(bench.clock.now_s() + 86_400)
    right, bench.feed._clock = bench.feed._clock, ahead
    bench.look()
    assert bench.feed.revoked.spares(("token mine",)), "it has ended, for all that the clock says"
    bench.feed._clock = right
    bench.told.clear()
    bench.look()
    assert not bench.feed.revoked.spares(("token mine",))
    assert [entry.name for entry in bench.told] == ["token mine"], "workers are told again"


@pytest.mark.parametrize("oldest", ["feed", "revocations", "accounts", "limits"])
def test_control_is_as_old_as_the_oldest_of_what_it_follows(oldest: str) -> None:
    class Aged(NamedTuple):
        age_s: float

    parts: dict[str, Any] = {
        name: Aged(61.5 if name == oldest else 0.1) for name in ("feed", "revocations", "accounts", "limits")
    }
    nothing: Any = None
    assert OpenKeys(authority=nothing, access=nothing, **parts).age_s == 61.5


def test_what_counts_from_a_time_to_come_is_told_then_also_after_control_was_started_anew() -> None:
    bench = Bench()
    at_s = int(bench.clock.now_s()) + 10
    bench.store.revoke([Revocation(RevocationKind.TOKEN, "old", at_s)])
    bench.look()
    anew = RevocationFeed(DirectAccess(bench.store), bench.clock, load_revocations(bench.store, bench.clock.now_s()))
    later: list[Entry] = []
    anew.begin(later.extend)
    asyncio.run(anew.look())
    assert bench.told == later == []
    bench.clock.advance(10)
    bench.look()
    asyncio.run(anew.look())
    assert bench.told == later == [Entry("token old", None)]

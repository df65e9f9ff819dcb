"""Changes of accounts are told in order, each once; who was away is told what it missed, or to let go of everything."""

import asyncio
from collections.abc import Sequence

import pytest

from jotgate.assembly.account_feed import PAGE, AccountFeed
from jotgate.core.accounts import AccountChange, PrincipalRecord
from jotgate.core.durable import Versions
from jotgate.core.personal_tokens import AccountNews
from jotgate.errors import StoreUnavailable
from jotgate.stores.access import DirectAccess
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock


class Flaky(MemoryStore):
    """A store that can be out of reach, or be put back to what it was."""

    away = False

    def versions(self) -> Versions:
        if self.away:
            raise StoreUnavailable("it is away")
        return super().versions()

    def accounts_after(self, version: int, limit: int) -> Sequence[AccountChange]:
        if self.away:
            raise StoreUnavailable("it is away")
        return super().accounts_after(version, limit)

    def restore(self) -> None:
        """As from a backup that was made before there was any account."""
        self._rows.accounts.clear()
        self._rows.account_changes.clear()
        self._rows.accounts_version = 0


class Bench:
    """A feed, and what it has told."""

    def __init__(self) -> None:
        self.store = Flaky()
        self.clock = ManualClock()
        self.told: list[AccountNews] = []
        self.add("before")
        self.feed = AccountFeed(DirectAccess(self.store), self.clock, self.store.versions().accounts)
        self.feed.begin(self.told.append)

    def add(self, *names: str) -> None:
        """Put new principals."""
        for name in names:
            self.store.put_account(PrincipalRecord(name=name))

    def look(self) -> None:
        asyncio.run(self.feed.look())

    def since(self, version: int) -> AccountNews:
        return asyncio.run(self.feed.since(version))

    @property
    def names(self) -> list[str]:
        """Of whom was told."""
        return [change.name for news in self.told for change in news.changes]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_what_is_new_is_told_once_and_in_order(bench: Bench) -> None:
    bench.look()
    assert bench.told == []
    bench.add("a", "b")
    bench.look()
    bench.look()
    assert bench.names == ["a", "b"]
    assert bench.told[-1].version == bench.feed.version == bench.store.versions().accounts


def test_many_changes_come_in_pages(bench: Bench) -> None:
    names = [f"p{number}" for number in range(PAGE + 5)]
    bench.add(*names)
    bench.look()
    assert [len(news.changes) for news in bench.told] == [PAGE, 5]
    assert bench.names == names


def test_a_change_between_two_questions_is_not_lost(bench: Bench) -> None:
    """One that comes after the version was read is told then or by the next look, and never passed over."""
    bench.add("a")
    original = bench.store.versions

    def late() -> Versions:
        found = original()
        bench.add("b")
        bench.store.versions = original  # type: ignore[method-assign]
        return found

    bench.store.versions = late  # type: ignore[method-assign]
    bench.look()
    bench.look()
    assert set(bench.names) == {"a", "b"}
    assert bench.feed.version == bench.store.versions().accounts


def test_a_look_that_fails_leaves_it_as_old_as_it_is(bench: Bench) -> None:
    bench.store.away = True
    bench.clock.advance(3)
    with pytest.raises(StoreUnavailable):
        bench.look()
    assert bench.feed.age_s == 3
    bench.store.away = False
    bench.look()
    assert bench.feed.age_s == 0


def test_a_store_that_was_put_back_makes_everybody_let_go_of_everything(bench: Bench) -> None:
    bench.store.restore()
    bench.look()
    assert [(news.version, news.everything) for news in bench.told] == [(0, True)]
    bench.add("a")
    bench.look()
    assert bench.names == ["a"]


def test_who_holds_nothing_is_told_the_version_alone(bench: Bench) -> None:
    assert bench.since(-1) == AccountNews(bench.feed.version)


def test_who_was_away_is_told_what_it_missed(bench: Bench) -> None:
    seen = bench.feed.version
    bench.add("a", "b")
    found = bench.since(seen)
    assert [change.name for change in found.changes] == ["a", "b"]
    assert found.version == bench.store.versions().accounts
    assert not found.everything


def test_who_missed_too_much_or_cannot_be_told_lets_go_of_everything(bench: Bench) -> None:
    seen = bench.feed.version
    bench.add(*(f"p{number}" for number in range(PAGE)))
    assert bench.since(seen).everything
    assert bench.since(seen + 5_000).everything, "its control knew a store that this one does not know"
    bench.store.away = True
    assert bench.since(seen).everything


def test_what_was_revoked_with_a_change_is_told_before_it() -> None:
    bench = Bench()
    order: list[str] = []

    async def look_at_revocations() -> None:
        order.append("revocations")

    bench.feed.begin(lambda news: order.append(f"accounts {news.version}"), before=look_at_revocations)
    bench.look()
    assert order == []
    bench.add("ann")
    bench.look()
    assert order == ["revocations", f"accounts {bench.store.versions().accounts}"]

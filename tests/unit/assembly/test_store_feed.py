"""What control knows of the store: followed by versions, put into effect, and as old as its last good look."""

import asyncio
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from jotgate.assembly.store_feed import StoreFeed, read_picture
from jotgate.core.durable import DamagedKey, IssuerRecord, KeyRecord, KeyRing, KeyState, Versions
from jotgate.core.policy_values import PolicyRecord
from jotgate.errors import StoreUnavailable
from jotgate.stores.access import DirectAccess
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock


class Flaky(MemoryStore):
    """A store that can be out of reach."""

    away = False
    damaged: tuple[DamagedKey, ...] = ()

    def key_ring(self) -> KeyRing:
        ring = super().key_ring()
        kids = {key.kid for key in self.damaged}
        return KeyRing(ring.version, tuple(key for key in ring.keys if key.kid not in kids), self.damaged)

    def versions(self) -> Versions:
        if self.away:
            raise StoreUnavailable("it is away")
        return super().versions()


class Bench:
    """A feed of a store with one key, and the snapshots that it had made."""

    def __init__(self) -> None:
        self.store = Flaky()
        self.clock = ManualClock()
        self.put([KeyRecord("a", "ES256", b'{"kid":"a"}', None, KeyState.ACTIVE, 1)])
        self.feed = StoreFeed(DirectAccess(self.store), self.clock, read_picture(self.store))
        self.feed.begin(1)
        self.made = 1
        self.refuses = False

    def put(self, changed: Sequence[KeyRecord]) -> None:
        assert self.store.put_keys(self.store.versions().keys, changed) is not None

    async def renew(self) -> int | None:
        if self.refuses:
            return None
        self.made += 1
        return self.made

    def look(self) -> None:
        asyncio.run(self.feed.look(self.renew))


def test_nothing_is_made_while_nothing_changes_and_a_look_keeps_the_picture_young() -> None:
    bench = Bench()
    bench.clock.advance(7)
    assert bench.feed.age_s == 7
    bench.look()
    assert (bench.feed.age_s, bench.made) == (0, 1)


def test_a_new_key_is_told_once_and_since_when() -> None:
    bench = Bench()
    bench.put([KeyRecord("b", "ES256", b'{"kid":"b"}', None, KeyState.PENDING, 2)])
    assert bench.feed.published("b") is None
    bench.clock.advance(3)
    bench.look()
    bench.look()
    assert bench.made == 2
    since = bench.feed.published("b")
    assert since is not None
    assert (since.version, since.at_s) == (2, bench.clock.monotonic_s())
    first = bench.feed.published("a")
    assert first is not None
    assert first.version == 1


def test_an_issuer_in_the_store_makes_a_snapshot_and_a_longer_horizon_makes_none() -> None:
    bench = Bench()
    bench.store.put_issuer(IssuerRecord("i", b"{}"))
    bench.look()
    assert bench.made == 2
    assert [one.name for one in bench.feed.picture.issuers] == ["i"]
    (key,) = bench.store.key_ring().keys
    bench.put([replace(key, verifies_until_s=1_900_000_000)])
    bench.look()
    assert bench.made == 2
    assert bench.feed.picture.ring.keys[0].verifies_until_s == 1_900_000_000


def test_policies_in_the_store_make_a_snapshot_once() -> None:
    bench = Bench()
    bench.store.put_policies(0, (PolicyRecord("p", b"{}"),))
    bench.look()
    bench.look()
    assert bench.made == 2
    assert [one.name for one in bench.feed.picture.policies.records] == ["p"]


def test_what_cannot_be_put_into_effect_counts_as_old_until_it_is() -> None:
    bench = Bench()
    bench.refuses = True
    bench.put([KeyRecord("b", "ES256", b'{"kid":"b"}', None, KeyState.PENDING, 2)])
    bench.clock.advance(5)
    bench.look()
    bench.look()
    assert bench.feed.age_s == 5
    assert bench.feed.published("b") is None
    bench.refuses = False
    bench.look()
    assert (bench.feed.age_s, bench.made) == (0, 2)


def test_a_store_that_is_away_leaves_the_picture_as_old_as_it_is() -> None:
    bench = Bench()
    bench.store.away = True
    bench.clock.advance(5)
    with pytest.raises(StoreUnavailable):
        bench.look()
    assert bench.feed.age_s == 5
    bench.store.away = False
    bench.look()
    assert bench.feed.age_s == 0


@pytest.mark.parametrize(
    ("kid", "state", "left"),
    [
        ("b", "bogus", ["a"]),
        ("a", "active", ["a", "b"]),
        ("a", "bogus", ["a", "b"]),
        ("a", "compromised", ["b"]),
    ],
)
def test_a_damaged_key_is_told_once_and_costs_no_other(
    kid: str, state: str, left: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench()
    bench.put([KeyRecord("b", "ES256", b'{"kid":"b"}', None, KeyState.PENDING, 2)])
    bench.look()
    bench.store.damaged = (DamagedKey(kid, state),)
    for number in (3, 4):
        bench.put([KeyRecord(f"gone{number}", "ES256", b"{}", None, KeyState.GONE, number)])
        bench.clock.advance(1)
        bench.look()
    keys = bench.feed.picture.ring.keys
    assert sorted(key.kid for key in keys if key.state is not KeyState.GONE) == left
    assert bench.feed.age_s == 0
    assert capsys.readouterr().err.count("cannot be read") == 1


def test_a_damaged_key_that_signed_gives_way_to_the_next_one() -> None:
    bench = Bench()
    bench.store.damaged = (DamagedKey("a", "active"),)
    bench.put([KeyRecord("c", "ES256", b'{"kid":"c"}', None, KeyState.ACTIVE, 3)])
    bench.look()
    assert [key.kid for key in bench.feed.picture.ring.keys] == ["c"]

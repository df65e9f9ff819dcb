"""The keyring of an installation: its first start, its take-over and its changes, cut short anywhere and raced."""

from collections.abc import Sequence

import msgspec
import pytest
from msgspec.structs import replace

from jotgate.core import key_life
from jotgate.core.durable import KeyRecord, KeyRing, KeyState
from jotgate.core.key_life import KeyRules
from jotgate.errors import CommandError, DirectoryRefused, KeyRefused, StoreUnavailable
from jotgate.jose.keys import SigningKey, generate, public_jwk
from jotgate.services.keyring import Changed, Keyring
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock
from tests.parts import MemoryParts, Power, PowerCut

_YEAR_S = 365 * 86_400


class CutStore(MemoryStore):
    """A store of a process that can be cut short, or which loses a race before its first write."""

    def __init__(self, power: Power, *, rival: Sequence[KeyRecord] = ()) -> None:
        super().__init__()
        self.power = power
        self.rival = rival

    def put_keys(self, version: int, changed: Sequence[KeyRecord]) -> int | None:
        if self.rival:
            assert super().put_keys(version, self.rival) is not None
            self.rival = ()
        self.power.write()
        return super().put_keys(version, changed)


class Bench:
    """A store, private parts and a clock."""

    def __init__(self, *, seals: bool = False, rival: Sequence[KeyRecord] = ()) -> None:
        self.power = Power()
        self.store = CutStore(self.power, rival=rival)
        self.parts = MemoryParts(self.power, seals=seals)
        self.clock = ManualClock()

    @property
    def keyring(self) -> Keyring:
        return Keyring(self.store, self.parts, self.clock)

    def open(self) -> Changed:
        return self.keyring.open("ES256")

    def states(self) -> dict[str, str]:
        return {key.kid: key.state.value for key in self.store.key_ring().keys}

    def active(self) -> KeyRecord:
        (key,) = [key for key in self.store.key_ring().keys if key.state is KeyState.ACTIVE]
        return key


@pytest.mark.parametrize("seals", [False, True])
def test_a_first_start_makes_one_key_and_later_ones_find_it(seals: bool) -> None:
    bench = Bench(seals=seals)
    first = bench.open()
    assert [event.name for event in first.events] == ["key.created", "key.activated"]
    assert bench.open().events == ()
    key = bench.active()
    assert key.algorithm == "ES256"
    assert (key.sealed is not None) == seals
    assert list(bench.parts.files) == ([] if seals else [key.kid])
    found = bench.parts.find(key)
    assert found is not None
    assert found.kid == key.kid


@pytest.mark.parametrize("seals", [False, True])
def test_a_first_start_cut_short_anywhere_is_completed_by_the_next_with_one_key(seals: bool) -> None:
    for writes in range(5):
        bench = Bench(seals=seals)
        bench.power.writes = writes
        try:
            bench.open()
        except PowerCut:
            pass
        else:
            assert writes >= (1 if seals else 2)
        left = set(bench.parts.files) | set(bench.states())
        bench.power.writes = 1_000
        bench.open()
        assert list(bench.states().values()) == ["active"]
        assert left <= set(bench.states()), "what was begun is what is used"
        assert bench.parts.find(bench.active()) is not None


@pytest.mark.parametrize("seals", [False, True])
def test_keys_in_files_are_taken_over_without_a_new_one_however_often_that_is_cut_short(seals: bool) -> None:
    for writes in range(6):
        bench = Bench(seals=seals)
        old, new = generate("ES256"), generate("ES256")
        bench.parts.files, bench.parts.mark = {old.kid: old, new.kid: new}, new.kid
        bench.power.writes = writes
        try:
            bench.open()
        except PowerCut:
            assert bench.states() or bench.parts.mark == new.kid, "one of the two says which key signs"
        bench.power.writes = 1_000
        bench.open()
        assert bench.states() == {old.kid: "retired", new.kid: "active"}
        assert bench.parts.named() is None
        assert bench.parts.find(bench.active()) is not None
        ring = bench.store.key_ring()
        assert {key.verifies_until_s is not None for key in ring.keys} == {True}
        assert all((key.sealed is not None) == seals for key in ring.keys)


@pytest.mark.parametrize(("count", "named"), [(2, None), (1, "gone"), (0, "gone")])
def test_which_key_signs_is_never_guessed(count: int, named: str | None) -> None:
    bench = Bench()
    bench.parts.files = {key.kid: key for key in [generate("ES256") for _ in range(count)]}
    bench.parts.mark = named
    with pytest.raises(DirectoryRefused, match="'keys/active' does not name one"):
        bench.open()
    assert (bench.states(), len(bench.parts.files)) == ({}, count)


def test_the_loser_of_a_race_for_the_first_key_keeps_nothing_and_is_told_what_it_lacks() -> None:
    other = record_of(generate("ES256"), KeyState.ACTIVE)
    bench = Bench(rival=[other])
    with pytest.raises(DirectoryRefused, match=f"the key {other.kid} signs, and its private part is not on this"):
        bench.open()
    assert bench.states() == {other.kid: "active"}
    assert bench.parts.files == {}


def test_a_store_that_fails_in_the_middle_costs_no_private_part() -> None:
    class Failing(CutStore):
        def put_keys(self, version: int, changed: Sequence[KeyRecord]) -> int | None:
            super().put_keys(version, changed)
            raise StoreUnavailable("the connection ended while it committed")

    parts = MemoryParts()
    with pytest.raises(StoreUnavailable):
        Keyring(store := Failing(Power()), parts, ManualClock()).open("ES256")
    (key,) = store.key_ring().keys
    assert parts.find(key) is not None


def test_what_a_key_may_have_signed_is_written_down_before_it_signs_and_outlives_its_retirement() -> None:
    bench = Bench()
    bench.open()
    now_s = int(bench.clock.now_s())
    key = bench.keyring.reserve(now_s + 60)
    assert key.verifies_until_s == now_s + 60 + 3_600
    version = bench.store.versions().keys
    assert bench.keyring.reserve(now_s + 600) == key, "a shorter one needs no further write"
    assert bench.store.versions().keys == version
    bench.keyring.reserve(now_s + _YEAR_S)
    later = bench.keyring.make("ES256", lambda ring, new: key_life.activate(with_(ring, new), new.kid, now_s))
    retired = key_life.find(later.ring, key.kid)
    assert retired.state is KeyState.RETIRED
    assert retired.verifies_until_s == now_s + _YEAR_S + 3_600 + 60


def test_nothing_is_signed_by_a_key_whose_time_has_not_come() -> None:
    bench = Bench()
    bench.open()
    bench.clock.advance(-100)
    assert bench.keyring.reserve(1_900_000_000).state is KeyState.ACTIVE
    ahead = bench.active()
    bench.store.put_keys(bench.store.versions().keys, [from_(ahead, int(bench.clock.now_s()) + 10)])
    with pytest.raises(KeyRefused, match="no key may sign now"):
        bench.keyring.reserve(1_900_000_000)
    bench.clock.advance(10)
    assert bench.keyring.reserve(1_900_000_000).kid == ahead.kid


def test_a_revoked_key_that_signs_is_replaced_in_the_same_step() -> None:
    bench = Bench(seals=True)
    bench.open()
    bad = bench.active()
    version = bench.store.versions().keys
    done = bench.keyring.revoke(bad.kid, "Ed25519")
    assert bench.store.versions().keys == version + 1
    assert [event.name for event in done.events] == ["key.revoked", "key.created", "key.activated"]
    assert bench.states()[bad.kid] == "compromised"
    assert key_life.find(done.ring, bad.kid).sealed is None
    assert bench.active().algorithm == "Ed25519"
    with pytest.raises(CommandError, match="compromised already"):
        bench.keyring.revoke(bad.kid, "ES256")


def test_a_revoked_key_that_does_not_sign_is_only_refused_and_its_private_part_erased() -> None:
    bench = Bench()
    bench.open()
    made = bench.keyring.make("ES256", lambda _, new: (new,))
    (kid,) = set(bench.states()) - {bench.active().kid}
    assert made.events[0].kid == kid
    bench.keyring.revoke(kid, "ES256")
    assert bench.states()[kid] == "compromised"
    assert list(bench.parts.files) == [bench.active().kid]


def test_a_retired_key_goes_when_its_time_is_over_with_its_private_part() -> None:
    bench = Bench()
    bench.open()
    old = bench.active()
    now_s = int(bench.clock.now_s())
    bench.keyring.reserve(now_s + 100)
    bench.keyring.make("ES256", lambda ring, new: key_life.activate(with_(ring, new), new.kid, now_s))
    bench.clock.advance(100 + 3_600 + 59)
    assert bench.keyring.bury().events == ()
    bench.clock.advance(1)
    (event,) = bench.keyring.bury().events
    assert (event.name, event.kid) == ("key.gone", old.kid)
    assert list(bench.parts.files) == [bench.active().kid]


def test_the_schedule_makes_one_key_however_many_machines_ask_for_it() -> None:
    bench = Bench(seals=True)
    opened = bench.open()
    rules = KeyRules("ES256", rotate_after_s=1_000, publish_ahead_s=100)
    bench.clock.advance(899)
    assert bench.keyring.plan(opened.ring, rules).events == ()
    bench.clock.advance(1)
    rings = [bench.store.key_ring() for _ in range(3)]
    made = [bench.keyring.plan(ring, rules).events for ring in rings]
    assert [len(events) for events in made] == [1, 0, 0]
    (pending,) = [key for key in bench.store.key_ring().keys if key.state is KeyState.PENDING]
    assert pending.signs_from_s == int(bench.clock.now_s()) + 100


def record_of(key: SigningKey, state: KeyState) -> KeyRecord:
    return KeyRecord(key.kid, key.algorithm.name, b"{}", None, state, 1)


def with_(ring: KeyRing, new: KeyRecord) -> KeyRing:
    return KeyRing(ring.version, (*ring.keys, new))


def from_(key: KeyRecord, at_s: int) -> KeyRecord:
    return replace(key, signs_from_s=at_s)


@pytest.mark.parametrize("seals", [False, True])
@pytest.mark.parametrize("public", ["another's", "another algorithm's", "none"])
def test_a_key_that_nobody_could_verify_does_not_begin_to_sign(public: str, seals: bool) -> None:
    store, clock = MemoryStore(), ManualClock()
    keyring = Keyring(store, MemoryParts(seals=seals), clock)
    (first,) = keyring.open("ES256").ring.keys
    jwk = {
        "another's": public_jwk(generate("ES256").verification_key) | {"kid": first.kid},
        "another algorithm's": public_jwk(generate("Ed25519").verification_key) | {"kid": first.kid},
        "none": {"kid": first.kid},
    }[public]
    store.put_keys(store.versions().keys, [replace(first, public_jwk=msgspec.json.encode(jwk))])
    with pytest.raises(KeyRefused, match=f"{first.kid} is not that of its private part") as caught:
        keyring.open("ES256")
    assert "backup" in caught.value.hint

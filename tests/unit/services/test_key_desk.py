"""Orders about keys that cannot be carried out leave everything as it was; those that can say what became of them."""

import json

import pytest
from msgspec.structs import replace

from jotgate.core import key_life
from jotgate.core.durable import Issuance, KeyState
from jotgate.core.key_life import KeyRules
from jotgate.core.key_orders import KeyOrder
from jotgate.core.revocations import names_of, origins_for
from jotgate.errors import CommandError, KeyRefused
from jotgate.jose.keys import generate, public_jwk, signing_key_to_pem
from jotgate.services.key_desk import KeyDesk
from jotgate.services.keyring import Keyring
from jotgate.services.revocation import load_revocations
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock
from tests.callers import NAME, principal
from tests.parts import MemoryParts

DAY_S = 86_400


class Bench:
    """A desk over a store with its first key."""

    def __init__(self, *, alone: bool = False, seals: bool = False) -> None:
        self.store = MemoryStore()
        self.parts = MemoryParts(seals=seals)
        self.clock = ManualClock()
        self.desk = KeyDesk(self.store, self.parts, self.clock, KeyRules("ES256"), issuer=NAME, alone=alone)
        Keyring(self.store, self.parts, self.clock).open("ES256")
        self.first = self.store.key_ring().keys[0].kid

    def state(self, kid: str) -> KeyState:
        return key_life.find(self.store.key_ring(), kid).state


@pytest.mark.parametrize("alone", [False, True])
def test_a_new_key_signs_at_once_only_where_nobody_has_to_learn_of_it(alone: bool) -> None:
    bench = Bench(alone=alone)
    made = bench.desk.carry_out(KeyOrder(action="rotate", algorithm="Ed25519"))
    assert bench.state(made.kid) is (KeyState.ACTIVE if alone else KeyState.PENDING)
    assert bench.state(bench.first) is (KeyState.RETIRED if alone else KeyState.ACTIVE)
    key = key_life.find(made.ring, made.kid)
    assert key.algorithm == "Ed25519"
    assert key.signs_from_s == (None if alone else int(bench.clock.now_s()))
    later = bench.desk.carry_out(KeyOrder(action="rotate", ahead_s=60))
    assert key_life.find(later.ring, later.kid).signs_from_s == int(bench.clock.now_s()) + 60


def test_an_imported_key_waits_for_its_promotion() -> None:
    bench, own = Bench(), generate("ES256")
    material = signing_key_to_pem(own).decode()
    bench.desk.carry_out(KeyOrder(action="import", material=material))
    assert key_life.find(bench.store.key_ring(), own.kid).signs_from_s is None
    with pytest.raises(CommandError, match="is there already"):
        bench.desk.carry_out(KeyOrder(action="import", material=material))
    assert own.kid in bench.parts.files, "the one that is there keeps its private part"
    bench.desk.carry_out(KeyOrder(action="promote", kid=own.kid))
    assert key_life.due(bench.store.key_ring(), bench.clock.now_s()) is not None


def test_a_public_key_is_imported_to_verify_and_for_nothing_else() -> None:
    bench, own = Bench(), generate("ES256")
    material = json.dumps(public_jwk(own.verification_key))
    with pytest.raises(CommandError, match="can sign nothing"):
        bench.desk.carry_out(KeyOrder(action="import", material=material))
    bench.desk.carry_out(KeyOrder(action="import", material=material, state="retired"))
    assert bench.state(own.kid) is KeyState.RETIRED
    with pytest.raises(CommandError, match="only a pending one"):
        bench.desk.carry_out(KeyOrder(action="promote", kid=own.kid))
    with pytest.raises(CommandError, match=r"private part of the key .* is not here"):
        bench.desk.carry_out(KeyOrder(action="export", kid=own.kid, private=True))


@pytest.mark.parametrize("seals", [False, True])
def test_of_a_private_key_imported_as_retired_the_public_part_alone_is_kept(seals: bool) -> None:
    bench, own = Bench(seals=seals), generate("ES256")
    bench.desk.carry_out(KeyOrder(action="import", material=signing_key_to_pem(own).decode(), state="retired"))
    record = key_life.find(bench.store.key_ring(), own.kid)
    assert (record.state, record.sealed) == (KeyState.RETIRED, None)
    assert own.kid not in bench.parts.files
    assert b'"d"' not in record.public_jwk
    (view,) = [view for view in bench.desk.views() if view.kid == own.kid]
    assert (view.private, view.private_fault) == (False, "")


def test_what_cannot_be_done_changes_nothing() -> None:
    bench = Bench()
    before = bench.store.key_ring()
    for order in (
        KeyOrder(action="retire", kid=bench.first),
        KeyOrder(action="promote", kid=bench.first),
        KeyOrder(action="promote", kid="nobody"),
        KeyOrder(action="revoke", kid="nobody"),
        KeyOrder(action="export", kid="nobody"),
    ):
        with pytest.raises(CommandError):
            bench.desk.carry_out(order)
    for algorithm in ("none", "HS256", "EdDSA"):
        with pytest.raises(CommandError, match="not one that jotgate signs") as caught:
            bench.desk.carry_out(KeyOrder(action="rotate", algorithm=algorithm))
        assert "ES256" in caught.value.hint
        assert "HS256" not in caught.value.hint
    assert bench.store.key_ring() == before
    assert list(bench.parts.files) == [bench.first], "no private part is left of a key that was not made"


@pytest.mark.parametrize(
    ("rotate_after_s", "longest_s"), [(0, 90 * DAY_S), (30 * DAY_S, 30 * DAY_S), (400 * DAY_S, 90 * DAY_S)]
)
def test_a_new_key_waits_no_longer_than_the_schedule_can(rotate_after_s: int, longest_s: int) -> None:
    bench = Bench()
    rules = KeyRules("ES256", rotate_after_s)
    desk = KeyDesk(bench.store, bench.parts, bench.clock, rules, issuer=NAME, alone=False)
    with pytest.raises(CommandError, match=f"may wait {longest_s} s at most") as caught:
        desk.carry_out(KeyOrder(action="rotate", ahead_s=longest_s + 1))
    assert "--ahead" in caught.value.hint
    assert len(bench.store.key_ring().keys) == 1
    desk.carry_out(KeyOrder(action="rotate", ahead_s=longest_s))


def test_what_a_revoked_key_has_signed_takes_along_what_another_key_has_signed_for_it() -> None:
    bench = Bench(alone=True)
    bench.desk.carry_out(KeyOrder(action="revoke", kid=bench.first))
    parent = replace(principal(), kid=bench.first)
    origins = origins_for(parent, NAME, now_s=bench.clock.now_s())
    child = replace(principal(), client_id="app", token_id="c", kid="new", origins=origins)
    revoked = load_revocations(bench.store)
    late_s = bench.clock.now_s() + 3_600
    assert revoked.find(names_of(child, NAME), late_s, 0) == f"key {NAME} {bench.first}"
    assert revoked.find(names_of(replace(child, origins=()), NAME), late_s, 0) is None


def test_no_more_keys_are_published_than_verifiers_take() -> None:
    bench = Bench()
    for _ in range(key_life.PUBLISHED_MAX - 1):
        bench.desk.carry_out(KeyOrder(action="rotate", ahead_s=1))
    with pytest.raises(CommandError, match="64 keys are published already"):
        bench.desk.carry_out(KeyOrder(action="rotate"))
    assert len(bench.parts.files) == key_life.PUBLISHED_MAX


def test_the_live_tokens_of_a_key_are_counted_and_its_horizon_is_nobodys_business() -> None:
    bench = Bench()
    now_s = int(bench.clock.now_s())
    rows = [Issuance(f"t{end}", "s", "c", bench.first, now_s, now_s + end) for end in (-1, 5, 50)]
    bench.store.add_issuances(rows)
    Keyring(bench.store, bench.parts, bench.clock).reserve(now_s + 50)
    (view,) = bench.desk.views()
    assert (view.live_tokens, view.verifies_until_s, view.private) == (2, None, True)


def test_a_damaged_private_part_is_told_of_and_hinders_nothing_but_its_own_use() -> None:
    bench = Bench(alone=True, seals=True)
    bench.desk.carry_out(KeyOrder(action="rotate"))
    ring = bench.store.key_ring()
    bench.store.put_keys(ring.version, [replace(key_life.find(ring, bench.first), sealed=b"damaged")])
    made = bench.desk.carry_out(KeyOrder(action="rotate")).kid
    views = {view.kid: view for view in bench.desk.views()}
    assert (views[bench.first].private, views[bench.first].state) == (False, "retired")
    assert views[bench.first].private_fault
    assert (views[made].private, views[made].private_fault, views[made].state) == (True, "", "active")
    with pytest.raises(KeyRefused):
        bench.desk.carry_out(KeyOrder(action="export", kid=bench.first, private=True))


def test_what_may_be_secret_is_not_in_a_repr() -> None:
    bench = Bench()
    private = bench.desk.carry_out(KeyOrder(action="export", kid=bench.first, private=True))
    assert "PRIVATE KEY" in private.text
    assert [event.name for event in private.events] == ["key.exported"]
    assert "PRIVATE" not in repr(private)
    assert "PRIVATE" not in repr(KeyOrder(action="import", material=private.text))

"""Credentials for Kong in every store: one way through their states, names and keys once, secrets erased in time."""

from typing import Final

import pytest
from msgspec.structs import replace

from jotgate.core.kong_credentials import CredentialCounts, CredentialState, KongCredential, TakenAs
from jotgate.store_ports import Store
from tests.conformance import sample
from tests.conformance.threads import THREADS, in_parallel

FIRST: Final = sample.KONG_CREDENTIAL
MOST: Final = 10
UNWANTED, GONE, HELD = CredentialState.UNWANTED, CredentialState.GONE, CredentialState.HELD


def another(number: int, **changed: object) -> KongCredential:
    """One with an id, key and name of its own."""
    name = f"{number:08x}"
    own = {"credential_id": f"{name}-8f0e-4a52-9d0c-2f6f1a1b2c3d", "key": f"key {name}", "token_name": f"name {name}"}
    return replace(FIRST, **{**own, **changed})


def take(store: Store, *records: KongCredential) -> list[str]:
    assert [store.take_credential(one, MOST) for one in records] == [TakenAs.WANTED] * len(records)
    return [one.credential_id for one in records]


def test_one_comes_back_as_it_was_taken_whatever_state_it_was_said_to_be_in(store: Store) -> None:
    pair = another(1, public_key_pem="-----BEGIN PUBLIC KEY-----\n…", sealed=None, algorithm="ES256", state=HELD)
    take(store, FIRST, pair)
    kept = replace(pair, state=CredentialState.WANTED)
    assert store.kong_credential(FIRST.credential_id) == FIRST
    assert store.kong_credential("nobody's") is None
    assert store.credential_page("", MOST) == (kept, FIRST), "by id"
    assert store.credential_page(kept.credential_id, MOST) == (FIRST,)
    assert store.credential_page("", 1) == (kept,)


def test_each_state_comes_of_the_one_before_alone(store: Store) -> None:
    (one,) = ids = take(store, FIRST)
    assert store.forsake_credentials(ids, 50) == 0
    assert (store.hold_credentials(ids, 51), store.hold_credentials(ids, 52)) == (1, 0)
    found = store.kong_credential(one)
    assert found == replace(FIRST, state=HELD, changed_at_s=51)
    assert (store.unwant_credentials(ids, 53), store.unwant_credentials(ids, 54)) == (1, 0)
    assert store.kong_credential(one) == replace(FIRST, state=UNWANTED, changed_at_s=53, sealed=None)
    assert store.hold_credentials(ids, 55) == 0, "what was taken back is not handed out"
    assert (store.forsake_credentials([*ids, "nobody's"], 56), store.forsake_credentials(ids, 57)) == (1, 0)
    assert store.kong_credential(one) == replace(FIRST, state=GONE, changed_at_s=56, sealed=None)
    assert (store.hold_credentials([], 58), store.unwant_credentials(ids, 58)) == (0, 0)


def test_a_name_is_one_tokens_of_its_consumer_until_it_is_unwanted(store: Store) -> None:
    ids = take(store, FIRST)
    same_name = another(1, token_name=FIRST.token_name)
    assert store.take_credential(same_name, MOST) is TakenAs.NAMED_ALREADY
    take(store, another(2, token_name=FIRST.token_name, consumer="ann", subject="sub-2"))
    store.unwant_credentials(ids, 50)
    take(store, same_name)


def test_a_key_is_one_credentials_until_kong_is_rid_of_it(store: Store) -> None:
    ids = take(store, FIRST)
    squatter = another(1, key=FIRST.key, consumer="ann", subject="sub-2")
    assert store.take_credential(squatter, MOST) is TakenAs.NAMED_ALREADY
    store.unwant_credentials(ids, 50)
    assert store.take_credential(squatter, MOST) is TakenAs.NAMED_ALREADY
    store.forsake_credentials(ids, 51)
    take(store, squatter)
    assert store.take_credential(another(3, credential_id=FIRST.credential_id), MOST) is TakenAs.NAMED_ALREADY


def test_a_consumer_is_one_subjects_and_has_so_many(store: Store) -> None:
    ids = take(store, FIRST)
    assert store.take_credential(another(1, subject="sub-2"), MOST) is TakenAs.OTHERS
    assert store.take_credential(another(2), 1) is TakenAs.TOO_MANY
    store.unwant_credentials(ids, 50)
    assert store.take_credential(another(1, subject="sub-2"), 1) is TakenAs.WANTED


def test_subjects_have_their_living_ones(store: Store) -> None:
    renamed = another(1, consumer="john")
    other = another(2, consumer="ann", subject="sub-2")
    take(store, FIRST, renamed, other)
    assert store.credentials_for("sub-1", "", MOST) == (renamed, FIRST)
    assert store.credentials_for("sub-1", renamed.credential_id, MOST) == (FIRST,)
    assert store.credentials_for("sub-1", "", 1) == (renamed,)
    store.unwant_credentials([FIRST.credential_id], 50)
    assert store.credentials_for("sub-1", "", MOST) == (renamed,)
    store.hold_credentials([renamed.credential_id, other.credential_id], 51)
    assert store.count_credentials() == CredentialCounts(2, 2)


def test_what_kong_is_to_be_rid_of_comes_in_the_order_in_which_it_waits(store: Store) -> None:
    cut_short, young, held, unwanted = (another(n, changed_at_s=40 + n) for n in range(4))
    take(store, cut_short, young, held, unwanted)
    store.hold_credentials([held.credential_id], 41)
    store.unwant_credentials([unwanted.credential_id], 39)
    waiting = store.pending_credentials(41, MOST)
    assert [one.credential_id for one in waiting] == [unwanted.credential_id, cut_short.credential_id]
    assert [one.state for one in store.pending_credentials(41, 1)] == [UNWANTED]


def test_tokens_that_have_ended_are_unwanted_and_what_is_gone_is_forgotten(store: Store) -> None:
    first, second, living = (another(n, expires_at_s=100 + n) for n in range(3))
    ids = take(store, first, second, living)
    assert store.expire_credentials(200, MOST) == 0, "none is held yet"
    store.hold_credentials(ids, 60)
    assert (store.expire_credentials(101, 1), store.expire_credentials(101, MOST)) == (1, 1)
    assert [one.credential_id for one in store.credentials_for("sub-1", "", MOST)] == [living.credential_id]
    assert store.forsake_credentials(ids, 102) == 2
    assert (store.drop_credentials(102, MOST), store.drop_credentials(103, 1)) == (0, 1)
    assert store.drop_credentials(103, MOST) == 1
    assert store.kong_credential(first.credential_id) is None
    assert store.credential_page("", MOST) == (replace(living, state=HELD, changed_at_s=60),)


@pytest.mark.parametrize("member", ["token_name", "key"])
def test_of_many_at_once_one_gets_a_name_and_a_key(store: Store, member: str) -> None:
    same = {member: "the same"}
    found = in_parallel(lambda index: store.take_credential(another(index, **same), THREADS))
    assert found.count(TakenAs.WANTED) == 1
    assert found.count(TakenAs.NAMED_ALREADY) == THREADS - 1

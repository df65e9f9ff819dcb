"""Refresh-token families in every store: one successor for each version, and none after the end."""

from functools import partial

import pytest
from msgspec.structs import replace

from jotgate.core.families import LATER_MAX, FoundFamily, RefreshRecord
from jotgate.core.lineage import Actor
from jotgate.store_ports import Store
from tests.conformance import sample
from tests.conformance.records import SEALED, begin, digest, family, fresh, revocation, used
from tests.conformance.test_store import RANDOM
from tests.conformance.threads import THREADS, in_parallel


def rotate(store: Store, version: int, name: str = "", used_at_s: int = 10, ends_at_s: int = 100) -> bool:
    """Use the token of a generation, which is the version, and keep a successor, `name` or that which is expected."""
    current = token(store, f"f{version}") or fresh(f"f{version}", generation=version)
    successor = fresh(name or f"f{version + 1}", generation=version + 1, expires_at_s=ends_at_s)
    spent = replace(current, used_at_s=used_at_s, successor=SEALED)
    return store.rotate_family(family(version=version), spent, successor)


def token(store: Store, name: str) -> RefreshRecord | None:
    found = store.find_family(digest(name))
    return None if found is None else found.token


def ids(store: Store, client_id: str, subject: str, after: str = "", limit: int = 10) -> str:
    return "".join(one.family_id for one in store.families(client_id, subject, after, limit))


def test_a_family_comes_back_as_it_was_kept(store: Store) -> None:
    first = replace(sample.USED, used_at_s=None, successor=None)
    store.add_family(sample.FAMILY, first)
    assert store.family("f") == sample.FAMILY
    assert store.find_family(first.digest) == FoundFamily(sample.FAMILY, first)
    assert store.rotate_family(sample.FAMILY, sample.USED, sample.SUCCESSOR)
    rotated = replace(sample.FAMILY, version=1)
    assert store.find_family(sample.USED.digest) == FoundFamily(rotated, sample.USED, (sample.SUCCESSOR,))
    assert store.find_family(sample.SUCCESSOR.digest) == FoundFamily(rotated, sample.SUCCESSOR)
    assert store.families("", "", "", 10) == (rotated,)


def test_what_a_family_comes_of_comes_back_as_it_was_kept(store: Store) -> None:
    kept = replace(
        family(),
        ancestors=("t-1", "https://ci.example j-1"),
        origins=("subject https://ci.example job", "family \u2603"),
        actors=(Actor("agent", client_id="app"), Actor("before", "https://else.example")),
        may_act=Actor("agent"),
        voucher="ci",
    )
    store.add_family(kept, fresh())
    assert store.family("f") == kept
    assert rotate(store, 0)
    assert store.family("f") == replace(kept, version=1)


def test_nobody_knows_a_family_or_a_token_that_there_is_not(store: Store) -> None:
    begin(store)
    assert store.family("g") is None
    assert [store.find_family(one) for one in (b"", digest("f1"), digest("f0")[:-1])] == [None, None, None]
    assert not store.rotate_family(family("g"), used("g0"), fresh("g1", "g", 1))
    assert not store.end_family("g", 5, revocation("g"))
    assert (token(store, "g1"), store.revocations_after(0, 10)) == (None, ())


def test_a_family_is_begun_once(store: Store) -> None:
    """An answer that was lost is asked for again."""
    begin(store)
    rotate(store, 0)
    begin(store)
    found = store.find_family(digest("f0"))
    assert found == FoundFamily(family(version=1), used("f0"), (fresh("f1", generation=1),))


def test_a_family_is_rotated_only_by_who_has_seen_the_last_rotation(store: Store) -> None:
    begin(store)
    assert not rotate(store, 1)
    assert rotate(store, 0)
    assert not rotate(store, 0, "other")
    assert rotate(store, 1)
    assert store.family("f") == family(version=2)
    assert token(store, "other") is None
    found = store.find_family(digest("f0"))
    assert found is not None
    assert (found.token, found.later) == (used("f0"), (used("f1", generation=1), fresh("f2", generation=2)))


def test_what_else_a_caller_says_of_a_family_changes_nothing_of_it(store: Store) -> None:
    """What is granted never grows, whatever record a rotation is given."""
    begin(store)
    wider = replace(family(), scopes=("ai",), ends_at_s=9_999, subject="bob")
    assert store.rotate_family(wider, used("f0"), fresh("f1", generation=1))
    assert store.family("f") == family(version=1)


def test_of_several_rotations_at_once_one_is_done(store: Store) -> None:
    """Each brings a successor of its own; of each generation one is kept."""
    begin(store)

    def attempt(version: int, current: str, index: int) -> bool:
        successor = fresh(f"{version + 1} of {index}", generation=version + 1)
        return store.rotate_family(family(version=version), used(current, generation=version), successor)

    current = "f0"
    for version in range(5):
        found = in_parallel(partial(attempt, version, current))
        assert sorted(map(bool, found)) == [False] * (THREADS - 1) + [True]
        current = f"{version + 1} of {found.index(True)}"
    kept = store.find_family(digest("f0"))
    assert kept is not None
    assert kept.family == family(version=5)
    assert [one.generation for one in kept.later] == [1, 2, 3, 4, 5]
    assert [one.digest for one in kept.later if one.used_at_s is None] == [digest(current)]


def test_a_family_ends_once_with_its_revocation_and_without_its_sealed_successors(store: Store) -> None:
    begin(store)
    begin(store, "g")
    rotate(store, 0)
    assert store.end_family("f", 7, revocation())
    assert store.family("f") == replace(family(version=2), ended_at_s=7)
    assert store.revocations_after(0, 10) == (replace(revocation(), number=1),)
    assert token(store, "f0") == replace(used("f0"), successor=None)
    assert not rotate(store, 2)
    assert not store.end_family("f", 8, revocation())
    assert store.family("f") == replace(family(version=2), ended_at_s=7)
    assert store.versions().revocations == 1
    assert store.family("g") == family("g")


def test_who_ends_a_family_wins_against_all_who_rotate_it(store: Store) -> None:
    """Whatever was first: in the end nobody can be given a successor, and the family was ended once."""
    begin(store)

    def work(index: int) -> bool:
        if index % 4 == 0:
            return store.end_family("f", 7, revocation())
        found = store.family("f")
        return found is not None and rotate(store, found.version)

    for _ in range(5):
        in_parallel(work)
    ended = store.family("f")
    assert ended is not None
    assert ended.ended_at_s == 7
    tokens = [token(store, f"f{index}") for index in range(ended.version)]
    assert [one.successor for one in tokens if one is not None] == [None] * ended.version
    assert store.versions().revocations == 1


def test_of_an_old_token_no_more_is_read_than_its_answer_can_need(store: Store) -> None:
    """Whatever a family was used for: an old token of it costs as much as a new one."""
    begin(store)
    for version in range(LATER_MAX + 5):
        assert rotate(store, version, used_at_s=10 + version)
    behind = store.find_family(digest("f0"))
    assert behind is not None
    assert [one.generation for one in behind.later] == list(range(1, LATER_MAX + 1))
    near = store.find_family(digest(f"f{LATER_MAX}"))
    assert near is not None
    assert [one.generation for one in near.later] == list(range(LATER_MAX + 1, LATER_MAX + 6))
    store.erase_successors(12, 10)
    erased = store.find_family(digest("f1"))
    assert erased is not None
    assert (erased.family.version, erased.token.used_at_s, erased.later) == (LATER_MAX + 5, 11, ())


def test_living_families_are_paged_by_client_and_subject(store: Store) -> None:
    begin(store, "a", "cli", "ann")
    begin(store, "B", "cli", "bob")
    begin(store, "_", "web", "ann")
    begin(store, "Z", "cli", "ann")
    assert ids(store, "", "") == "BZ_a"
    assert ids(store, "", "", "B", 2) == "Z_"
    assert ids(store, "cli", "") == "BZa"
    assert ids(store, "", "ann") == "Z_a"
    assert ids(store, "cli", "ann") == "Za"
    assert ids(store, "cli", "ann", "Z") == "a"
    assert ids(store, "cli", "nobody") == ""
    store.end_family("Z", 5, revocation("Z"))
    assert ids(store, "cli", "ann") == "a"


def test_sealed_successors_are_erased_when_their_grace_is_over_oldest_first(store: Store) -> None:
    begin(store)
    for version, used_at_s in enumerate((10, 11, 12)):
        rotate(store, version, used_at_s=used_at_s)

    def sealed() -> list[bool]:
        found = [token(store, f"f{index}") for index in range(4)]
        return [one is not None and one.successor is not None for one in found]

    assert store.erase_successors(10, 10) == 0
    assert sealed() == [True, True, True, False]
    assert store.erase_successors(12, 1) == 1
    assert sealed() == [False, True, True, False]
    assert store.erase_successors(12, 10) == 1
    assert store.erase_successors(12, 10) == 0
    assert sealed() == [False, False, True, False]
    assert store.family("f") == family(version=3)


def test_families_are_forgotten_with_all_their_tokens_when_the_last_has_ended(store: Store) -> None:
    begin(store, "f", ends_at_s=10)
    begin(store, "g", ends_at_s=12)
    begin(store, "h", ends_at_s=11)
    assert rotate(store, 0, ends_at_s=13)
    assert store.drop_families(10, 10) == 0
    assert store.drop_families(12, 1) == 1
    assert [store.family(one) is None for one in "fgh"] == [False, False, True]
    assert store.drop_families(12, 10) == 1
    assert ids(store, "", "") == "f"
    # A successor that ends earlier than the one before it does not make the family end earlier.
    assert rotate(store, 1, ends_at_s=9)
    assert store.drop_families(12, 10) == 0
    assert store.drop_families(13, 10) == 1
    assert [token(store, name) for name in ("f0", "f1", "f2", "g0", "h0")] == [None] * 5


def test_it_is_known_from_when_on_no_refresh_token_of_now_is_of_use(store: Store) -> None:
    assert store.last_family_end() is None
    begin(store, "f", ends_at_s=10)
    begin(store, "g", ends_at_s=12)
    assert store.last_family_end() == 12
    assert rotate(store, 0, ends_at_s=20)
    assert store.last_family_end() == 20
    assert rotate(store, 1, ends_at_s=15)
    assert store.last_family_end() == 20


def test_an_ended_family_is_kept_until_its_last_token_has_ended(store: Store) -> None:
    """Who presents one of its tokens is told that it ended, and not that nobody knows it."""
    begin(store, ends_at_s=10)
    store.end_family("f", 5, revocation())
    assert store.drop_families(9, 10) == 0
    assert store.family("f") is not None
    assert store.drop_families(10, 10) == 1


def test_upkeep_and_use_at_once_disturb_one_another_in_nothing(store: Store) -> None:
    """No order of locks lets two of them wait for one another."""
    for name in "abcdfgh":
        begin(store, name, ends_at_s=10)

    def work(index: int) -> object:
        if index % 4 == 0:
            return store.erase_successors(100, 10)
        if index % 4 == 1:
            return store.drop_families(10, 1)
        if index % 4 == 2:
            return store.end_family("c", 5, revocation("c"))
        return any(rotate(store, version, used_at_s=10, ends_at_s=1_000) for version in range(3))

    done = [in_parallel(work) for _ in range(3)]
    assert all(result is not None for results in done for result in results)
    kept = store.family("f")
    assert (kept is None) == (token(store, "f0") is None)


@pytest.mark.parametrize("text", [RANDOM[:1024], "'; DROP TABLE jotgate_families; --", "naïve ☃ 𝄞"])
def test_texts_are_kept_as_they_are(store: Store, text: str) -> None:
    kept = replace(family(text, text, text), scopes=(text,), audiences=(text,))
    store.add_family(kept, fresh(family_id=text))
    assert store.families(text, text, "", 10) == (kept,)
    assert store.find_family(digest("f0")) == FoundFamily(kept, fresh(family_id=text))

"""Owned objects in every store: whose they are, when they go, and what becomes of changes made at once."""

from typing import Final

import pytest
from msgspec.structs import replace

from jotgate.core.owned_objects import ObjectKey, OwnedObject
from jotgate.store_ports import Store
from tests.conformance import sample
from tests.conformance.threads import THREADS, in_parallel

OBJECT: Final = sample.OBJECT
MOST: Final = 10


def made(name: str, at_s: int = 100, owner: str = "ann", data: bytes = b"d") -> OwnedObject:
    """An object that nobody has kept yet; it lives for 100 seconds."""
    return OwnedObject(
        kind="conversation",
        place="coze",
        owner=owner,
        name=name,
        data=data,
        version=0,
        created_s=at_s,
        used_s=at_s,
        expires_s=at_s + 100,
    )


def keep(store: Store, record: OwnedObject, most: int = MOST) -> OwnedObject:
    kept = store.put_owned_object(record, most)
    assert kept is not None
    return kept


def listed(store: Store, owner: str = "ann", now_s: int = 100, limit: int = 10) -> str:
    return "".join(one.name for one in store.owned_objects("conversation", "coze", owner, now_s, limit))


def test_one_comes_back_as_it_was_kept(store: Store) -> None:
    kept = keep(store, OBJECT)
    assert kept == replace(OBJECT, version=1)
    assert store.owned_object(OBJECT.key, OBJECT.created_s) == kept
    assert store.owned_objects(OBJECT.kind, OBJECT.place, OBJECT.owner, OBJECT.created_s, 10) == (kept,)


@pytest.mark.parametrize("other", ["kind", "place", "owner", "name"])
def test_by_any_other_name_it_is_not_found_used_or_forgotten(store: Store, other: str) -> None:
    kept = keep(store, made("a"))
    strange: ObjectKey = replace(kept.key, **{other: "other"})
    assert store.owned_object(strange, 100) is None
    assert store.use_owned_object(strange, 100, 1_000) is None
    assert not store.drop_owned_object(strange, 0)
    assert store.owned_object(kept.key, 100) == kept


def test_two_owners_have_objects_of_one_name_that_know_nothing_of_one_another(store: Store) -> None:
    ann, bob = keep(store, made("a")), keep(store, made("a", 101, "bob", b"other"))
    assert (store.owned_object(ann.key, 101), store.owned_object(bob.key, 101)) == (ann, bob)
    assert store.drop_owned_object(ann.key, 0)
    assert (listed(store), listed(store, "bob")) == ("", "a")


def test_an_object_that_has_expired_is_not_there(store: Store) -> None:
    kept = keep(store, made("a"))
    assert store.owned_object(kept.key, 199) == kept
    assert (store.owned_object(kept.key, 200), store.use_owned_object(kept.key, 200, 9)) == (None, None)
    assert (listed(store, now_s=199), listed(store, now_s=200)) == ("a", "")
    assert store.put_owned_object(replace(kept, used_s=200, expires_s=300), MOST) is None
    again = keep(store, made("a", 200, data=b"new"))
    assert (again.version, again.created_s, again.data) == (1, 200, b"new")


def test_using_one_lengthens_its_life_and_never_shortens_it(store: Store) -> None:
    kept = keep(store, made("a"))
    assert store.use_owned_object(kept.key, 150, 100) == replace(kept, used_s=150, expires_s=250)
    assert store.use_owned_object(kept.key, 120, 5) == replace(kept, used_s=150, expires_s=250)
    assert store.owned_object(kept.key, 249) is not None


def test_a_change_is_made_to_the_version_that_it_names(store: Store) -> None:
    first = keep(store, made("a"))
    assert store.put_owned_object(made("a", 101, data=b"mine"), MOST) is None
    second = keep(store, replace(first, data=b"2", used_s=110, expires_s=310))
    assert second == replace(first, data=b"2", version=2, used_s=110, expires_s=310)
    assert store.put_owned_object(replace(first, data=b"3"), MOST) is None
    assert store.owned_object(first.key, 110) == second


def test_a_change_that_is_made_twice_is_made_once_and_the_second_is_told_so(store: Store) -> None:
    first = keep(store, made("a"))
    assert store.put_owned_object(made("a"), MOST) is None
    second = keep(store, replace(first, data=b"2"))
    assert store.put_owned_object(replace(first, data=b"2"), MOST) is None
    assert store.owned_object(first.key, 100) == second


def test_one_is_forgotten_by_its_version_or_whatever_it_is(store: Store) -> None:
    kept = keep(store, made("a"))
    assert not store.drop_owned_object(kept.key, 2)
    assert store.drop_owned_object(kept.key, 1)
    assert not store.drop_owned_object(kept.key, 1)
    assert not store.drop_owned_object(kept.key, 0)
    assert listed(store) == ""


def test_they_are_listed_from_the_newest_on_and_as_many_as_are_wanted(store: Store) -> None:
    for name, at_s in (("b", 50), ("c", 70), ("a", 50), ("d", 60)):
        keep(store, made(name, at_s))
    store.use_owned_object(made("b").key, 90, 100)
    keep(store, made("e", 99, "bob"))
    assert (listed(store), listed(store, limit=2)) == ("cdab", "cd")


def test_of_too_many_those_of_the_owner_go_that_were_not_used_for_longest(store: Store) -> None:
    for name, at_s in (("a", 50), ("b", 51), ("c", 52)):
        keep(store, made(name, at_s), 3)
    keep(store, made("o", 1, "bob"), 3)
    keep(store, replace(made("k", 1), kind="interrupt"), 3)
    store.use_owned_object(made("a").key, 53, 100)
    keep(store, made("d", 54), 3)
    assert listed(store) == "dca"
    keep(store, made("e", 40), 1)
    assert listed(store) == "e"
    keep(store, replace(made("e", 55), version=1, data=b"2"), 1)
    assert (listed(store), listed(store, "bob")) == ("e", "o")
    assert store.owned_object(replace(made("k").key, kind="interrupt"), 100) is not None


def test_those_that_expired_are_forgotten_by_and_by(store: Store) -> None:
    for name, at_s in (("a", 10), ("b", 20), ("c", 30)):
        keep(store, made(name, at_s))
    assert store.drop_owned_objects(120, 1) == 1
    assert store.drop_owned_objects(120, 10) == 1
    assert store.drop_owned_objects(120, 10) == 0
    assert listed(store, now_s=1) == "c"


def test_of_many_that_make_one_at_once_one_is_first(store: Store) -> None:
    outcomes = in_parallel(lambda index: store.put_owned_object(made("a", data=b"%d" % index), MOST))
    kept = [one for one in outcomes if one is not None]
    assert len(outcomes) == THREADS
    assert kept == [store.owned_object(made("a").key, 100)]
    outcomes = in_parallel(lambda _: store.put_owned_object(made("b"), MOST))
    assert sum(one is not None for one in outcomes) == 1


def test_of_many_that_change_one_at_once_none_is_lost(store: Store) -> None:
    keep(store, made("a", data=b"0"))

    def add_one(index: int) -> None:
        done = False
        while not done:
            found = store.owned_object(made("a").key, 100)
            assert found is not None
            more = b"%s %d" % (found.data, index)
            done = store.put_owned_object(replace(found, data=more), MOST) is not None

    in_parallel(add_one)
    found = store.owned_object(made("a").key, 100)
    assert found is not None
    assert sorted(found.data.split()[1:]) == [b"%d" % index for index in range(THREADS)]

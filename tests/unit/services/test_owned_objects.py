"""Orders about owned objects, carried out by the clock of whoever does."""

from msgspec.structs import replace

from jotgate.core.owned_objects import (
    LIFE_MAX_S,
    OWNED_MAX,
    DropObject,
    FindObject,
    ListObjects,
    ObjectAnswer,
    ObjectKey,
    ObjectOrder,
    PutObject,
)
from jotgate.services.owned_objects import carry_out
from jotgate.stores.memory import MemoryStore

KEY = ObjectKey("conversation", "coze", "ann", "label")
NOTHING = ObjectAnswer(False)


class Bench:
    """A store and a clock."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.now_s = 100.9

    def do(self, order: ObjectOrder) -> ObjectAnswer:
        return carry_out(self.store, order, self.now_s)


def test_an_object_lives_for_as_long_as_was_ordered_and_longer_each_time_it_is_used() -> None:
    bench = Bench()
    made = bench.do(PutObject(KEY, b"1", 10))
    (kept,) = made.objects
    assert (made.done, kept.version, kept.created_s, kept.used_s, kept.expires_s) == (True, 1, 100, 100, 110)
    bench.now_s = 109
    assert bench.do(FindObject(KEY)).objects == (kept,)
    assert bench.do(FindObject(KEY, keep_s=10)).objects == (replace(kept, used_s=109, expires_s=119),)
    bench.now_s = 118
    assert bench.do(FindObject(KEY)).done
    bench.now_s = 119
    assert bench.do(FindObject(KEY)) == bench.do(FindObject(KEY, keep_s=10)) == NOTHING


def test_no_object_lives_for_ever_or_not_at_all() -> None:
    bench = Bench()
    assert bench.do(PutObject(KEY, b"", LIFE_MAX_S * 2)).objects[0].expires_s == 100 + LIFE_MAX_S
    assert bench.do(PutObject(replace(KEY, name="short"), b"", -5)).objects[0].expires_s == 101
    bench.now_s = 200
    assert bench.do(FindObject(KEY, LIFE_MAX_S * 2)).objects[0].expires_s == 200 + LIFE_MAX_S


def test_who_comes_second_is_told_what_stands() -> None:
    bench = Bench()
    first = bench.do(PutObject(KEY, b"mine", 10))
    assert bench.do(PutObject(KEY, b"yours", 10)) == ObjectAnswer(False, first.objects)
    assert bench.do(PutObject(KEY, b"mine", 10)) == ObjectAnswer(False, first.objects)
    assert bench.do(PutObject(KEY, b"new", 10, version=1)).objects[0].version == 2
    assert bench.do(DropObject(KEY)).done
    assert bench.do(PutObject(KEY, b"late", 10, version=2)) == NOTHING


def test_a_strangers_object_is_answered_exactly_as_one_that_nobody_has() -> None:
    bench = Bench()
    bench.do(PutObject(KEY, b"secret", 10))
    stranger, nobody = replace(KEY, owner="bob"), replace(KEY, owner="bob", name="made up")
    for make in (FindObject, lambda key: FindObject(key, 5), DropObject, lambda key: PutObject(key, b"x", 5, 1)):
        assert bench.do(make(stranger)) == bench.do(make(nobody)) == NOTHING
    assert bench.do(ListObjects("conversation", "coze", "bob")) == ObjectAnswer(True)
    assert bench.do(FindObject(KEY)).objects[0].data == b"secret"


def test_by_a_name_that_no_store_takes_there_is_nothing() -> None:
    bench = Bench()
    for name in ("a\0", "n" * 600, "\ud800"):
        key = replace(KEY, name=name)
        assert bench.do(FindObject(key)) == bench.do(FindObject(key, 5)) == bench.do(DropObject(key)) == NOTHING


def test_an_owner_has_so_many_and_sees_them_from_the_newest_on() -> None:
    bench = Bench()
    for index in range(OWNED_MAX + 2):
        bench.now_s = 100 + index / 10
        bench.do(PutObject(replace(KEY, name=f"{index:03}"), b"", 1_000))
    listed = bench.do(ListObjects("conversation", "coze", "ann", 10**9))
    assert len(listed.objects) == OWNED_MAX
    assert [one.created_s for one in listed.objects] == sorted((one.created_s for one in listed.objects), reverse=True)
    assert len(bench.do(ListObjects("conversation", "coze", "ann", 2)).objects) == 2
    assert not bench.do(FindObject(replace(KEY, name="000"))).done

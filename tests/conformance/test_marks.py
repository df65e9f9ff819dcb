"""Marks in every store: what counts once counts once, until its end."""

import pytest
from msgspec.structs import replace

from jotgate.core.durable import Mark
from jotgate.store_ports import Store
from tests.conformance.test_store import RANDOM
from tests.conformance.threads import THREADS, in_parallel

MARK = Mark("jti", "a", 100, b"\x00\xff")


def test_a_mark_stands_until_its_end(store: Store) -> None:
    assert store.mark(MARK, 1) is None
    again = replace(MARK, expires_at_s=200, content=b"other")
    assert store.mark(again, 99) == MARK
    assert store.mark(again, 100) is None
    assert store.mark(MARK, 101) == again


def test_marks_of_other_kinds_and_handles_are_others(store: Store) -> None:
    assert store.mark(MARK, 1) is None
    assert store.mark(replace(MARK, kind="request"), 1) is None
    assert store.mark(replace(MARK, handle="A"), 1) is None
    assert store.mark(replace(MARK, handle="a "), 1) is None


def test_a_mark_that_has_ended_already_holds_nobody_off(store: Store) -> None:
    assert store.mark(replace(MARK, expires_at_s=1), 1) is None
    assert store.mark(MARK, 1) is None
    assert store.mark(MARK, 1) == MARK


def test_of_several_at_once_one_marks_and_the_others_see_its_mark(store: Store) -> None:
    found = in_parallel(lambda index: store.mark(replace(MARK, content=str(index).encode()), 1))
    winner = found.index(None)
    assert [one for one in found if one is not None] == [replace(MARK, content=str(winner).encode())] * (THREADS - 1)


def test_of_several_who_renew_an_ended_mark_one_does(store: Store) -> None:
    store.mark(MARK, 1)
    found = in_parallel(lambda _: store.mark(replace(MARK, expires_at_s=200), 100))
    assert found.count(None) == 1


def test_a_mark_gets_its_content_later_and_may_be_taken_back(store: Store) -> None:
    store.mark(replace(MARK, content=b""), 1)
    store.fill_mark("jti", "a", b"done")
    store.fill_mark("jti", "b", b"nothing")
    store.fill_mark("other", "a", b"nothing")
    assert store.mark(MARK, 1) == replace(MARK, content=b"done")
    assert store.mark(replace(MARK, handle="b"), 1) is None
    store.drop_mark("jti", "a")
    store.drop_mark("jti", "a")
    assert store.mark(MARK, 1) is None
    assert store.mark(replace(MARK, handle="b"), 1) is not None


def test_a_mark_that_is_taken_back_while_others_mark_it_is_never_half_there(store: Store) -> None:
    """Somebody either marks it, or sees the whole of the one that stands."""

    def work(index: int) -> bool:
        for _ in range(20):
            found = store.mark(MARK, 1)
            if found is None:
                store.drop_mark("jti", "a")
            elif found != MARK:
                return False
        return True

    assert in_parallel(work) == [True] * THREADS


def test_marks_that_have_ended_are_forgotten_oldest_first(store: Store) -> None:
    for handle, end_s in (("a", 12), ("b", 11), ("c", 13)):
        store.mark(Mark("jti", handle, end_s), 1)
    assert store.drop_marks(10, 10) == 0
    assert store.drop_marks(12, 1) == 1
    assert store.mark(Mark("jti", "a", 12), 1) is not None
    assert store.mark(Mark("jti", "b", 11), 1) is None
    assert store.drop_marks(12, 10) == 2
    assert store.drop_marks(12, 10) == 0
    assert store.mark(Mark("jti", "c", 13), 1) is not None


def test_a_mark_that_is_renewed_meanwhile_is_not_forgotten(store: Store) -> None:
    """Upkeep that chose it while it had ended must not let the renewed one be used twice."""

    def work(index: int) -> object:
        if index % 2:
            return store.drop_marks(100, 10)
        return store.mark(replace(MARK, expires_at_s=200), 100)

    for _ in range(20):
        store.drop_mark("jti", "a")
        store.mark(MARK, 1)
        marked = in_parallel(work)[::2]
        assert marked.count(None) == 1
        assert store.mark(MARK, 100) is not None


@pytest.mark.parametrize("text", [RANDOM, "'; DROP TABLE jotgate_marks; --", "%s :a ?", "naïve ☃ 𝄞", ""])
def test_texts_are_kept_as_they_are(store: Store, text: str) -> None:
    assert store.mark(Mark("jti", text, 100), 1) is None
    assert store.mark(Mark("jti", text, 200), 1) == Mark("jti", text, 100)


def test_marks_of_a_kind_are_listed_by_handle_page_by_page(store: Store) -> None:
    for handle in ("000010", "000002", "000007"):
        store.mark(Mark("list 1", handle, 100, handle.encode()), 1)
    store.mark(Mark("list 2", "000003", 100), 1)
    first = store.marks_of("list 1", "", 2)
    assert [(one.handle, one.content) for one in first] == [("000002", b"000002"), ("000007", b"000007")]
    assert [one.handle for one in store.marks_of("list 1", "000007", 2)] == ["000010"]
    assert tuple(store.marks_of("list 3", "", 2)) == ()

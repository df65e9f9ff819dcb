"""Tokens that never expire in every store: their first and last sights, and which are forgotten first."""

from typing import Final

from msgspec.structs import replace

from jotgate.core.endless_tokens import EndlessToken
from jotgate.store_ports import Store
from tests.conformance import sample
from tests.conformance.threads import THREADS, in_parallel

SEEN: Final = sample.ENDLESS


def seen(digest: str, at_s: int, subject: str = "ann") -> EndlessToken:
    return replace(SEEN, digest=digest, subject=subject, first_seen_at_s=at_s, last_seen_at_s=at_s)


def listed(store: Store, subject: str = "", after: str = "", limit: int = 10) -> str:
    return "".join(one.digest for one in store.endless_tokens(subject, after, limit))


def span(store: Store, digest: str) -> tuple[int, int]:
    (found,) = [one for one in store.endless_tokens("", "", 1_000) if one.digest == digest]
    return found.first_seen_at_s, found.last_seen_at_s


def test_one_comes_back_as_it_was_seen(store: Store) -> None:
    silent = replace(SEEN, digest="60" * 32, token_id="", names=(), issued_at_s=None)
    store.see_endless_tokens([SEEN, silent])
    assert store.endless_tokens("", "", 10) == (SEEN, silent)


def test_seeing_nothing_changes_nothing(store: Store) -> None:
    store.see_endless_tokens([])
    assert store.endless_tokens("", "", 10) == ()
    assert store.known_endless_tokens([]) == frozenset()


def test_of_a_known_one_the_first_and_the_last_sight_are_kept_in_whatever_order_they_come(store: Store) -> None:
    for at_s in (50, 70, 30, 60, 50):
        store.see_endless_tokens([seen("a", at_s)])
    assert span(store, "a") == (30, 70)
    store.see_endless_tokens([replace(seen("a", 40), last_seen_at_s=90), seen("b", 1), seen("a", 20)])
    assert (span(store, "a"), span(store, "b")) == ((20, 90), (1, 1))


def test_what_else_is_known_of_one_stays_as_it_was_first_told(store: Store) -> None:
    store.see_endless_tokens([seen("a", 5)])
    store.see_endless_tokens([seen("a", 9, subject="bob")])
    assert listed(store, "ann") == "a"
    assert listed(store, "bob") == ""


def test_they_are_listed_by_digest_page_by_page_and_by_subject(store: Store) -> None:
    store.see_endless_tokens([seen("c", 1), seen("a", 2), seen("d", 3, "bob"), seen("b", 4)])
    assert (listed(store), listed(store, limit=2), listed(store, after="b")) == ("abcd", "ab", "cd")
    assert (listed(store, "bob"), listed(store, "ann", after="a"), listed(store, "ANN")) == ("d", "bc", "")


def test_a_store_says_which_it_knows(store: Store) -> None:
    store.see_endless_tokens([seen("a", 1), seen("b", 1)])
    assert store.known_endless_tokens(["b", "c", "a"]) == {"a", "b"}
    assert store.known_endless_tokens(["c"]) == frozenset()


def test_those_go_that_were_not_seen_for_so_long(store: Store) -> None:
    store.see_endless_tokens([seen("a", 10), seen("b", 11), seen("c", 9), seen("d", 8)])
    store.see_endless_tokens([seen("d", 12)])
    assert store.drop_endless_tokens(10, 100, 1) == 1
    assert listed(store) == "abd"
    assert store.drop_endless_tokens(10, 100, 10) == 1
    assert listed(store) == "bd"
    assert store.drop_endless_tokens(10, 100, 10) == 0


def test_of_too_many_those_go_that_were_not_seen_for_longest(store: Store) -> None:
    store.see_endless_tokens([seen(digest, at_s) for digest, at_s in (("a", 5), ("b", 2), ("c", 3), ("d", 4))])
    assert store.drop_endless_tokens(0, 3, 10) == 1
    assert listed(store) == "acd"
    assert store.drop_endless_tokens(3, 1, 10) == 2
    assert listed(store) == "a"
    store.see_endless_tokens([seen("b", 6), seen("c", 7)])
    assert store.drop_endless_tokens(5, 0, 2) == 2
    assert listed(store) == "c"


def test_sights_of_one_token_by_many_at_once_are_all_taken(store: Store) -> None:
    in_parallel(lambda index: store.see_endless_tokens([seen("a", 10 + index)]))
    assert span(store, "a") == (10, 9 + THREADS)

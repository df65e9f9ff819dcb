"""Refresh tokens of upstreams in every store: one for each, replaced by whoever has the newest, and erased."""

from typing import Final

from msgspec.structs import replace

from jotgate.core.upstream_logins import UpstreamLogin
from jotgate.store_ports import Store
from tests.conformance import sample
from tests.conformance.threads import THREADS, in_parallel

FIRST: Final = sample.UPSTREAM_LOGIN


def put(store: Store, record: UpstreamLogin) -> UpstreamLogin:
    version = store.put_upstream_login(record)
    assert version is not None
    return replace(record, version=version)


def test_one_comes_back_as_it_was_kept(store: Store) -> None:
    bare = replace(FIRST, upstream="bare", origin="5f" * 32, ends_at_s=None, under_way_s=None)
    kept = put(store, FIRST), put(store, bare)
    assert store.upstream_login("coze") == kept[0]
    assert store.upstream_logins() == (kept[1], kept[0]), "by name"
    assert (store.upstream_login("Coze"), store.upstream_login("")) == (None, None)


def test_those_of_one_upstream_for_different_callers_know_nothing_of_one_another(store: Store) -> None:
    ours, hers = put(store, FIRST), put(store, replace(FIRST, holder="ann", fault="withdrawn", faulted_at_s=9))
    assert store.upstream_login("coze") == ours
    assert store.upstream_login("coze", "ann") == hers
    assert store.upstream_login("coze", "Ann") is None
    assert store.upstream_logins() == (ours, hers)
    assert store.drop_upstream_login("coze")
    assert store.upstream_logins() == (hers,)
    assert store.put_upstream_login(replace(hers, fault="")) is not None
    assert not store.drop_upstream_login("coze", "bob")
    assert store.drop_upstream_login("coze", "ann")


def test_only_whoever_knows_the_newest_replaces_it(store: Store) -> None:
    first = put(store, FIRST)
    second = put(store, replace(first, sealed=b"second", under_way_s=None))
    assert second.version > first.version
    assert store.put_upstream_login(replace(first, sealed=b"late")) is None
    assert store.put_upstream_login(replace(FIRST, sealed=b"new")) is None
    assert store.upstream_login("coze") == second


def test_what_was_begun_before_a_logout_is_not_kept_behind_it_and_takes_no_later_login_for_its_own(
    store: Store,
) -> None:
    before = put(store, FIRST)
    assert store.drop_upstream_login("coze")
    assert store.upstream_logins() == ()
    assert not store.drop_upstream_login("coze")
    assert store.put_upstream_login(replace(before, sealed=b"successor")) is None
    later = put(store, FIRST)
    assert store.put_upstream_login(replace(before, sealed=b"successor")) is None
    assert store.upstream_login("coze") == later


def test_of_many_at_once_one_is_kept(store: Store) -> None:
    first = put(store, FIRST)
    found = in_parallel(lambda index: store.put_upstream_login(replace(first, sealed=bytes([index]))))
    assert [one is None for one in found].count(True) == THREADS - 1

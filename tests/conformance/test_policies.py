"""The policies of a store: one set, replaced as a whole by whoever has seen the last one."""

from msgspec.structs import replace

from jotgate.core.durable import Versions
from jotgate.core.policy_values import KeptPolicies, PolicyRecord
from jotgate.store_ports import Store
from tests.conformance.threads import in_parallel

FIRST = PolicyRecord("z-first", b'{"name":"z-first","effect":"deny"}\x00\xff', created_at_s=5)
SECOND = PolicyRecord("a-second", b"{}", created_at_s=6)


def test_there_are_none_at_first(store: Store) -> None:
    assert store.policies() == KeptPolicies(0, ())
    assert store.versions() == Versions(0, 0, 0)


def test_a_set_is_kept_in_its_order(store: Store) -> None:
    assert store.put_policies(0, (FIRST, SECOND)) == 1
    assert store.policies() == KeptPolicies(1, (replace(FIRST, version=1), replace(SECOND, version=1)))
    assert store.versions() == Versions(0, 0, 0, 0, 1)


def test_what_stays_keeps_its_version_and_what_is_new_has_that_of_the_set(store: Store) -> None:
    store.put_policies(0, (FIRST, SECOND))
    stays = replace(SECOND, version=1)
    new = PolicyRecord("m", b"[]", created_at_s=7)
    assert store.put_policies(1, (new, stays)) == 2
    assert store.policies() == KeptPolicies(2, (replace(new, version=2), stays))


def test_an_empty_set_is_one_too(store: Store) -> None:
    store.put_policies(0, (FIRST,))
    assert store.put_policies(1, ()) == 2
    assert store.policies() == KeptPolicies(2, ())


def test_a_set_is_replaced_only_by_who_has_seen_the_last_one(store: Store) -> None:
    assert store.put_policies(1, (FIRST,)) is None
    assert store.put_policies(0, (FIRST,)) == 1
    assert store.put_policies(0, (SECOND,)) is None
    assert store.policies().records == (replace(FIRST, version=1),)


def test_of_several_at_once_one_is_done(store: Store) -> None:
    found = in_parallel(lambda index: store.put_policies(0, (PolicyRecord(f"p{index}", b"{}"),)))
    (winner,) = [index for index, version in enumerate(found) if version is not None]
    assert store.policies() == KeptPolicies(1, (PolicyRecord(f"p{winner}", b"{}", 1),))


def test_a_large_set_comes_back_whole(store: Store) -> None:
    many = tuple(PolicyRecord(f"p{number}", b"{}" * 100, 0, number) for number in range(2_000))
    store.put_policies(0, many)
    assert [record.name for record in store.policies().records] == [record.name for record in many]

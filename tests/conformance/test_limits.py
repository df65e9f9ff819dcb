"""Limits that are kept for holders: each holder's as a whole, replaced by whoever has seen the last."""

from msgspec.structs import replace

from jotgate.core.durable import Versions
from jotgate.core.limit_records import LimitRecord
from jotgate.core.quotas import Level, Limit
from jotgate.store_ports import Store
from tests.conformance.threads import in_parallel

LIMITS = (Limit("requests", 10, "day", "Europe/Berlin"), Limit("cost", 2**60))
ANN = LimitRecord(level="principal", holder="iss ann", title="ann", limits=LIMITS, created_at_s=1, updated_at_s=2)


def of(level: Level, holder: str) -> LimitRecord:
    """The limits of somebody else."""
    return replace(ANN, level=level, holder=holder)


def test_there_are_none_at_first(store: Store) -> None:
    assert (store.limits(("", ""), 10), store.limits_of([("principal", "iss ann")]), store.limits_of([])) == (
        (),
        (),
        (),
    )
    assert store.versions().limits == 0


def test_limits_are_kept_and_found(store: Store) -> None:
    assert store.put_limits(ANN) == 1
    assert store.limits_of([("client", "iss ann"), ("principal", "iss ann"), ("principal", "iss ann")]) == (
        replace(ANN, version=1),
    )
    assert store.versions() == Versions(0, 0, 0, limits=1)


def test_those_of_several_come_by_level_and_holder(store: Store) -> None:
    for record in (of("tenant", "a"), of("client", "z"), of("client", "B"), of("client", "a")):
        store.put_limits(record)
    found = [(one.level, one.holder) for one in store.limits(("", ""), 10)]
    assert found == [("client", "B"), ("client", "a"), ("client", "z"), ("tenant", "a")]
    assert [one.holder for one in store.limits(("client", "B"), 2)] == ["a", "z"]
    assert [one.holder for one in store.limits_of([("tenant", "a"), ("client", "z")])] == ["z", "a"]


def test_they_are_changed_by_whoever_has_seen_the_last(store: Store) -> None:
    store.put_limits(ANN)
    assert store.put_limits(ANN) is None
    assert store.put_limits(replace(ANN, version=1, limits=LIMITS[:1])) == 2
    assert store.put_limits(replace(ANN, version=1)) is None
    assert store.limits(("", ""), 10) == (replace(ANN, version=2, limits=LIMITS[:1]),)


def test_who_has_none_is_forgotten(store: Store) -> None:
    store.put_limits(ANN)
    assert store.put_limits(replace(ANN, limits=())) is None
    assert store.put_limits(replace(ANN, version=1, limits=())) == 2
    assert store.limits(("", ""), 10) == ()
    assert store.versions().limits == 2
    assert store.put_limits(ANN) == 3


def test_of_several_at_once_one_is_done(store: Store) -> None:
    found = in_parallel(lambda index: store.put_limits(replace(ANN, title=str(index))))
    (winner,) = [index for index, version in enumerate(found) if version is not None]
    assert [one.title for one in store.limits(("", ""), 10)] == [str(winner)]


def test_a_limit_can_go_by_the_clocks_that_windows_go_by(store: Store) -> None:
    names = ("UTC", "Europe/Berlin", "Mars/Base", "../zone", "")
    assert [store.knows_zone(name) for name in names] == [True, True, False, False, False]

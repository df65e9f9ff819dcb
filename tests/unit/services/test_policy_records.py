"""A set of policies takes the place of another, by compare-and-set."""

import msgspec
import pytest

from jotgate.core.faults import Fault
from jotgate.core.policy_orders import PolicyOrder
from jotgate.core.policy_values import PolicyRecord
from jotgate.errors import CommandError, ConfigurationError, RecordChanged
from jotgate.services.policy_records import carry_out, details_of
from jotgate.store_ports import Store
from jotgate.stores.memory import MemoryStore

ONE = {"name": "one", "effect": "allow"}
TWO = {"name": "two", "effect": "deny", "reason": "No."}


def sound(_: object) -> list[Fault]:
    """Nothing is wrong."""
    return []


def order(*tables: dict[str, str], version: int | None = None) -> PolicyOrder:
    """An order to apply these."""
    return PolicyOrder(action="apply", tables=msgspec.json.encode(tables).decode(), version=version)


@pytest.fixture
def store() -> Store:
    return MemoryStore()


def test_a_set_is_kept_with_when_each_of_it_came(store: Store) -> None:
    assert carry_out(store, order(ONE), sound, 5.9) is not None
    changed = carry_out(store, order(TWO, ONE), sound, 9.0)
    assert changed is not None
    assert [(one.name, one.version, one.created_at_s) for one in store.policies().records] == [
        ("two", 2, 9),
        ("one", 1, 5),
    ]
    assert changed.after == store.policies()
    assert details_of(changed) == {"version": 2, "policies": 2, "added": "two", "changed": "", "removed": ""}


def test_one_that_changes_keeps_when_it_came(store: Store) -> None:
    carry_out(store, order(TWO), sound, 5.0)
    carry_out(store, order({**TWO, "reason": "Never."}), sound, 9.0)
    (kept,) = store.policies().records
    assert (kept.version, kept.created_at_s) == (2, 5)


def test_what_changes_nothing_is_no_change(store: Store) -> None:
    carry_out(store, order(ONE, TWO), sound, 1.0)
    assert carry_out(store, order(ONE, TWO), sound, 2.0) is None
    assert carry_out(store, PolicyOrder(action="list"), sound, 2.0) is None
    assert carry_out(store, order(TWO, ONE), sound, 2.0) is not None  # the order is part of what they say


def test_who_has_not_seen_the_last_set_changes_nothing(store: Store) -> None:
    carry_out(store, order(ONE), sound, 1.0)
    with pytest.raises(RecordChanged):
        carry_out(store, order(TWO, version=0), sound, 1.0)
    assert carry_out(store, order(TWO, version=1), sound, 1.0) is not None


class Overtaken(MemoryStore):
    """Somebody else is quicker each time."""

    def put_policies(self, version: int, records: object) -> int | None:
        super().put_policies(version, (PolicyRecord("quick", b'{"name":"quick","effect":"allow"}'),))
        return None


def test_who_is_overtaken_is_told_so() -> None:
    store = Overtaken()
    with pytest.raises(RecordChanged):
        carry_out(store, order(ONE), sound, 1.0)
    assert [one.name for one in store.policies().records] == ["quick"]


def test_nothing_is_kept_that_has_a_fault(store: Store) -> None:
    with pytest.raises(ConfigurationError) as caught:
        carry_out(store, order(ONE, {"name": "two"}), lambda _: [("policies[0].name", "is taken")], 1.0)
    assert [path for path, _ in caught.value.faults] == ["policies[1].effect", "policies[0].name"]
    with pytest.raises(CommandError):
        carry_out(store, PolicyOrder(action="apply", tables="x"), sound, 1.0)
    assert store.policies().version == 0


def test_the_audit_log_names_the_first_of_many(store: Store) -> None:
    change = carry_out(store, order(*({"name": f"p{n}", "effect": "allow"} for n in range(30))), sound, 1.0)
    assert change is not None
    assert str(details_of(change)["added"]).endswith("p19 and 10 more")

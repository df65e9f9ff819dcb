"""What the operator orders of the store's issuers: kept once, by its version, and only if it has no fault."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from jotgate.core.durable import IssuerRecord
from jotgate.core.faults import Fault
from jotgate.core.issuer_orders import IssuerOrder
from jotgate.errors import CommandError, ConfigurationError, RecordChanged, RecordExists, RecordMissing
from jotgate.services.issuer_records import carry_out
from jotgate.stores.memory import MemoryStore

ENTRY = '{"name":"idp","issuer":"https://idp.example"}'


def sound(_: IssuerRecord) -> Sequence[Fault]:
    return ()


class Meddled(MemoryStore):
    """A store that somebody else writes to between reading and writing."""

    def put_issuer(self, record: IssuerRecord) -> int | None:
        for one in self.issuers():
            super().put_issuer(one)
        return super().put_issuer(record)

    def drop_issuer(self, name: str, version: int) -> bool:
        return super().drop_issuer(name, version - 1)


def test_an_issuer_is_added_switched_and_removed() -> None:
    store = MemoryStore()
    added = carry_out(store, IssuerOrder(action="add", table=ENTRY), sound, 100.9)
    assert added is not None
    assert (added.event, added.record.name, added.record.version) == ("issuer.added", "idp", 1)
    assert [(one.content, one.enabled, one.created_at_s) for one in store.issuers()] == [(ENTRY.encode(), True, 100)]
    off = carry_out(store, IssuerOrder(action="disable", name="idp"), sound, 200)
    assert off is not None
    assert (off.event, off.record.enabled, off.record.updated_at_s) == ("issuer.disabled", False, 200)
    version = store.versions().issuers
    assert carry_out(store, IssuerOrder(action="disable", name="idp"), sound, 300) is None
    assert carry_out(store, IssuerOrder(action="list"), sound, 300) is None
    assert store.versions().issuers == version
    on = carry_out(store, IssuerOrder(action="enable", name="idp"), sound, 300)
    assert on is not None
    assert on.event == "issuer.enabled"
    gone = carry_out(store, IssuerOrder(action="remove", name="idp"), sound, 400)
    assert gone is not None
    assert (gone.event, list(store.issuers())) == ("issuer.removed", [])


def test_what_is_there_or_is_not_is_told() -> None:
    store = MemoryStore()
    carry_out(store, IssuerOrder(action="add", table=ENTRY), sound, 1)
    with pytest.raises(RecordExists, match="has an issuer 'idp' already"):
        carry_out(store, IssuerOrder(action="add", table=ENTRY), sound, 1)
    for action in ("remove", "enable", "disable"):
        with pytest.raises(RecordMissing, match="has no issuer 'x'"):
            carry_out(store, IssuerOrder(action=action, name="x"), sound, 1)


@pytest.mark.parametrize("table", ["", "[]", "{}", '{"name":7}', "\ud800", "[" * 9999])
def test_an_entry_without_a_name_is_refused(table: str) -> None:
    with pytest.raises(CommandError, match="has no name"):
        carry_out(MemoryStore(), IssuerOrder(action="add", table=table), sound, 1)


@pytest.mark.parametrize("name", ["a\\u0000b", "\\ud800", "x" * 3000])
def test_a_name_that_no_database_takes_is_refused(name: str) -> None:
    store = MemoryStore()
    with pytest.raises(CommandError):
        carry_out(store, IssuerOrder(action="add", table=f'{{"name":"{name}"}}'), sound, 1)
    assert list(store.issuers()) == []


def test_what_has_a_fault_is_not_kept() -> None:
    store = MemoryStore()
    with pytest.raises(ConfigurationError):
        carry_out(store, IssuerOrder(action="add", table=ENTRY), lambda _: [("issuer", "is not one")], 1)
    assert list(store.issuers()) == []


def test_of_two_at_once_one_is_told() -> None:
    store = Meddled()
    store.put_issuer(IssuerRecord("idp", ENTRY.encode()))
    for action in ("disable", "remove"):
        with pytest.raises(RecordChanged, match="was changed by somebody else"):
            carry_out(store, IssuerOrder(action=action, name="idp"), sound, 1)
    (one,) = store.issuers()
    assert replace(one, version=1).enabled


def test_a_version_is_removed_while_it_stands_and_another_one_is_not() -> None:
    store = MemoryStore()
    added = carry_out(store, IssuerOrder(action="add", table=ENTRY, off=True), sound, 1)
    assert added is not None
    assert not added.record.enabled
    with pytest.raises(RecordChanged):
        carry_out(store, IssuerOrder(action="remove", name="idp", version=added.record.version + 1), sound, 2)
    assert carry_out(store, IssuerOrder(action="remove", name="idp", version=added.record.version), sound, 2)

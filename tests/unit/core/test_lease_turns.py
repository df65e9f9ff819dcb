"""A turn of the ledger by itself; `tests/conformance/test_ledger.py` has its rules, in every store."""

import pytest

from jotgate.core.lease_turns import Book, accounts_of, carry_out, expire, names_of, windows_of
from jotgate.core.ledger import LeaseAsk
from jotgate.core.ledger_records import Lease, MeterAccount, new_account
from jotgate.core.meters import meter_of
from jotgate.core.quota_windows import ENDLESS
from jotgate.core.quotas import Limit, Quota

NOW_MS = 1_800_000_000_000
METER = meter_of(Quota("q", Limit("requests", 10)), ("iss ann",))


def lease(name: str, units: int, not_after_ms: int = NOW_MS + 5) -> Lease:
    """An open lease."""
    return Lease(
        lease_id=name,
        meter=METER.key,
        window_s=0,
        units=units,
        granted_at_ms=NOW_MS - 10,
        spend_until_ms=NOW_MS,
        not_after_ms=not_after_ms,
    )


def account(leased: int) -> MeterAccount:
    """The account of which these are."""
    fresh = new_account(METER, ENDLESS, NOW_MS // 1_000)
    book = Book([fresh], [], NOW_MS)
    carry_out(book, [LeaseAsk("all", METER, want=leased, least=1)], {METER.key: ENDLESS})
    return book.accounts[fresh.place]


def test_only_what_changed_is_to_be_kept() -> None:
    book = Book([account(5)], [lease("a", 3), lease("b", 2)], NOW_MS)
    carry_out(book, [LeaseAsk("", METER, previous="a", spent=1)], {METER.key: ENDLESS})
    assert list(book.changed_leases) == ["a"]
    assert [(one.posted, one.leased) for one in book.changed_accounts.values()] == [(1, 2)]


def test_a_refused_ask_changes_nothing() -> None:
    book = Book([account(10)], [lease("a", 10)], NOW_MS)
    (answer,) = carry_out(book, [LeaseAsk("b", METER, want=1, least=1)], {METER.key: ENDLESS})
    assert (answer.units, book.changed_leases, book.changed_accounts) == (0, {}, {})


@pytest.mark.parametrize(("not_after_ms", "expired"), [(NOW_MS, 0), (NOW_MS - 1, 1)])
def test_a_lease_is_its_takers_until_its_last_millisecond(not_after_ms: int, expired: int) -> None:
    book = Book([account(3)], [lease("a", 3, not_after_ms)], NOW_MS)
    assert expire(book) == expired


def test_a_turn_needs_the_leases_that_are_named_and_the_accounts_of_now() -> None:
    asks = [LeaseAsk("b", METER, previous="a"), LeaseAsk("", METER, previous="b")]
    assert names_of(asks) == {"a", "b"}
    windows = windows_of([METER], NOW_MS, lambda _: None)
    assert windows == {METER.key: ENDLESS}
    assert list(accounts_of(asks, windows, NOW_MS)) == [(METER.key, 0)]
    assert accounts_of(asks, {METER.key: None}, NOW_MS) == {}

"""Orders about quotas: limits of holders are set by compare-and-set, shown as they stand, forgotten when asked."""

from typing import Final

import pytest

from jotgate.core.ledger import LeaseAsk
from jotgate.core.meters import meter_of
from jotgate.core.quota_orders import QuotaAnswer, QuotaOrder, QuotaQuestion
from jotgate.core.quota_rules import QuotaRule
from jotgate.core.quotas import Level, Limit, Meter, Quota, Spender, TokenLimit
from jotgate.core.revocations import token_handle
from jotgate.core.spenders import Surroundings
from jotgate.errors import CommandError, RecordChanged
from jotgate.services.quota_desk import PAGE, QuotaDesk, describe_spender
from jotgate.stores.memory import MemoryStore

_OWN: Final = "https://gate.example"
_NOW_S: Final = 1_700_000_000.0
_DAILY: Final = Limit("requests", 10, "day")
_RULES: Final = (
    QuotaRule(quota=Quota("each", Limit("requests", 100, "day"))),
    QuotaRule(quota=Quota("acme", Limit("total_tokens", 500, "month"), ("tenant",)), tenants=("acme",)),
    QuotaRule(quota=Quota("bob", Limit("requests", 4, "hour")), subjects=("bob",)),
    QuotaRule(quota=Quota("pairs", Limit("requests", 7, "hour"), ("principal", "model"))),
)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(now_s=lambda: _NOW_S)


@pytest.fixture
def desk() -> QuotaDesk:
    around = Surroundings(_OWN, {"https://idp.example": "idp"}, frozenset({"small"}), {"idp": 1_000})
    return QuotaDesk(_RULES, around)


def order(desk: QuotaDesk, store: MemoryStore, action: str, level: str = "principal", **more: object) -> QuotaAnswer:
    """Carry an order out."""
    answer, _ = desk.carry_out(store, QuotaOrder(action=action, level=level, **more), _NOW_S)  # type: ignore[arg-type]
    return answer


def spend(store: MemoryStore, meter: Meter, units: int) -> None:
    """Lease units of an account, and post them."""
    (lease,) = store.turn([LeaseAsk("a", meter, want=units, least=units)])
    store.turn([LeaseAsk("", meter, previous=lease.lease_id, spent=units)])


def of_alice(limit: Limit = _DAILY) -> Meter:
    return meter_of(Quota("", limit), (token_handle(_OWN, "alice"),))


def test_limits_that_are_set_are_shown_with_what_is_left(desk: QuotaDesk, store: MemoryStore) -> None:
    (set_,) = order(desk, store, "set", name="alice", limits=("10 requests/day", "2 concurrent")).holders
    assert set_.limits == ["10 requests/day", "2 concurrent"]
    spend(store, of_alice(), 3)

    (shown,) = order(desk, store, "show", name="alice").holders
    first = shown.quotas[0]
    assert (first.source, first.amount, first.spent, first.left) == ("store", 10, 3, 7)
    assert shown.version == set_.version > 0


def test_the_smaller_of_two_limits_of_one_account_is_the_one_that_is_shown(desk: QuotaDesk, store: MemoryStore) -> None:
    order(desk, store, "set", name="alice", limits=("10 requests/day",))
    assert [one.quota for one in order(desk, store, "show", name="alice").holders[0].quotas] == [
        "principal 10 requests/day"
    ]
    order(desk, store, "set", name="alice", limits=("1000 requests/day",))
    assert [one.quota for one in order(desk, store, "show", name="alice").holders[0].quotas] == ["each"]


@pytest.mark.parametrize(
    ("level", "name", "wanted"),
    [
        ("principal", "bob", {"each", "bob"}),
        ("principal", "ann", {"each"}),
        ("principal", "idp/ann", {"each"}),
        ("tenant", "acme", {"acme"}),
        ("tenant", "other", set()),
        ("client", "app", set()),
    ],
)
def test_a_holder_is_shown_the_rules_that_count_by_it_alone(
    desk: QuotaDesk, store: MemoryStore, level: Level, name: str, wanted: set[str]
) -> None:
    (shown,) = order(desk, store, "show", level, name=name).holders
    assert {one.quota for one in shown.quotas} == wanted


def test_whoever_has_the_requests_of_a_profile_is_shown_them(store: MemoryStore) -> None:
    desk = QuotaDesk((), Surroundings(_OWN, {"https://idp.example": "idp"}, frozenset(), {"idp": 1_000}))
    (shown,) = order(desk, store, "show", name="idp/ann").holders
    assert [(one.source, one.amount) for one in shown.quotas] == [("profile", 1_000)]
    assert not order(desk, store, "show", name="ann").holders[0].quotas


def test_what_was_spent_is_forgotten_and_limits_stay(desk: QuotaDesk, store: MemoryStore) -> None:
    order(desk, store, "set", name="alice", limits=("10 requests/day",))
    spend(store, of_alice(), 10)
    answer, change = desk.carry_out(store, QuotaOrder(action="reset", level="principal", name="alice"), _NOW_S)
    assert [(one.spent, one.left) for one in answer.holders[0].quotas] == [(0, 10)]
    assert change is not None
    assert change.event == "quota.reset"
    assert "10" in str(change.details["spent"])


def test_nothing_is_reset_where_nothing_counts(desk: QuotaDesk, store: MemoryStore) -> None:
    with pytest.raises(CommandError, match="nothing to reset"):
        order(desk, store, "reset", "client", name="app")


def test_limits_of_another_version_are_not_replaced(desk: QuotaDesk, store: MemoryStore) -> None:
    (first,) = order(desk, store, "set", name="alice", limits=("10 requests/day",), version=0).holders
    with pytest.raises(RecordChanged):
        order(desk, store, "set", name="alice", limits=("20 requests/day",), version=0)
    (second,) = order(desk, store, "set", name="alice", limits=(), version=first.version).holders
    assert second.limits == []


def test_an_order_that_changes_nothing_is_no_change(desk: QuotaDesk, store: MemoryStore) -> None:
    same = QuotaOrder(action="set", level="tenant", name="acme", limits=("5 USD/month",))
    _, first = desk.carry_out(store, same, _NOW_S)
    _, second = desk.carry_out(store, same, _NOW_S)
    assert first is not None
    assert first.details == {"level": "tenant", "name": "acme", "limits": "5 USD/month"}
    assert second is None


@pytest.mark.parametrize(
    "wrong",
    [
        QuotaOrder(action="set", limits=("1 request",)),
        QuotaOrder(action="reset", level="principal"),
        QuotaOrder(action="set", level="principal", name="a", limits=("1 apple",)),
        QuotaOrder(action="set", level="principal", name="a", limits=("1 request/day in Mars/Olympus",)),
    ],
)
def test_an_order_about_nobody_or_nothing_is_refused(desk: QuotaDesk, store: MemoryStore, wrong: QuotaOrder) -> None:
    with pytest.raises(CommandError):
        desk.carry_out(store, wrong, _NOW_S)
    assert not store.limits(("", ""), 1)


def test_all_holders_are_listed_in_parts(desk: QuotaDesk, store: MemoryStore) -> None:
    names = [f"user{number:04}" for number in range(PAGE + 1)]
    for name in names:
        order(desk, store, "set", name=name, limits=("1 request/day",))
    first, _ = desk.carry_out(store, QuotaOrder(action="show"), _NOW_S)
    assert first.after is not None
    second, _ = desk.carry_out(store, QuotaOrder(action="show", after=first.after), _NOW_S)
    assert [one.name for one in (*first.holders, *second.holders)] == names
    assert second.after is None
    assert {one.name for one in first.rules} == {"each", "acme", "bob", "pairs"}


def test_the_quotas_of_a_call_come_with_their_sources_and_the_one_that_refuses(
    desk: QuotaDesk, store: MemoryStore
) -> None:
    order(desk, store, "set", "client", name="app", limits=("3 concurrent",))
    brought = Limit("requests", 2)
    token = token_handle(_OWN, "t1")
    spender = Spender(_OWN, "bob", "app", "acme", token, limits=(TokenLimit(brought),))
    spend(store, meter_of(Quota("", brought, ("token",)), (token,)), 2)

    found = desk.explain(store, QuotaQuestion(subject="bob", model="small"), spender)
    assert {(one.quota, one.source) for one in found.quotas} == {
        ("token 2 requests", "token"),
        ("client 3 concurrent", "store"),
        ("each", "rule"),
        ("acme", "rule"),
        ("bob", "rule"),
        ("pairs", "rule"),
    }
    assert found.refused_by == ["token 2 requests"]


def test_a_caller_that_is_described_needs_a_name() -> None:
    with pytest.raises(CommandError):
        describe_spender(QuotaQuestion(), _OWN)
    assert describe_spender(QuotaQuestion(subject="ann"), _OWN).issuer == _OWN


def test_the_stricter_of_two_stored_limits_of_one_account_is_shown(desk: QuotaDesk, store: MemoryStore) -> None:
    for limits in (("3 requests/day", "20 requests/day"), ("20 requests/day", "3 requests/day")):
        (view,) = order(desk, store, "set", name="alice", limits=limits).holders
        assert [one.quota for one in view.quotas if one.per == ("principal",)] == ["principal 3 requests/day"]


def test_the_daily_limit_of_a_profile_is_not_shown_where_another_takes_its_place(
    desk: QuotaDesk, store: MemoryStore
) -> None:
    bare = QuotaDesk((), desk.around)
    (view,) = order(bare, store, "show", name="idp/ann").holders
    assert [one.quota for one in view.quotas] == ["subject"]
    (view,) = order(bare, store, "set", name="idp/ann", limits=("5000 requests/month",)).holders
    assert [one.quota for one in view.quotas] == ["principal 5000 requests/month"]
    (view,) = order(bare, store, "set", name="idp/ann", limits=("9 requests/60s", "9 tokens/day")).holders
    assert "subject" in [one.quota for one in view.quotas], "a rate does not say how many, and tokens are no requests"


def test_it_says_how_many_units_are_taken_ahead(desk: QuotaDesk, store: MemoryStore) -> None:
    (view,) = order(desk, store, "set", name="carl", limits=("31 requests/hour", "3200 tokens/hour")).holders
    assert {one.unit: one.ahead for one in view.quotas if one.source == "store"} == {"requests": 1, "total_tokens": 200}


def test_who_limits_money_is_told_where_no_price_is_known(store: MemoryStore, desk: QuotaDesk) -> None:
    unknown = QuotaDesk((), desk.around, ("'m' at 'u'",))
    (view,) = order(unknown, store, "set", name="alice", limits=("5 USD/month",)).holders
    assert "'m' at 'u'" in view.warnings[0]
    assert order(unknown, store, "set", name="alice", limits=("5 requests",)).holders[0].warnings == []

"""Every limit that speaks of a call meets it, each account once, and of two on one account the smaller one stands."""

from msgspec.structs import replace

from jotgate.core.issuers import QuotaClaim
from jotgate.core.limit_texts import read_limit
from jotgate.core.plans import find_plan, needs_plans, stricter
from jotgate.core.quota_rules import QuotaRule
from jotgate.core.quotas import Level, Limit, Meter, Quota, Spender, TokenLimit
from jotgate.core.snapshot import Snapshot
from jotgate.core.spenders import Surroundings, spending_of
from tests.callers import own_issuer

_AROUND = Surroundings("https://own", {}, frozenset({"gpt"}))
_ALICE = Spender("https://own", "alice", "app", "acme", "https://own t1", ("https://own t0",))


def rule(text: str, *per: Level, name: str = "rule") -> QuotaRule:
    return QuotaRule(quota=Quota(name, read_limit(text), per))


def plan(
    *rules: QuotaRule, spender: Spender = _ALICE, held: dict[tuple[Level, str], tuple[Limit, ...]] | None = None
) -> tuple[Meter, ...]:
    return find_plan(spender, spending_of(spender, "gpt", "chat.completions", _AROUND), rules, held or {})


def told(meters: tuple[Meter, ...]) -> list[tuple[str, int]]:
    return [(meter.quota.name, meter.quota.limit.amount) for meter in meters]


def test_nothing_meets_a_call_of_which_no_limit_speaks() -> None:
    assert plan() == ()
    assert plan(rule("5 requests/day", "tool")) == ()


def test_limits_of_the_token_of_the_store_and_of_rules_all_apply_the_narrowest_first() -> None:
    spender = Spender(
        "https://own", "alice", "app", "acme", "https://own t1", ("https://own t0",),
        limits=(TokenLimit(Limit("requests", 3)), TokenLimit(Limit("requests", 7), "https://own t0")),
    )  # fmt: skip
    held: dict[tuple[Level, str], tuple[Limit, ...]] = {
        ("token", "https://own t0"): (read_limit("40 tokens"),),
        ("principal", "https://own alice"): (read_limit("50 requests/day"), read_limit("2 concurrent")),
        ("model", "gpt"): (read_limit("60 requests/hour"),),
        ("principal", "https://own bob"): (read_limit("1 request"),),
    }
    rules = (rule("90 requests/day", name="all"), rule("80 requests/day", "tenant", name="tenants"))
    assert told(plan(*rules, spender=spender, held=held)) == [
        ("token 3 requests", 3),
        ("ancestor 7 requests", 7),
        ("ancestor 40 tokens", 40),
        ("principal 50 requests/day", 50),
        ("principal 2 concurrent", 2),
        ("tenants", 80),
        ("model 60 requests/hour", 60),
        ("all", 90),
    ]


def test_of_limits_that_count_on_one_account_the_smallest_stands() -> None:
    rules = (rule("9 requests/day", "principal", name="much"), rule("4 requests/day", "principal", name="little"))
    assert told(plan(*rules)) == told(plan(*reversed(rules))) == [("little", 4)]
    held: dict[tuple[Level, str], tuple[Limit, ...]] = {
        ("principal", "https://own alice"): (read_limit("0 requests/day"),)
    }
    assert [limit for _, limit in told(plan(*rules, held=held))] == [0]
    assert len(plan(*rules, rule("4 requests/hour", "principal"))) == 2, "another window is another account"


def test_an_account_has_one_name_whichever_call_and_source_leads_to_it() -> None:
    of_child = plan(held={("token", "https://own t0"): (read_limit("9 requests"),)})
    parent = Spender(
        "https://own", "alice", "app", "acme", "https://own t0", limits=(TokenLimit(Limit("requests", 9)),)
    )
    assert [one.key for one in of_child] == [one.key for one in plan(spender=parent)]


def test_of_rates_on_one_account_the_smaller_amount_and_the_smaller_burst_stand() -> None:
    (slow,) = plan(rule("60 requests/60s", "principal", name="slow"))
    (even,) = plan(rule("90 requests/60s burst 5", "principal", name="even"))
    for one in (stricter(slow, even), stricter(even, slow)):
        assert (one.quota.name, one.quota.limit) == ("slow", read_limit("60 requests/60s burst 5"))
    (tight,) = plan(rule("60 requests/60s burst 2", "principal", name="tight"))
    assert stricter(tight, even) == tight
    (wide,) = plan(rule("70 requests/60s", "principal"))
    assert stricter(slow, wide) == slow, "a burst that is not said is the whole amount"


def test_plans_are_needed_where_there_are_rules_or_kept_limits() -> None:
    bare = Snapshot(1, (own_issuer(b"{}"),), (), ())
    ruled = Snapshot(1, (own_issuer(b"{}"),), (), (), quotas=(rule("9 requests/day"),))
    assert [needs_plans(bare, kept=False), needs_plans(bare, kept=True), needs_plans(ruled, kept=False)] == [0, 1, 1]
    daemon = replace(own_issuer(b"{}"), name="daemon", quota=QuotaClaim("quota", absent=100, daily=1_000))
    bounded = Snapshot(1, (own_issuer(b"{}"), daemon), (), ())
    assert needs_plans(bounded, kept=False), "its subjects have a limit, whatever token speaks for them"

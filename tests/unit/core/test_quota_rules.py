"""Of which calls a rule speaks, and on which accounts they count."""

from typing import Any

import pytest

from jotgate.core.config_reader import parse
from jotgate.core.quota_reader import compile_quotas
from jotgate.core.quota_rules import QuotaRule, rule_meters, speaks_of
from jotgate.core.quotas import Spender
from jotgate.core.revocations import origins_for
from jotgate.core.spenders import Spending, Surroundings, spender_of, spending_of
from tests.spending import AROUND, OWN, principal

ALICE = Spender(OWN, "alice", "app", "acme", f"{OWN} t1", roles=("intern",))


def rule(name: str = "rule", limit: str = "5 requests/day", **members: Any) -> QuotaRule:
    (found,) = compile_quotas(parse({"quotas": [{"name": name, "limit": limit, **members}]}).quotas)
    return found


def spend(spender: Spender = ALICE, model: str = "large", around: Surroundings = AROUND) -> Spending:
    return spending_of(spender, model, "chat.completions", around)


def holders(*rules: QuotaRule, spending: Spending | None = None) -> list[tuple[str, ...]]:
    return [meter.holders for meter in rule_meters(rules, spending or spend())]


@pytest.mark.parametrize(
    ("members", "fits"),
    [
        ({}, True),
        ({"subjects": ["alice"]}, True),
        ({"subjects": ["bob", "al*"]}, True),
        ({"subjects": ["*"]}, True),
        ({"subjects": ["alic"]}, False),
        ({"clients": ["app"], "tenants": ["acme"], "roles": ["intern"], "issuers": [OWN]}, True),
        ({"clients": ["app"], "roles": ["admin"]}, False),
        ({"operations": ["chat.*"]}, True),
        ({"operations": ["embeddings"]}, False),
        ({"models": ["large"], "routes": ["large"]}, True),
        ({"models": ["small"]}, False),
    ],
)
def test_a_rule_speaks_of_a_call_that_fits_all_that_it_names(members: dict[str, Any], fits: bool) -> None:
    assert speaks_of(rule(**members), spend()) is fits


def test_what_a_call_does_not_have_fits_nothing() -> None:
    nobody = Spender(OWN, "alice", "", "", f"{OWN} t1")
    assert not speaks_of(rule(clients=["*"]), spend(nobody))
    assert not speaks_of(rule(models=["*"]), spend(nobody, model=""))
    assert not speaks_of(rule(routes=["*"]), spend(nobody, model="unrouted"))
    assert speaks_of(rule(tenants=["default"]), spend(nobody))


def test_a_rule_counts_by_its_levels() -> None:
    assert holders(rule(), rule(per=["tenant"]), rule(per=["principal", "model"]), rule(per=[])) == [
        (f"{OWN} alice",),
        ("acme",),
        (f"{OWN} alice", "large"),
        (),
    ]


def test_a_rule_by_a_level_that_a_call_does_not_have_meets_it_not() -> None:
    assert holders(rule(per=["client"]), spending=spend(Spender(OWN, "a", "", "", f"{OWN} t"))) == []
    assert holders(rule(per=["principal", "tool"])) == []


def test_a_rule_per_token_counts_for_what_the_token_came_of_too() -> None:
    child = Spender(OWN, "alice", "app", "", f"{OWN} t1", ancestors=(f"{OWN} t0",))
    assert holders(rule(per=["token"]), spending=spend(child)) == [(f"{OWN} t1",), (f"{OWN} t0",)]


def test_a_trade_by_another_client_sheds_no_limit() -> None:
    parent = principal(client_id="batch", token_id="t0", roles=frozenset({"intern"}), tenant="acme")
    child = spend(spender_of(principal(client_id="app", origins=origins_for(parent, OWN, now_s=0.0))))
    assert holders(rule(per=["client"], clients=["batch"]), spending=child) == [(f"{OWN} batch",)], "not of app"
    assert holders(rule(per=["client"]), spending=child) == [(f"{OWN} app",), (f"{OWN} batch",)]
    assert holders(rule(per=["tenant"], tenants=["acme"]), spending=child) == [("acme",)]
    assert holders(rule(roles=["intern"]), spending=child) == [(f"{OWN} alice",)]


def test_who_acts_is_not_whom_a_rule_of_subjects_speaks_of() -> None:
    agent = principal(subject="agent", client_id="bot", token_id="t9")
    parent = principal(token_id="t0")
    origins = origins_for(parent, OWN, agent, now_s=0.0)
    found = spend(spender_of(principal(origins=origins)))
    assert holders(rule(subjects=["agent"]), spending=found) == [], "what counts for agent is not alice's"
    assert holders(rule(subjects=["alice"]), spending=found) == [(f"{OWN} alice",)]
    assert holders(rule(clients=["bot"], per=["client"]), spending=found) == [(f"{OWN} bot",)]


def test_names_that_are_not_known_are_taken_against_the_caller() -> None:
    parent = principal(client_id="c" * 600, token_id="t0")
    child = spend(spender_of(principal(origins=origins_for(parent, OWN, now_s=0.0))))
    if not child.unreadable:  # Only what is too long to be kept is unreadable.
        child = Spending(child.values, child.holders, unreadable=True)
    assert speaks_of(rule(clients=["batch"]), child)
    assert not speaks_of(rule(models=["small"]), child)


def test_a_rule_of_some_calls_has_an_account_of_its_own_and_keeps_it_under_its_name() -> None:
    every, some = rule("every", "1000 requests/day"), rule("some", models=["large"])
    first, second = rule_meters([every, some], spend())
    assert (first.quota.scope, second.quota.scope) == ("", "some")
    assert first.key != second.key
    (wider,) = rule_meters([rule("some", models=["large", "huge"])], spend())
    assert wider.key == second.key, "more models do not begin anew"


@pytest.mark.parametrize(
    ("members", "own"),
    [
        ({}, False),
        ({"subjects": ["alice"]}, False),
        ({"per": ["client"], "clients": ["app"]}, False),
        ({"per": ["tenant"], "tenants": ["acme"]}, False),
        ({"per": ["model"], "models": ["large"]}, False),
        ({"per": ["route"], "routes": ["large"]}, False),
        ({"per": ["token"], "subjects": ["alice"]}, False),
        ({"per": ["token"], "clients": ["app"]}, True),
        ({"roles": ["intern"]}, True),
        ({"tenants": ["acme"]}, True),
        ({"operations": ["embeddings"]}, True),
        ({"per": ["tenant"], "subjects": ["alice"]}, True),
        ({"per": [], "clients": ["app"]}, True),
    ],
)
def test_a_rule_that_speaks_of_all_calls_of_whom_it_counts_for_counts_on_the_holders_account(
    members: dict[str, Any], own: bool
) -> None:
    assert rule("named", **members).quota.scope == ("named" if own else "")

"""Who spends: by which names rules speak of a call, and on whose accounts it counts, whatever its token came of."""

from jotgate.core.heredity import policy_names
from jotgate.core.issuers import Issuer, QuotaClaim
from jotgate.core.limit_texts import read_limit
from jotgate.core.meters import meter_of
from jotgate.core.principals import Principal
from jotgate.core.quotas import Limit, Meter, Quota, Spender, TokenLimit
from jotgate.core.revocations import origins_for
from jotgate.core.spenders import (
    Spending,
    Surroundings,
    spender_of,
    spending_of,
    subject_meter,
    surroundings_of,
    token_meters,
)
from tests.spending import AROUND, DAEMON, OWN, principal


def issuer(name: str, iss: str, quota: QuotaClaim | None = None) -> Issuer:
    return Issuer(name=name, issuer=iss, audiences=(), algorithms=(), types=(), jwks=None, quota=quota)


def spend(who: Principal, model: str = "large") -> Spending:
    return spending_of(spender_of(who), model, "chat.completions", AROUND)


def test_a_spender_is_named_by_handles() -> None:
    who = principal(ancestors=("t0", "https://ci.example x"), roles=frozenset({"b", "a"}), tenant="acme")
    assert spender_of(who) == Spender(
        issuer=OWN,
        subject="alice",
        client_id="app",
        tenant="acme",
        token=f"{OWN} t1",
        ancestors=(f"{OWN} t0", "https://ci.example x"),
        roles=("a", "b"),
    )


def test_what_is_around_is_read_of_the_issuers() -> None:
    quota = QuotaClaim("quota", absent=100, daily=7)
    found = surroundings_of(
        (issuer("jotgate", OWN), issuer("daemon", DAEMON, quota), issuer("chain", "")), frozenset({"large"})
    )
    assert found == Surroundings(OWN, {DAEMON: "daemon", "chain": "chain"}, frozenset({"large"}), {"daemon": 7})


def test_a_call_counts_by_all_levels_that_it_has() -> None:
    assert spend(principal(ancestors=("t0",), tenant="acme")).levels == (
        ("token", f"{OWN} t1"),
        ("token", f"{OWN} t0"),
        ("principal", f"{OWN} alice"),
        ("client", f"{OWN} app"),
        ("tenant", "acme"),
        ("route", "large"),
        ("model", "large"),
    )
    levels = dict(spend(principal(client_id=""), "other").levels)
    assert "client" not in levels
    assert "route" not in levels
    assert (levels["tenant"], levels["model"]) == ("default", "other")
    assert "model" not in dict(spend(principal(), "").levels)


def test_what_a_proxy_asks_about_counts_by_its_path_and_by_no_model() -> None:
    spending = spending_of(spender_of(principal()), "reports", "decide", AROUND)
    assert (spending.values["routes"], spending.values["models"]) == ({"reports"}, set())
    assert (spending.holders["route"], "model" in spending.holders) == ({"reports": "reports"}, False)


def test_commands_and_personal_tokens_are_of_no_client_that_counts() -> None:
    for name in ("jotgate-cli", "personal-token"):
        found = spend(principal(client_id=name))
        assert "client" not in found.holders
        assert found.values["clients"] == {name}, "a rule can speak of them all the same"


def test_somebody_of_another_issuer_is_one_principal_however_its_token_came() -> None:
    direct = principal(issuer=DAEMON, subject="agent", client_id="")
    traded = principal(subject="daemon/agent", origins=origins_for(direct, OWN, now_s=0.0))
    assert (
        spend(direct).holders["principal"]
        == spend(traded).holders["principal"]
        == {"daemon/agent": f"{OWN} daemon/agent"}
    )
    nameless = principal(issuer="nameless", subject="agent")
    assert spend(nameless).holders["principal"] == {"nameless/agent": f"{OWN} nameless/agent"}
    for one in (direct, traded):
        assert {"agent", "daemon/agent"} <= spend(one).values["subjects"]
        assert {DAEMON, "daemon"} <= spend(one).values["issuers"], "by its 'iss', and by its name"


def test_what_is_narrowed_counts_for_the_clients_tenants_and_roles_of_what_it_came_of() -> None:
    parent = principal(client_id="batch", roles=frozenset({"intern"}), tenant="acme", token_id="t0")
    assert "roles intern" in policy_names(parent, OWN)
    child = principal(client_id="app", origins=origins_for(parent, OWN, now_s=0.0), ancestors=("t0",))
    found = spend(child)
    assert found.values["clients"] == {"app", "batch"}
    assert found.values["tenants"] == {"default", "acme"}
    assert found.values["roles"] == {"intern"}
    assert found.holders["client"] == {"app": f"{OWN} app", "batch": f"{OWN} batch"}
    assert set(found.holders["tenant"]) == {"default", "acme"}
    assert not found.unreadable


def test_names_that_are_digests_are_not_known() -> None:
    parent = principal(subject="s" * 600, token_id="t0")
    assert spend(principal(origins=origins_for(parent, OWN, now_s=0.0))).unreadable


def test_a_token_brings_its_own_limits_and_those_of_what_it_came_of() -> None:
    requests, tokens = Limit("requests", 5), Limit("total_tokens", 9)
    who = spender_of(principal(limits=(TokenLimit(requests), TokenLimit(tokens, f"{OWN} t0"))))
    own, inherited = token_meters(who)
    assert (own.quota.name, own.quota.limit, own.quota.per, own.holders) == (
        "token 5 requests",
        requests,
        ("token",),
        (f"{OWN} t1",),
    )
    assert (inherited.quota.name, inherited.holders) == ("ancestor 9 tokens", (f"{OWN} t0",))


def daily(spending: Spending, *others: Meter) -> Meter | None:
    return subject_meter(spending, others)


def of_agent(text: str, **changes: str) -> Meter:
    return meter_of(Quota("set", read_limit(text), ("principal",), **changes), (f"{OWN} daemon/agent",))


def test_a_subject_of_the_daemon_has_a_daily_limit_over_all_its_tokens() -> None:
    direct = principal(issuer=DAEMON, subject="agent", client_id="")
    again = principal(issuer=DAEMON, subject="agent", client_id="", token_id="t2")
    traded = principal(subject="daemon/agent")
    found = [daily(spend(one)) for one in (direct, again, traded)]
    assert found[0] is not None
    assert found[0].quota.limit == read_limit("1000 requests/day")
    assert len({one.key for one in found if one is not None}) == 1, "one account"
    assert None not in found
    for other in (principal(), principal(subject="daemon"), principal(subject="ci/agent")):
        assert daily(spend(other)) is None


def test_another_limit_of_all_requests_of_the_subject_takes_its_place() -> None:
    spending = spend(principal(issuer=DAEMON, subject="agent"))
    for text in ("5000 requests/day", "7 requests/month", "9 requests"):
        assert daily(spending, of_agent(text)) is None
    others = [of_agent("60 requests/60s"), of_agent("9 tokens/day"), of_agent("9 requests/day", scope="some")]
    others.append(meter_of(Quota("token", read_limit("5 requests"), ("token",)), (f"{DAEMON} t1",)))
    assert daily(spending, *others) is not None, "a rate, other units, some calls, a token"


def test_a_call_of_a_tool_counts_for_the_tool_and_its_server_and_for_no_model() -> None:
    called = spending_of(spender_of(principal()), "files:write", "mcp.tools_call", AROUND)
    values = {name: called.values[name] for name in ("tools", "routes", "models", "operations")}
    assert values == {
        "tools": {"files:write"},
        "routes": {"mcp:files"},
        "models": set(),
        "operations": {"mcp.tools_call"},
    }
    assert called.levels[-2:] == (("route", "mcp:files"), ("tool", "files:write"))
    other = spending_of(spender_of(principal()), "files", "mcp.resources_read", AROUND)
    assert (other.values["tools"], other.levels[-1]) == (set(), ("route", "mcp:files"))
    alias = spending_of(spender_of(principal()), "large:x", "mcp.tools_call", AROUND)
    assert alias.values["routes"] == {"mcp:large"}, "a server is not the model of its name"
    assert spend(principal(), "files:write").values["tools"] == set(), "nor is a model with such a name a tool"

"""What a token's scopes and its `models` claim name; and within that what policies say, of which the order counts."""

from typing import Any

import pytest
from msgspec.structs import replace

from jotgate.core.circumstances import Circumstances
from jotgate.core.lineage import Actor, Confirmation
from jotgate.core.operations import METRICS, OPERATIONS
from jotgate.core.policies import Allow, Decision, Deny, Policies, authorize, refusal_of
from jotgate.core.policy_values import Policy
from jotgate.core.principals import Principal
from jotgate.core.scopes import scope_fault
from jotgate.errors import Code, InsufficientScope, PolicyDenied
from tests.callers import NAME, NOW_S, principal


@pytest.mark.parametrize("operation", sorted({row.name for row in OPERATIONS} - {METRICS}))
def test_ai_covers_every_ai_call(operation: str) -> None:
    assert isinstance(authorize(principal(scopes={"ai"}), operation, ""), Allow)


def test_ai_does_not_cover_the_figures() -> None:
    assert authorize(principal(scopes={"ai"}), METRICS, "") == Deny("scope", METRICS)
    assert isinstance(authorize(principal(scopes={METRICS}), METRICS, ""), Allow)


def test_a_scope_covers_its_own_operation_only() -> None:
    embedder = principal(scopes={"embeddings"})
    assert isinstance(authorize(embedder, "embeddings", "m"), Allow)
    assert authorize(embedder, "chat.completions", "m") == Deny("scope", "chat.completions")


@pytest.mark.parametrize("scopes", [set(), {"AI"}, {"ai "}, {"chat"}, {"chat.completions.x"}])
def test_a_scope_is_compared_as_a_whole(scopes: set[str]) -> None:
    assert authorize(principal(scopes=scopes), "chat.completions", "m") == Deny("scope", "chat.completions")


def test_a_token_without_the_models_claim_may_use_every_model() -> None:
    assert isinstance(authorize(principal(models=None), "completions", "any"), Allow)


def test_a_models_claim_names_all_that_may_be_used() -> None:
    limited = principal(models={"a", "b"})
    assert isinstance(authorize(limited, "completions", "b"), Allow)
    assert authorize(limited, "completions", "c") == Deny("model", "c")
    assert authorize(limited, "completions", "A") == Deny("model", "A")


def test_an_empty_models_claim_leaves_no_model() -> None:
    assert authorize(principal(models=set()), "completions", "a") == Deny("model", "a")


def test_an_operation_that_names_no_model_needs_the_scope_alone() -> None:
    assert isinstance(authorize(principal(models=set()), "models", ""), Allow)


def test_the_scope_is_looked_at_before_the_model() -> None:
    assert authorize(principal(scopes=set(), models=set()), "models", "a") == Deny("scope", "models")


REST = Policy(name="rest", effect="allow")


def decide(whose: Principal, *policies: Policy, model: str = "m", operation: str = "chat.completions") -> Decision:
    """What policies decide; there is a route `m`."""
    return Policies(policies, {"m"}, {}).decide(whose, operation, model, Circumstances("192.0.2.1", NOW_S))


def deny(name: str, **members: object) -> Policy:
    """A policy that denies."""
    return replace(Policy(name=name, effect="deny", reason=f"by {name}"), **members)


def allow(name: str, **members: object) -> Policy:
    """A policy that allows."""
    return replace(Policy(name=name, effect="allow"), **members)


def test_of_those_that_deny_the_first_tells_its_reason_wherever_it_stands() -> None:
    other, first, second = deny("other", subjects=("bob",)), deny("first", models=("m",)), deny("second")
    assert decide(principal(), REST, other, first, second) == Deny("policy", "by first", "first")
    assert decide(principal(), REST, second, first) == Deny("policy", "by second", "second")


def test_of_those_that_allow_the_first_decides_with_its_choices() -> None:
    finish, stale = allow("finish", ended_tokens="finish"), allow("stale", stale=True)
    assert decide(principal(), finish, stale) == Allow("finish", "finish", stale=False)
    assert decide(principal(), stale, finish) == Allow("stale", None, stale=True)
    assert decide(principal(), allow("told", payloads=True)) == Allow("told", payloads=True)


def test_what_none_speaks_of_is_denied() -> None:
    assert decide(principal(), allow("bob", subjects=("bob",))) == Deny("policy")
    assert decide(principal(), deny("bob", subjects=("bob",))) == Deny("policy")


def test_no_policy_widens_a_token() -> None:
    assert decide(principal(scopes={"models"}), REST) == Deny("scope", "chat.completions")
    assert decide(principal(models={"other"}), REST) == Deny("model", "m")


@pytest.mark.parametrize(
    ("member", "patterns", "speaks"),
    [
        ("subjects", ("alice",), True),
        ("subjects", ("Alice",), False),
        ("subjects", ("al*",), True),
        ("subjects", ("alice*",), True),
        ("subjects", ("alice2*", "b"), False),
        ("subjects", ("*",), True),
        ("clients", ("jotgate-*",), True),
        ("tenants", ("default",), True),
        ("tenants", ("acme",), False),
        ("roles", ("*",), False),
        ("actors", ("*",), False),
        ("issuers", (NAME,), True),
        ("scopes", ("ai",), True),
        ("scopes", ("chat.completions",), True),
        ("scopes", ("metrics",), False),
        ("operations", ("chat*",), True),
        ("operations", ("embeddings",), False),
        ("models", ("m",), True),
        ("models", ("", "M"), False),
        ("routes", ("m",), True),
        ("tools", ("*",), False),
    ],
)
def test_a_policy_speaks_of_what_fits_all_that_it_names(member: str, patterns: tuple[str, ...], speaks: bool) -> None:
    assert isinstance(decide(principal(), allow("p", **{member: patterns})), Allow) is speaks


def test_a_model_that_no_route_carries_has_a_name_and_no_route() -> None:
    assert isinstance(decide(principal(), allow("p", models=("n",)), model="n"), Allow)
    assert not isinstance(decide(principal(), allow("p", routes=("n",)), model="n"), Allow)


def test_only_the_current_actor_is_allowed_by_its_name_and_every_one_denied_by_it() -> None:
    child = replace(principal(), actors=(Actor("now"), Actor("before")))
    assert isinstance(decide(child, allow("p", actors=("now",))), Allow)
    assert not isinstance(decide(child, allow("p", actors=("before",))), Allow)
    for name in ("now", "before", "through"):
        acted = replace(child, actors=(*child.actors, Actor("first", client_id="through")))
        assert isinstance(decide(acted, REST, deny("p", actors=(name,))), Deny)
    assert not isinstance(
        decide(replace(child, actors=(Actor("now", client_id="c"),)), allow("p", actors=("c",))), Allow
    )
    assert isinstance(decide(child, REST, deny("p", actors=("alice",))), Allow)


@pytest.mark.parametrize(
    ("method", "fitting"), [(None, {"none"}), ("jkt", {"dpop", "any"}), ("x5t#S256", {"mtls", "any"})]
)
def test_a_binding_is_what_the_token_asks_its_bearer_to_prove(method: str | None, fitting: set[str]) -> None:
    confirmation = None if method is None else Confirmation(method, "v")  # type: ignore[arg-type] # as it is
    whose = replace(principal(), confirmation=confirmation)
    found = {
        one for one in ("none", "dpop", "mtls", "any") if isinstance(decide(whose, allow("p", binding=one)), Allow)
    }
    assert found == fitting


@pytest.mark.parametrize(
    ("member", "origin"),
    [
        ({"clients": ("web",)}, "client web"),
        ({"tenants": ("ac*",)}, "tenant acme"),
        ({"subjects": ("bob",)}, "subject https://ci.example bob"),
        ({"subjects": ("repo:a b",)}, "subject https://ci.example repo:a b"),
        ({"issuers": ("https://ci.example",)}, "subject https://ci.example bob"),
        ({"roles": ("contr*",)}, "roles contractor"),
        ({"roles": ("a b",)}, "roles a b"),
        ({"actors": ("agent",)}, "actors agent"),
        ({"clients": ("web",)}, "clients web"),
        ({"binding": "dpop"}, "bindings dpop"),
        ({"binding": "any"}, "bindings mtls"),
    ],
)
def test_a_denial_holds_for_what_was_narrowed_from_what_it_denies(member: dict[str, object], origin: str) -> None:
    child = replace(principal(), origins=("key x y", origin))
    assert decide(child, REST, deny("p", **member)) == Deny("policy", "by p", "p")
    assert decide(principal(), REST, deny("p", **member)) == Allow("rest")
    assert decide(child, allow("p", **member)) == Deny("policy")


def test_an_origin_that_is_too_long_to_be_read_is_taken_for_any() -> None:
    child = replace(principal(), origins=("subject sha256 0123abcd",))
    assert isinstance(decide(child, REST, deny("p", subjects=("bob",))), Deny)
    assert isinstance(decide(child, REST, deny("p", roles=("x",))), Allow)


@pytest.mark.parametrize(
    ("operation", "enough"),
    [
        ("models", "models"),
        ("metrics", "metrics"),
        ("upstream:credentials", "upstream:credentials"),
        ("conversations", "ai"),
        ("workflows", "ai"),
    ],
)
def test_a_scope_that_lacks_is_told_as_one_that_a_token_can_be_made_with(operation: str, enough: str) -> None:
    wants = Deny("scope", operation)
    told = refusal_of(wants)
    assert isinstance(told, InsufficientScope)
    assert (told.scope, told.hint) == (enough, f"Create a token with --scope {enough}")
    assert operation in told.message
    assert scope_fault(enough) == ""


def test_a_caller_is_told_the_reason_and_never_the_name() -> None:
    told = refusal_of(Deny("policy", "Ask Ann", "secret-name"))
    assert isinstance(told, PolicyDenied)
    assert (told.code, told.status, told.policy) == (Code.POLICY_DENIED, 403, "secret-name")
    assert "Ask Ann" in told.message
    assert "secret-name" not in told.message + told.hint
    assert "no policy" in refusal_of(Deny("policy")).message


def test_a_call_of_a_tool_is_spoken_of_by_its_server_and_by_itself_and_names_no_model() -> None:
    caller = principal(scopes={"mcp:files:*"})

    def speaks(label: str, operation: str = "mcp.tools_call", **members: object) -> bool:
        policies = Policies((allow("p", **members),), {"m", "mcp:files"}, {})
        return isinstance(policies.decide(caller, operation, label, Circumstances("192.0.2.1", NOW_S)), Allow)

    fitting: list[dict[str, Any]] = [
        {"tools": ("files:write",)},
        {"tools": ("files:*",)},
        {"routes": ("mcp:files",)},
        {},
    ]
    others: list[dict[str, Any]] = [
        {"tools": ("files:read",)},
        {"tools": ("write",)},
        {"routes": ("m", "files")},
        {"models": ("*",)},
    ]
    for members in fitting:
        assert speaks("files:write", **members), members
    for members in others:
        assert not speaks("files:write", **members), members
    assert speaks("files", "mcp.tools_list", operations=("mcp.*",), routes=("mcp:files",))
    assert not speaks("files", "mcp.tools_list", tools=("*",)), "a server is no tool"
    assert not speaks("files:a:b", tools=("files:a",))


def test_a_policy_that_denies_a_tool_leaves_the_others_of_its_server() -> None:
    policies = Policies((deny("stop", tools=("files:drop",)), REST), set(), {})
    caller, now = principal(scopes={"mcp:files:*", "mcp:other:drop"}), Circumstances("192.0.2.1", NOW_S)
    assert policies.decide(caller, "mcp.tools_call", "files:drop", now) == Deny("policy", "by stop", "stop")
    for label in ("files:read", "other:drop", "files"):
        assert isinstance(policies.decide(caller, "mcp.tools_call", label, now), Allow), label

"""What would be decided of a call, and by which policy."""

import pytest
from msgspec.structs import replace

from jotgate.core.circumstances import Circumstances
from jotgate.core.expectations import RouteExpectation
from jotgate.core.mcp_pins import KnownTool, KnownTools
from jotgate.core.policy_orders import PolicyFinding, PolicyQuestion
from jotgate.core.policy_values import Policy, PolicySet
from jotgate.core.principals import Principal
from jotgate.core.routes import Attempt, Route
from jotgate.errors import Code, ConfigurationError
from jotgate.services.policy_testing import CallTester, describe_principal
from tests.callers import NAME, NOW_S, principal

ROUTES = (
    Route("a", (Attempt("one", "a"),)),
    Route("b", (Attempt("one", "b"),), expects=RouteExpectation(audiences=frozenset({"x"})), ended_tokens="finish"),
)
POLICIES = PolicySet(
    (
        Policy(name="no-bob", effect="deny", subjects=("bob",), reason="Away", origin="store"),
        Policy(name="some", effect="allow", models=("a", "b", "c"), stale=True),
    )
)


def ask(
    whose: Principal, operation: str = "chat.completions", model: str = "a", policies: PolicySet = POLICIES
) -> PolicyFinding:
    return CallTester(policies, ROUTES).test(whose, operation, model, Circumstances("192.0.2.1", NOW_S))


def test_the_policy_that_decides_is_named_with_its_place() -> None:
    allowed = ask(principal())
    assert (allowed.allowed, allowed.policy, allowed.origin, allowed.stale) == (True, "some", "file", True)
    assert (allowed.code, allowed.message, allowed.ended_tokens) == ("", "", "cut")
    refused = ask(principal(subject="bob"))
    assert (refused.allowed, refused.policy, refused.origin) == (False, "no-bob", "store")
    assert (refused.code, "Away" in refused.message) == (Code.POLICY_DENIED, True)


def test_of_what_proxies_ask_the_name_is_a_route() -> None:
    routes = PolicySet((Policy(name="reports", effect="allow", routes=("rep*",), operations=("decide",)),))
    found = ask(principal(scopes={"decide"}), "decide", "reports", routes)
    assert (found.allowed, found.policy, found.ended_tokens) == (True, "reports", None)
    assert not ask(principal(scopes={"decide"}), "decide", "a", routes).allowed
    models = PolicySet((Policy(name="models", effect="allow", models=("*",)),))
    assert ask(principal(scopes={"decide"}), "decide", "a", models).code == Code.POLICY_DENIED


def test_without_policies_the_shipped_one_decides() -> None:
    found = ask(principal(subject="bob"), policies=PolicySet())
    assert (found.allowed, found.policy, found.origin) == (True, "as-the-token-says", "shipped")


@pytest.mark.parametrize(
    ("whose", "operation", "model", "code", "policy"),
    [
        (principal(scopes={"models"}), "chat.completions", "a", Code.INSUFFICIENT_SCOPE, ""),
        (principal(models={"b"}), "chat.completions", "a", Code.MODEL_NOT_PERMITTED, ""),
        (principal(), "chat.completions", "d", Code.POLICY_DENIED, ""),
        (principal(), "chat.completions", "c", Code.UNKNOWN_MODEL, ""),
        (principal(), "chat.completions", "b", Code.CLAIM_REFUSED, ""),
        (principal(scopes={"metrics"}), "metrics", "", Code.POLICY_DENIED, ""),
    ],
)
def test_each_refusal_has_the_code_that_its_caller_would_get(
    whose: Principal, operation: str, model: str, code: Code, policy: str
) -> None:
    found = ask(whose, operation, model)
    assert (found.allowed, found.code, found.policy) == (False, code, policy)


def test_what_the_route_says_of_running_calls_counts_where_the_policy_says_nothing() -> None:
    whose = replace(principal(), audiences=frozenset({"x"}))
    assert ask(whose, model="b").ended_tokens == "finish"
    cut = PolicySet((Policy(name="cut", effect="allow", ended_tokens="cut"),))
    assert ask(whose, model="b", policies=cut).ended_tokens == "cut"


def test_a_list_of_models_is_allowed_where_some_are() -> None:
    assert ask(principal(), "models", "").policy == "some"
    none = PolicySet((Policy(name="none", effect="allow", models=("z",)),))
    assert ask(principal(), "models", "", none).code == Code.POLICY_DENIED


@pytest.mark.parametrize(
    ("operation", "model", "where"),
    [("chat", "a", "operation"), ("chat.completions", "", "model"), ("metrics", "a", "model")],
)
def test_what_is_no_call_is_a_fault(operation: str, model: str, where: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ask(principal(), operation, model)
    assert [path for path, _ in caught.value.faults] == [where]


def test_a_principal_is_as_it_is_described() -> None:
    found = describe_principal(
        PolicyQuestion(
            subject="ann", operation="models", client_id="c", tenant="t", roles=("r",), actor="x", scopes=("models",),
            models=("a",), binding="mtls", age_s=90,
        ),
        NAME,
        NOW_S,
    )  # fmt: skip
    assert (found.issuer, found.subject, found.client_id, found.tenant) == (NAME, "ann", "c", "t")
    assert [set(names or ()) for names in (found.roles, found.scopes, found.models)] == [{"r"}, {"models"}, {"a"}]
    assert found.confirmation is not None
    assert (found.actors[0].subject, found.confirmation.method, found.issued_at_s) == ("x", "x5t#S256", NOW_S - 90)
    plain = describe_principal(PolicyQuestion(subject="ann", operation="models", age_s=None, issuer="i"), NAME, NOW_S)
    assert (plain.issuer, plain.issued_at_s, plain.models, plain.confirmation, plain.actors) == (
        "i",
        None,
        None,
        None,
        (),
    )


TOOLS = KnownTools(
    1,
    {"files": {"look": KnownTool("d", True), "write": KnownTool("d", False), "drop": KnownTool("", False, "e")}},
)


@pytest.mark.parametrize(
    ("scopes", "operation", "named", "code", "wanted"),
    [
        ({"mcp:files:look"}, "mcp.tools_call", "files:look", "", ""),
        ({"mcp:files:read"}, "mcp.tools_call", "files:look", "", ""),
        ({"mcp:files:read"}, "mcp.tools_call", "files:write", Code.INSUFFICIENT_SCOPE, "mcp:files:write"),
        ({"mcp:files:read"}, "mcp.tools_call", "files:unseen", Code.INSUFFICIENT_SCOPE, "mcp:files:unseen"),
        ({"mcp:files:*"}, "mcp.tools_call", "files:unseen", "", ""),
        ({"mcp:files:*"}, "mcp.tools_call", "files:drop", Code.MCP_TOOL_UNAPPROVED, "files:drop"),
        ({"mcp:files:look"}, "mcp.tools_list", "files", "", ""),
        ({"mcp:files:look"}, "mcp.resources_read", "files", Code.INSUFFICIENT_SCOPE, "mcp:files:read"),
        ({"mcp:files:read"}, "mcp.resources_read", "files", "", ""),
        ({"ai", "mcp:other:*"}, "mcp.tools_call", "files:look", Code.INSUFFICIENT_SCOPE, "mcp:files:look"),
    ],
)
def test_what_is_asked_of_mcp_servers_is_decided_by_scopes_policies_and_what_is_approved(
    scopes: set[str], operation: str, named: str, code: str, wanted: str
) -> None:
    now, whose = Circumstances("192.0.2.1", NOW_S), principal(scopes=scopes)
    found = CallTester(PolicySet(), ROUTES, TOOLS).test(whose, operation, named, now)
    assert (found.allowed, found.code, wanted in found.message) == (not code, code, True), found
    stop = PolicySet((Policy(name="stop", effect="deny", routes=("mcp:files",)),))
    refused = CallTester(stop, ROUTES, TOOLS).test(whose, operation, named, now)
    assert refused.code == (code if code == Code.INSUFFICIENT_SCOPE else Code.POLICY_DENIED)


@pytest.mark.parametrize(
    ("operation", "named"),
    [("mcp.tools_call", "files"), ("mcp.tools_call", ""), ("mcp.tools_list", "files:look"), ("mcp.ping", "")],
)
def test_what_is_asked_of_mcp_servers_names_a_tool_or_a_server(operation: str, named: str) -> None:
    with pytest.raises(ConfigurationError):
        ask(principal(), operation, named)

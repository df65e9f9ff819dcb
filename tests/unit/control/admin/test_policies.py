"""Policies over the admin API: the whole set is read, replaced by who has read it, and tried."""

from typing import Any

import pytest

from jotgate.errors import Code
from tests.admin_stage import AdminStage, code_of
from tests.policy_stage import CONFIGURED

DENY = {"name": "no-bob", "effect": "deny", "subjects": ["bob"], "reason": "Bob is on holiday"}
ALLOW = {"name": "rest", "effect": "allow", "times": [{"zone": "Europe/Berlin"}]}


@pytest.fixture
def stage() -> AdminStage:
    return AdminStage()


def put(stage: AdminStage, *policies: dict[str, Any], if_match: str = "*") -> Any:
    """Replace the policies of the store."""
    return stage.ask("PUT", "/policies", {"policies": list(policies)}, if_match=if_match)


def names(answer: Any) -> list[tuple[str, str]]:
    """The policies of an answer, each with where it stands."""
    assert answer.status_code == 200, answer.text
    return [(one["name"], one["origin"]) for one in answer.json()["policies"]]


def test_while_there_are_none_the_shipped_one_is_shown(stage: AdminStage) -> None:
    answer = stage.ask("GET", "/policies")
    assert names(answer) == [("as-the-token-says", "shipped")]
    assert answer.headers["etag"] == '"v0"'


def test_a_set_is_put_in_place_and_shown_in_its_order_behind_the_file(stage: AdminStage) -> None:
    stage.policies.configured = (CONFIGURED,)
    answer = put(stage, DENY, ALLOW, if_match='"v0"')
    assert names(answer) == [("of-the-file", "file"), ("no-bob", "store"), ("rest", "store")]
    assert answer.headers["etag"] == '"v1"'
    assert answer.json()["policies"][1]["settings"] == DENY
    assert answer.json()["policies"][1]["created_at_s"] == int(stage.clock.now_s())
    assert names(stage.ask("GET", "/policies")) == names(answer)


def test_only_who_has_read_the_last_set_replaces_it(stage: AdminStage) -> None:
    assert code_of(stage.ask("PUT", "/policies", {"policies": [DENY]})) == (428, Code.PRECONDITION_REQUIRED)
    assert put(stage, ALLOW, if_match='"v0"').status_code == 200
    assert code_of(put(stage, DENY, if_match='"v0"')) == (412, Code.RECORD_CHANGED)
    assert names(stage.ask("GET", "/policies")) == [("rest", "store")]


def test_what_differs_stands_in_the_audit_log(stage: AdminStage) -> None:
    put(stage, DENY, ALLOW)
    put(stage, {**DENY, "reason": "gone"}, {"name": "new", "effect": "allow"})
    put(stage, {**DENY, "reason": "gone"}, {"name": "new", "effect": "allow"})
    told = [one.details for one in stage.log.events if one.event == "policies.applied"]
    assert [(one["added"], one["changed"], one["removed"], one["version"]) for one in told] == [
        ("no-bob rest", "", "", 1),
        ("new", "no-bob", "rest", 2),
    ]
    assert told[0]["request_id"] == "req-1"


@pytest.mark.parametrize(
    ("policy", "where"),
    [
        ({**DENY, "scopes": ["ai"]}, "policies[0].scopes"),
        ({**ALLOW, "times": [{"zone": "Nowhere/Atall"}]}, "policies[0].times[0].zone"),
        ({"name": "of-the-file", "effect": "allow"}, "policies[0].name"),
        ({**DENY, "addresses": ["10.0.0.1/8"]}, "policies[0].addresses"),
        ({**DENY, "operations": ["chat"]}, "policies[0].operations"),
    ],
)
def test_a_set_with_a_fault_is_refused_as_a_whole(stage: AdminStage, policy: dict[str, Any], where: str) -> None:
    stage.policies.configured = (CONFIGURED,)
    answer = put(stage, policy)
    assert code_of(answer) == (422, Code.CONFIGURATION)
    assert where in answer.text
    assert stage.store.policies().version == 0


@pytest.mark.parametrize("policy", [{**DENY, "subjects": []}, {**DENY, "subject": ["bob"]}, {"name": "x"}])
def test_what_is_no_policy_is_malformed(stage: AdminStage, policy: dict[str, Any]) -> None:
    """An empty list would name nobody, and is not taken for everybody."""
    assert code_of(put(stage, policy)) == (400, Code.REQUEST_MALFORMED)


def test_an_author_is_warned_of_a_set_that_allows_nothing(stage: AdminStage) -> None:
    assert put(stage, DENY).json()["warnings"] != []
    assert put(stage, DENY, ALLOW).json()["warnings"] == []


def test_a_call_is_tried_and_nothing_changes(stage: AdminStage) -> None:
    put(stage, DENY, {"name": "rest", "effect": "allow", "ended_tokens": "finish"})

    def ask(**question: Any) -> Any:
        asked = {"operation": "chat.completions", "model": "a", "subject": "ann", **question}
        answer = stage.ask("POST", "/policies/test", asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    refused = ask(subject="bob")
    assert (refused["allowed"], refused["policy"], refused["code"]) == (False, "no-bob", "policy_denied")
    assert "Bob is on holiday" in refused["message"]
    allowed = ask()
    assert (allowed["allowed"], allowed["policy"], allowed["ended_tokens"]) == (True, "rest", "finish")
    assert ask(scopes=["models"])["code"] == "insufficient_scope"
    assert ask(models=["b"])["code"] == "model_not_permitted"
    assert ask(model="b")["code"] == "model_not_found"
    answer = stage.ask("POST", "/policies/test", {"operation": "chat", "subject": "ann"})
    assert code_of(answer) == (422, Code.CONFIGURATION)
    assert len(stage.log.events) == 1


def test_what_a_set_would_change_is_told_and_nothing_is_applied(stage: AdminStage) -> None:
    put(stage, DENY, {"name": "rest", "effect": "allow"})
    call = {"operation": "chat.completions", "model": "a"}
    calls = [{**call, "subject": name} for name in ("bob", "ann", "eve")]
    wanted = [
        {"name": "no-eve", "effect": "deny", "subjects": ["eve"], "reason": "Eve is away"},
        {"name": "others", "effect": "allow"},
    ]
    answer = stage.ask("POST", "/policies/try", {"policies": wanted, "calls": calls})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    bob, ann, eve = told["calls"]
    assert [(one["now"]["allowed"], one["then"]["allowed"]) for one in (bob, ann, eve)] == [
        (False, True),
        (True, True),
        (True, False),
    ]
    assert [one["changes"] for one in (bob, ann, eve)] == [True, False, True]
    assert (ann["now"]["policy"], ann["then"]["policy"], ann["then"]["origin"]) == ("rest", "others", "store")
    assert "Eve is away" in eve["then"]["message"]
    assert told["warnings"] == []
    assert names(stage.ask("GET", "/policies")) == [("no-bob", "store"), ("rest", "store")]
    assert len(stage.log.events) == 1
    nothing = stage.ask("POST", "/policies/try", {"policies": [], "calls": calls[:1]}).json()
    assert (nothing["calls"][0]["then"]["policy"], nothing["calls"][0]["changes"]) == ("as-the-token-says", True)
    assert stage.ask("POST", "/policies/try", {"policies": wanted[:1], "calls": calls[:1]}).json()["warnings"] != []


def test_a_set_that_could_not_be_kept_is_not_tried(stage: AdminStage) -> None:
    call = {"operation": "chat.completions", "model": "a", "subject": "ann"}
    faulty = {"policies": [{**DENY, "scopes": ["ai"]}], "calls": [call]}
    assert code_of(stage.ask("POST", "/policies/try", faulty)) == (422, Code.CONFIGURATION)
    for body in ({"policies": [DENY]}, {"policies": [DENY], "calls": []}, {"calls": [call]}):
        assert code_of(stage.ask("POST", "/policies/try", body)) == (400, Code.REQUEST_MALFORMED)


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/policies"), ("POST", "/policies/test"), ("POST", "/policies/try")]
)
def test_who_may_only_look_changes_nothing(stage: AdminStage, method: str, path: str) -> None:
    reader = stage.token("admin:read", "admin:clients")
    assert stage.ask("GET", "/policies", token=reader).status_code == 200
    assert code_of(stage.ask(method, path, {}, token=reader, if_match="*")) == (403, Code.INSUFFICIENT_SCOPE)

"""Quotas over the admin API: holders are listed, their limits replaced by who has read them, what they spent reset."""

from typing import Any

import pytest

from jotgate.errors import Code
from tests.admin_stage import AdminStage, code_of

ALICE = "/quotas/principal/alice"


@pytest.fixture
def stage() -> AdminStage:
    return AdminStage()


def put(stage: AdminStage, path: str, *limits: str, if_match: str = "*") -> Any:
    """Replace the limits of a holder."""
    return stage.ask("PUT", path, {"limits": list(limits)}, if_match=if_match)


def test_limits_are_put_in_place_and_shown_with_what_counts_beside_them(stage: AdminStage) -> None:
    before = stage.ask("GET", ALICE)
    assert (before.status_code, before.json()["limits"]) == (200, [])
    assert [one["quota"] for one in before.json()["quotas"]] == ["each"]
    after = put(stage, ALICE, "10 requests/day", "2 concurrent", if_match=before.headers["etag"])
    assert after.status_code == 200, after.text
    assert after.json()["limits"] == ["10 requests/day", "2 concurrent"]
    assert stage.ask("GET", ALICE).headers["etag"] == after.headers["etag"] != before.headers["etag"]
    assert [one.details["limits"] for one in stage.log.events if one.event == "quota.set"] == [
        "10 requests/day, 2 concurrent"
    ]


def test_only_who_has_read_the_last_limits_replaces_them(stage: AdminStage) -> None:
    assert code_of(stage.ask("PUT", ALICE, {"limits": []})) == (428, Code.PRECONDITION_REQUIRED)
    assert put(stage, ALICE, "1 request/day", if_match='"v0"').status_code == 200
    assert code_of(put(stage, ALICE, "9 requests/day", if_match='"v0"')) == (412, Code.RECORD_CHANGED)
    assert stage.ask("GET", ALICE).json()["limits"] == ["1 requests/day"]


@pytest.mark.parametrize("wrong", ["1 apple/day", "many requests", "1 request/day in Mars/Olympus"])
def test_what_is_no_limit_is_refused_and_changes_nothing(stage: AdminStage, wrong: str) -> None:
    answer = put(stage, ALICE, wrong)
    assert answer.status_code == 400, answer.text
    assert stage.ask("GET", "/quotas").json()["items"] == []


def test_a_level_that_there_is_not_is_not_found(stage: AdminStage) -> None:
    assert code_of(stage.ask("GET", "/quotas/planet/mars")) == (404, Code.RECORD_MISSING)


def test_holders_are_listed_in_parts(stage: AdminStage) -> None:
    paths = ["/quotas/client/app", "/quotas/principal/ann", "/quotas/principal/idp%2Fbob", "/quotas/tenant/acme"]
    for path in paths:
        assert put(stage, path, "5 USD/month").status_code == 200
    found, query = [], "?limit=3"
    while query:
        answer = stage.ask("GET", f"/quotas{query}").json()
        found += [(one["level"], one["name"]) for one in answer["items"]]
        query = f"?limit=3&cursor={answer['next_cursor']}" if answer["next_cursor"] else ""
    assert found == [("client", "app"), ("principal", "ann"), ("principal", "idp/bob"), ("tenant", "acme")]


def test_what_was_spent_is_reset_and_written_down(stage: AdminStage) -> None:
    answer = stage.ask("POST", f"{ALICE}/reset")
    assert (answer.status_code, answer.json()["quotas"][0]["left"]) == (200, 100)
    assert [one.actor for one in stage.log.events if one.event == "quota.reset"] == ["root"]
    assert stage.ask("POST", "/quotas/client/app/reset").status_code == 400


def test_the_quotas_of_a_call_are_found(stage: AdminStage) -> None:
    put(stage, "/quotas/model/small", "0 requests/hour")
    answer = stage.ask("POST", "/quotas/explain", {"subject": "ann", "model": "small"})
    assert answer.status_code == 200, answer.text
    assert [(one["quota"], one["source"]) for one in answer.json()["quotas"]] == [
        ("each", "rule"),
        ("model 0 requests/hour", "store"),
    ]
    assert answer.json()["refused_by"] == ["model 0 requests/hour"]
    assert stage.ask("POST", "/quotas/explain", {"model": "small"}).status_code == 400


@pytest.mark.parametrize(("method", "path"), [("PUT", ALICE), ("POST", f"{ALICE}/reset"), ("POST", "/quotas/explain")])
def test_who_may_read_changes_nothing(stage: AdminStage, method: str, path: str) -> None:
    reader = stage.token("admin:read")
    assert stage.ask("GET", ALICE, token=reader).status_code == 200
    body: Any = {"limits": []} if method == "PUT" else {"subject": "ann"} if path.endswith("explain") else None
    refused = stage.ask(method, path, body, token=reader, if_match="*")
    assert code_of(refused) == (403, Code.INSUFFICIENT_SCOPE)

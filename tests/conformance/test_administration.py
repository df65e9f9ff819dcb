"""The admin API on each kind of store: versions, pages and repeats do not depend on which it is."""

import pytest

from jotgate.errors import Code
from jotgate.store_ports import Store
from tests.admin_stage import AdminStage, code_of


@pytest.fixture
def stage(store: Store) -> AdminStage:
    return AdminStage(store)


@pytest.mark.parametrize(
    ("noun", "body"),
    [
        ("clients", {"grants": ["client_credentials"], "scopes": ["ai"]}),
        ("principals", {"scopes": ["ai"]}),
        ("tenants", {"roles": [{"name": "dev", "scopes": ["ai"]}]}),
    ],
)
def test_accounts_are_made_changed_listed_and_deleted(stage: AdminStage, noun: str, body: dict[str, object]) -> None:
    for name in ("b", "a", "ä-c" if noun == "principals" else "c"):
        made = stage.ask("POST", f"/{noun}", {"name": name, **body})
        assert made.status_code == 201
    first = stage.get(f"/{noun}?limit=2")
    rest = stage.get(f"/{noun}?limit=2&cursor={first['next_cursor']}")
    assert sorted(one["name"] for one in first["items"] + rest["items"]) == sorted(
        ["a", "b", "ä-c" if noun == "principals" else "c"]
    )
    version = stage.ask("GET", f"/{noun}/a").headers["etag"]
    changed = stage.ask("PATCH", f"/{noun}/a", {"title": "A"}, if_match=version)
    assert changed.json()["title"] == "A"
    assert code_of(stage.ask("DELETE", f"/{noun}/a", if_match=version)) == (412, Code.RECORD_CHANGED)
    assert stage.ask("DELETE", f"/{noun}/a", if_match=changed.headers["etag"]).status_code == 200
    assert code_of(stage.ask("GET", f"/{noun}/a")) == (404, Code.RECORD_MISSING)


def test_a_repeat_is_answered_from_the_store(stage: AdminStage) -> None:
    answers = [stage.ask("POST", "/tenants", {"name": "acme"}, idempotency_key="k") for _ in range(3)]
    assert {one.status_code for one in answers} == {201}
    assert len({one.content for one in answers}) == 1
    other = stage.ask("POST", "/tenants", {"name": "other"}, idempotency_key="k")
    assert code_of(other) == (422, Code.IDEMPOTENCY_MISMATCH)
    client = {"name": "ci", "grants": ["client_credentials"], "scopes": ["ai"]}
    stage.make("/clients", client, idempotency_key="s")
    assert code_of(stage.ask("POST", "/clients", client, idempotency_key="s")) == (409, Code.SECRET_SHOWN)


def test_issuers_and_tokens_are_tended(stage: AdminStage) -> None:
    made = stage.ask("POST", "/issuers", {"name": "idp", "issuer": "https://idp.example"})
    disabled = stage.ask("POST", "/issuers/idp/disable", if_match=made.headers["etag"])
    assert disabled.json()["enabled"] is False
    assert code_of(stage.ask("DELETE", "/issuers/idp", if_match=made.headers["etag"])) == (412, Code.RECORD_CHANGED)
    assert stage.ask("DELETE", "/issuers/idp", if_match=disabled.headers["etag"]).status_code == 204
    stage.make("/principals", {"name": "alice", "scopes": ["ai"]})
    stage.make("/personal-tokens", {"subject": "alice", "name": "laptop"})
    assert stage.ask("POST", "/personal-tokens/alice/laptop/revoke").status_code == 204
    stage.store.add_issuances((stage.issuance("t-1"), stage.issuance("t-2")))
    assert stage.ask("POST", "/tokens/t-1/revoke").status_code == 204
    assert [one["state"] for one in stage.get("/tokens")["items"]] == ["revoked", "live"]


def test_an_issuer_that_is_forgotten_and_added_again_is_not_the_one_it_was(stage: AdminStage) -> None:
    body = {"name": "idp", "issuer": "https://idp.example"}
    first = stage.ask("POST", "/issuers", body).headers["etag"]
    assert stage.ask("DELETE", "/issuers/idp", if_match=first).status_code == 204
    again = stage.ask("POST", "/issuers", body).headers["etag"]
    assert again != first
    assert code_of(stage.ask("DELETE", "/issuers/idp", if_match=first)) == (412, Code.RECORD_CHANGED)


def test_what_somebody_was_issued_ends_by_name_and_when_they_are_disabled(stage: AdminStage) -> None:
    stage.make("/tenants", {"name": "acme"})
    for name in ("alice", "bob"):
        stage.make("/principals", {"name": name, "scopes": ["ai"]})
    rows = [stage.issuance("t-1"), stage.issuance("t-2", subject="bob"), stage.issuance("t-3", parent="t-2")]
    stage.store.add_issuances([*rows, stage.issuance("t-4", subject="eve", tenant="acme")])

    def states() -> list[str]:
        return [stage.get(f"/tokens/t-{number}")["state"] for number in (1, 2, 3, 4)]

    assert stage.ask("POST", "/principals/bob/disable").status_code == 200
    assert states() == ["live", "revoked", "revoked", "live"]
    done = stage.ask("POST", "/tokens/revoke", {"kind": "subject", "name": "alice", "confirmed": True}).json()
    assert (done["live"], done["done"]) == (1, True)
    stage.ask("POST", "/tokens/revoke", {"kind": "tenant", "name": "acme", "confirmed": True})
    assert states() == ["revoked"] * 4

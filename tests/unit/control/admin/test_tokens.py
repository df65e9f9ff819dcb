"""Tokens over the admin API: the ledger, families and personal tokens, and no secret but in the answer that made it."""

import pytest
from msgspec.structs import replace

from jotgate.core.durable import Revocation, RevocationKind
from jotgate.core.families import Family, RefreshRecord
from jotgate.core.opaque import Mark, is_opaque
from jotgate.errors import Code
from tests.admin_stage import AdminStage, code_of
from tests.callers import NOW_S
from tests.conformance.sample import ENDLESS
from tests.token_stage import principal


@pytest.fixture
def stage() -> AdminStage:
    return AdminStage()


def test_the_ledger_shows_what_lives_and_by_whom(stage: AdminStage) -> None:
    rows = [
        stage.issuance("t-1"),
        stage.issuance("t-2", subject="bob", kid="k-2"),
        stage.issuance("t-3", parent="t-1", client_id="other"),
        stage.issuance("t-4", expires_at_s=int(NOW_S)),
    ]
    stage.store.add_issuances(rows)
    assert [one["token_id"] for one in stage.get("/tokens")["items"]] == ["t-1", "t-2", "t-3"]
    for query, wanted in (
        ("subject=alice", ["t-1", "t-3"]),
        ("client_id=other", ["t-3"]),
        ("kid=k-2", ["t-2"]),
        ("parent=t-1", ["t-3"]),
        ("family=f-1", []),
        ("subject=alice&client_id=ci", ["t-1"]),
    ):
        assert [one["token_id"] for one in stage.get(f"/tokens?{query}")["items"]] == wanted
    page = stage.get("/tokens?limit=2")
    assert [one["token_id"] for one in stage.get(f"/tokens?cursor={page['next_cursor']}")["items"]] == ["t-3"]
    assert stage.get("/tokens/t-4")["state"] == "ended"
    assert code_of(stage.ask("GET", "/tokens/t-9")) == (404, Code.RECORD_MISSING)


@pytest.mark.parametrize("path", ["/tokens", "/endless-tokens", "/families", "/personal-tokens"])
def test_a_parameter_that_nobody_is_called_is_refused_by_name(stage: AdminStage, path: str) -> None:
    answer = stage.ask("GET", f"{path}?subject={'a' * 3000}")
    assert code_of(answer) == (400, Code.REQUEST_MALFORMED)
    assert "'subject'" in answer.json()["detail"]


def test_a_token_is_revoked_with_what_came_of_it(stage: AdminStage) -> None:
    stage.store.add_issuances((stage.issuance("t-1"), stage.issuance("t-2", parent="t-1")))
    assert code_of(stage.ask("POST", "/tokens/t-9/revoke")) == (404, Code.RECORD_MISSING)
    assert stage.ask("POST", "/tokens/t-1/revoke").status_code == 204
    assert [stage.get(f"/tokens/{name}")["state"] for name in ("t-1", "t-2")] == ["revoked", "revoked"]
    (event,) = stage.log.named("token.revoked")
    assert (event.actor, event.subject, event.details["jti"]) == ("root", "alice", "t-1")
    assert event.details["request_id"] == "req-1"


def test_tokens_that_never_expire_are_listed_whoever_issued_them(stage: AdminStage) -> None:
    seen = [replace(ENDLESS, digest=f"d{number}", subject=f"s{number % 2}") for number in range(3)]
    stage.store.see_endless_tokens(seen)
    first = stage.get("/endless-tokens?limit=2")
    assert first["items"][1] == {
        "token_id": ENDLESS.token_id,
        "digest": "d1",
        "issuer": "chain",
        "subject": "s1",
        "issued_at_s": ENDLESS.issued_at_s,
        "first_seen_at_s": ENDLESS.first_seen_at_s,
        "last_seen_at_s": ENDLESS.last_seen_at_s,
        "revoked": False,
    }
    second = stage.get(f"/endless-tokens?limit=2&cursor={first['next_cursor']}")
    assert ([one["digest"] for one in second["items"]], second["next_cursor"]) == (["d2"], None)
    assert [one["digest"] for one in stage.get("/endless-tokens?subject=s0")["items"]] == ["d0", "d2"]
    stage.revoked.take_rows([Revocation(RevocationKind.KEY, "chain secret-0", 1, number=1)])
    assert [one["revoked"] for one in stage.get("/endless-tokens")["items"]] == [True] * 3


def test_families_are_listed_and_ended(stage: AdminStage) -> None:
    for name in ("f-1", "f-2"):
        family = Family(
            family_id=name,
            client_id="app",
            subject="alice",
            idle_s=60,
            created_at_s=int(NOW_S),
            ends_at_s=int(NOW_S) + 600,
        )
        first = RefreshRecord(
            digest=name.encode() * 8, family_id=name, generation=0, issued_at_s=int(NOW_S), expires_at_s=int(NOW_S) + 60
        )
        stage.store.add_family(family, first)
    assert [one["family_id"] for one in stage.get("/families?client_id=app")["items"]] == ["f-1", "f-2"]
    assert stage.get("/families?subject=bob")["items"] == []
    assert stage.ask("POST", "/families/f-1/end").status_code == 204
    assert [one["family_id"] for one in stage.get("/families")["items"]] == ["f-2"]
    assert stage.ask("POST", "/families/f-1/end").status_code == 204
    assert code_of(stage.ask("POST", "/families/f-9/end")) == (404, Code.RECORD_MISSING)
    (event,) = stage.log.named("family.ended")
    assert (event.actor, event.details["family"], event.details["request_id"]) == ("root", "f-1", "req-1")
    assert event.details["client_id"] == "app"


def test_a_personal_token_is_shown_once_rolled_and_revoked(stage: AdminStage) -> None:
    stage.store.put_account(principal())
    made = stage.make("/personal-tokens", {"subject": "alice", "name": "laptop", "ttl_s": 3600})
    assert is_opaque(Mark.PERSONAL, made["secret"])
    rolled = stage.ask("POST", "/personal-tokens/alice/laptop/roll", {"overlap_s": 60}).json()
    assert is_opaque(Mark.PERSONAL, rolled["secret"])
    assert rolled["secret"] != made["secret"]
    assert rolled["personal_token"]["previous_until_s"] == int(NOW_S) + 60
    found = stage.ask("GET", "/personal-tokens/alice/laptop")
    assert found.json() == rolled["personal_token"]
    assert stage.get("/personal-tokens?subject=alice")["items"] == [found.json()]
    said = found.text + stage.ask("GET", "/personal-tokens").text + b"".join(stage.log.lines).decode()
    assert made["secret"] not in said
    assert rolled["secret"] not in said
    assert stage.ask("POST", "/personal-tokens/alice/laptop/revoke").status_code == 204
    assert code_of(stage.ask("GET", "/personal-tokens/alice/laptop")) == (404, Code.RECORD_MISSING)
    events = [(one.event, one.actor, one.subject, one.details["request_id"]) for one in stage.log.events]
    assert events == [(f"personal_token.{what}", "root", "alice", "req-1") for what in ("created", "rolled", "revoked")]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"subject": "nobody", "name": "x"}, 409, Code.COMMAND),
        ({"subject": "alice", "name": "a b"}, 400, Code.REQUEST_MALFORMED),
        ({"subject": "alice", "name": "a\n"}, 400, Code.REQUEST_MALFORMED),
        ({"subject": "alice", "name": "x", "scopes": ["admin:keys"]}, 400, Code.SCOPE_REFUSED),
        ({"subject": "alice", "name": "x", "ttl_s": 0}, 400, Code.REQUEST_MALFORMED),
        ({"subject": "alice", "name": "taken"}, 409, Code.RECORD_EXISTS),
        ({"subject": "alice"}, 400, Code.REQUEST_MALFORMED),
    ],
)
def test_a_personal_token_that_cannot_be(stage: AdminStage, body: object, status: int, code: Code) -> None:
    stage.store.put_account(principal())
    stage.make("/personal-tokens", {"subject": "alice", "name": "taken"})
    assert code_of(stage.ask("POST", "/personal-tokens", body)) == (status, code)


def test_personal_tokens_are_on_pages(stage: AdminStage) -> None:
    stage.store.put_account(principal())
    for number in range(5):
        stage.make("/personal-tokens", {"subject": "alice", "name": f"n{number}"})
    seen, path = [], "/personal-tokens?limit=2"
    while path:
        page = stage.get(path)
        seen += [one["name"] for one in page["items"]]
        path = page["next_cursor"] and f"/personal-tokens?limit=2&cursor={page['next_cursor']}"
    assert sorted(seen) == [f"n{number}" for number in range(5)]


def test_a_page_as_long_as_the_service_reads_leads_on(stage: AdminStage) -> None:
    stage.store.put_account(principal())
    stage.store.put_account(principal("bob"))
    for number in range(201):
        stage.make("/personal-tokens", {"subject": ("alice", "bob")[number % 2], "name": f"n{number}"})
    first = stage.get("/personal-tokens?limit=200")
    assert len(first["items"]) == 200
    second = stage.get(f"/personal-tokens?limit=200&cursor={first['next_cursor']}")
    assert len({one["id"] for one in first["items"] + second["items"]}) == 201
    assert second["next_cursor"] is None


def test_what_a_client_was_issued_is_revoked_when_that_is_meant(stage: AdminStage) -> None:
    stage.store.add_issuances(
        (stage.issuance("t-1", client_id="app"), stage.issuance("t-2", parent="t-1"), stage.issuance("t-3"))
    )
    order = {"kind": "client", "name": "app"}
    asked = stage.ask("POST", "/tokens/revoke", order).json()
    assert (asked["live"], asked["done"], asked["before_s"]) == (2, False, int(NOW_S))
    assert stage.get("/tokens/t-1")["state"] == "live"
    done = stage.ask("POST", "/tokens/revoke", {**order, "reason": "lost", "confirmed": True}).json()
    assert (done["live"], done["done"]) == (2, True)
    states = [stage.get(f"/tokens/{name}")["state"] for name in ("t-1", "t-2", "t-3")]
    assert states == ["revoked", "revoked", "live"]
    (event,) = stage.log.named("tokens.revoked")
    assert (event.actor, event.details["kind"], event.details["name"]) == ("root", "client", "app")
    assert (event.details["before"], event.details["request_id"]) == (int(NOW_S), "req-1")
    token = stage.token("admin:read")
    assert code_of(stage.ask("POST", "/tokens/revoke", order, token=token)) == (403, Code.INSUFFICIENT_SCOPE)


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "client", "name": ""},
        {"kind": "client", "name": "app", "issuer": "corp"},
        {"kind": "subject", "name": "ann", "issuer": "nobody"},
        {"kind": "subject", "name": "ann", "before_s": int(NOW_S) + 1},
        {"kind": "subject", "name": "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"},
        {"kind": "session", "name": "s"},
        {"kind": "client"},
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_reason(stage: AdminStage, body: dict[str, object]) -> None:
    answer = stage.ask("POST", "/tokens/revoke", {**body, "confirmed": True})
    assert code_of(answer) == (400, Code.REQUEST_MALFORMED)
    assert "eyJ" not in answer.text
    assert stage.store.versions().revocations == 0

"""Clients, principals and tenants over the admin API: made, read, changed by version, switched, deleted, audited."""

import json
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from httpx2 import Response
from msgspec.structs import replace

from jotgate.core.accounts import ClientRecord, PrincipalRecord
from jotgate.core.durable import Revocation
from jotgate.core.opaque import Mark, is_opaque, opaque_digest
from jotgate.errors import Code
from jotgate.jose.keys import KeySet, generate
from jotgate.stores.memory import MemoryStore
from tests.admin_stage import AdminStage, code_of
from tests.token_stage import client, principal

CI = {"name": "ci", "grants": ["client_credentials"], "scopes": ["ai"]}
NEW: dict[str, dict[str, Any]] = {
    "clients": CI,
    "principals": {"name": "alice", "scopes": ["ai"]},
    "tenants": {"name": "acme", "roles": [{"name": "dev", "scopes": ["ai"], "models": ["echo"]}]},
}
NOUNS = pytest.mark.parametrize("noun", NEW)


@pytest.fixture
def stage() -> AdminStage:
    return AdminStage()


def make(stage: AdminStage, noun: str, **members: Any) -> Response:
    answer = stage.ask("POST", f"/{noun}", {**NEW[noun], **members})
    assert answer.status_code == 201, answer.text
    return answer


def shown(answer: Response) -> Any:
    found = answer.json()
    return found.get("client", found)


@NOUNS
def test_what_is_made_is_found_and_named(stage: AdminStage, noun: str) -> None:
    made = make(stage, noun)
    name = NEW[noun]["name"]
    assert made.headers["location"] == f"/admin/api/{noun}/{name}"
    found = stage.ask("GET", f"/{noun}/{name}")
    assert found.json() == shown(made)
    assert found.headers["etag"] == made.headers["etag"]
    assert stage.get(f"/{noun}")["items"][0] == found.json()
    assert (
        stage.http.head(f"/admin/api/{noun}", headers={"authorization": f"Bearer {stage.token()}"}).status_code == 200
    )
    (event,) = stage.log.events
    assert (event.event, event.actor, event.subject) == (f"{noun[:-1]}.created", "root", name)
    assert (event.details["client_id"], event.details["request_id"]) == ("jotgate-cli", "req-1")


@NOUNS
def test_reading_leaves_no_trace_in_the_audit_log(stage: AdminStage, noun: str) -> None:
    for path in (f"/{noun}", f"/{noun}/nobody", "/keys", "/issuers", "/tokens", "/openapi.json"):
        stage.ask("GET", path)
    assert stage.log.lines == []


@NOUNS
def test_a_name_is_given_once(stage: AdminStage, noun: str) -> None:
    make(stage, noun)
    assert code_of(stage.ask("POST", f"/{noun}", NEW[noun])) == (409, Code.RECORD_EXISTS)
    assert len(stage.log.events) == 1


def test_no_principal_and_client_share_a_name(stage: AdminStage) -> None:
    make(stage, "clients")
    assert code_of(stage.ask("POST", "/principals", {"name": "ci", "scopes": ["ai"]})) == (409, Code.RECORD_EXISTS)


@NOUNS
def test_a_change_says_which_version_it_is_of(stage: AdminStage, noun: str) -> None:
    made, path = make(stage, noun), f"/{noun}/{NEW[noun]['name']}"
    first = made.headers["etag"]
    assert code_of(stage.ask("PATCH", path, {"title": "x"})) == (428, Code.PRECONDITION_REQUIRED)
    assert code_of(stage.ask("DELETE", path)) == (428, Code.PRECONDITION_REQUIRED)
    changed = stage.ask("PATCH", path, {"title": "First"}, if_match=first)
    assert (changed.status_code, changed.json()["title"]) == (200, "First")
    assert changed.headers["etag"] != first
    assert code_of(stage.ask("PATCH", path, {"title": "Second"}, if_match=first)) == (412, Code.RECORD_CHANGED)
    assert code_of(stage.ask("DELETE", path, if_match=first)) == (412, Code.RECORD_CHANGED)
    for wrong in ('"v"', 'W/"v1"', '"1"', '""', '"v99999999999999999999"'):
        assert code_of(stage.ask("PATCH", path, {"title": "x"}, if_match=wrong)) == (412, Code.RECORD_CHANGED)
    for malformed in ("v1", '"v1', "", "1"):
        assert code_of(stage.ask("PATCH", path, {"title": "x"}, if_match=malformed)) == (400, Code.REQUEST_MALFORMED)
    listed = f"{first}, {changed.headers['etag']}"
    assert code_of(stage.ask("PATCH", path, {"title": "x"}, if_match=listed)) == (400, Code.REQUEST_MALFORMED)
    assert stage.get(path)["title"] == "First"
    assert stage.ask("PATCH", path, {"title": "Any"}, if_match="*").json()["title"] == "Any"
    assert [one.event for one in stage.log.events][1:] == [f"{noun[:-1]}.changed"] * 2


@NOUNS
def test_what_is_deleted_and_made_again_is_not_what_it_was(stage: AdminStage, noun: str) -> None:
    first, path = make(stage, noun).headers["etag"], f"/{noun}/{NEW[noun]['name']}"
    assert stage.ask("DELETE", path, if_match=first).status_code == 200
    again = make(stage, noun).headers["etag"]
    assert again != first
    assert code_of(stage.ask("DELETE", path, if_match=first)) == (412, Code.RECORD_CHANGED)


@NOUNS
def test_nobody_is_changed_that_is_not_there(stage: AdminStage, noun: str) -> None:
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"title": "x"}),
        ("DELETE", "", None),
        ("POST", "/enable", None),
        ("POST", "/disable", None),
    ):
        answer = stage.ask(method, f"/{noun}/nobody{path}", body, if_match="*")
        assert code_of(answer) == (404, Code.RECORD_MISSING)
    assert stage.log.lines == []


@NOUNS
def test_an_account_is_switched_off_and_on(stage: AdminStage, noun: str) -> None:
    make(stage, noun)
    path = f"/{noun}/{NEW[noun]['name']}"
    for action, enabled in (("disable", False), ("disable", False), ("enable", True)):
        assert stage.ask("POST", f"{path}/{action}").json()["enabled"] is enabled
    assert [one.event for one in stage.log.events][1:] == [f"{noun[:-1]}.disabled", f"{noun[:-1]}.enabled"]


@NOUNS
def test_whatever_says_a_version_is_done_to_that_one_alone(stage: AdminStage, noun: str) -> None:
    first, path = make(stage, noun).headers["etag"], f"/{noun}/{NEW[noun]['name']}"
    changed = stage.ask("POST", path + "/disable", if_match=first)
    assert changed.status_code == 200
    again = stage.ask("POST", path + "/enable", if_match=first)
    assert code_of(again) == (412, Code.RECORD_CHANGED)
    assert stage.get(path)["enabled"] is False
    assert stage.ask("POST", path + "/enable", if_match=changed.headers["etag"]).status_code == 200


def test_a_version_of_what_has_none_is_no_version(stage: AdminStage) -> None:
    first = make(stage, "clients").headers["etag"]
    stale = stage.ask("POST", "/clients/ci/rotate-secret", {}, if_match='"v999"')
    assert code_of(stale) == (412, Code.RECORD_CHANGED)
    assert stage.ask("POST", "/clients/ci/rotate-secret", {}, if_match=first).status_code == 200
    assert code_of(stage.ask("POST", "/keys", {}, if_match='"v1"')) == (412, Code.RECORD_CHANGED)
    assert code_of(stage.ask("POST", "/tenants", NEW["tenants"], if_match='"v1"')) == (412, Code.RECORD_CHANGED)
    assert stage.ask("POST", "/tenants", NEW["tenants"], if_match="*").status_code == 201


def test_of_two_who_change_one_version_one_is_told() -> None:
    stage = AdminStage()
    version = make(stage, "tenants").headers["etag"]
    gate, answers = threading.Barrier(8), []

    def change(title: str) -> None:
        one = AdminStage.ask
        gate.wait()
        answers.append(one(stage, "PATCH", "/tenants/acme", {"title": title}, if_match=version))

    threads = [threading.Thread(target=change, args=(f"title {number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    good = [one for one in answers if one.status_code == 200]
    assert [code_of(one) for one in answers if one not in good] == [(412, Code.RECORD_CHANGED)] * 7
    assert stage.get("/tenants/acme")["title"] == good[0].json()["title"]


def test_a_secret_is_shown_once_and_kept_as_a_digest(stage: AdminStage) -> None:
    answer = make(stage, "clients")
    secret = answer.json()["client_secret"]
    assert is_opaque(Mark.CLIENT_SECRET, secret)
    record = stage.store.account(ClientRecord, "ci")
    assert record is not None
    assert [one.digest for one in record.secrets] == [opaque_digest(secret)]
    rotated = stage.ask("POST", "/clients/ci/rotate-secret", {"overlap_s": 60}).json()
    assert rotated["client_secret"] != secret
    assert [one["ends_at_s"] for one in rotated["client"]["secrets"]] == [int(stage.clock.now_s()) + 60, None]
    everything = [stage.ask("GET", path).text for path in ("/clients", "/clients/ci", "/tokens")]
    everything += [line.decode() for line in stage.log.lines]
    assert not [text for text in everything if secret in text or rotated["client_secret"] in text]
    assert not [text for text in everything if opaque_digest(secret).hex() in text]
    assert stage.log.events[-1].event == "client.secret_rotated"


def test_a_client_with_a_key_has_no_secret(stage: AdminStage) -> None:
    jwks = KeySet([generate("ES256").verification_key]).to_jwks()
    body = {**CI, "authentication": "private_key_jwt", "jwks": json.loads(jwks)}
    made = stage.make("/clients", body)
    assert (made["client_secret"], len(made["client"]["jwks"]["keys"])) == ("", 1)
    assert code_of(stage.ask("POST", "/clients/ci/rotate-secret", {})) == (400, Code.REQUEST_MALFORMED)


def test_a_client_without_a_name_gets_one(stage: AdminStage) -> None:
    made = stage.make("/clients", {key: value for key, value in CI.items() if key != "name"})
    assert stage.get(f"/clients/{made['client']['name']}") == made["client"]


def test_a_name_with_a_slash_is_one_name(stage: AdminStage) -> None:
    answer = make(stage, "principals", name="github/repo:acme/app")
    assert answer.headers["location"] == "/admin/api/principals/github%2Frepo%3Aacme%2Fapp"
    path = answer.headers["location"].removeprefix("/admin/api")
    assert stage.get(path)["name"] == "github/repo:acme/app"
    assert stage.ask("POST", path + "/disable").json()["enabled"] is False
    assert stage.ask("DELETE", path, if_match="*").status_code == 200


def test_what_cannot_be_set_yet_or_at_all_is_refused_with_its_member(stage: AdminStage) -> None:
    for member, value in (("tools", []), ("limits", {}), ("scopes", ["nonsense"]), ("tenant", "nobody")):
        answer = stage.ask("POST", "/principals", {"name": "alice", member: value})
        assert code_of(answer) == (400, Code.REQUEST_MALFORMED)
        assert answer.json()["errors"][0]["member"] == member


def test_deleting_ends_what_was_given_and_says_how_much(stage: AdminStage) -> None:
    make(stage, "principals")
    stage.store.add_issuances((stage.issuance("t-1"), stage.issuance("t-2")))
    stage.make("/personal-tokens", {"subject": "alice", "name": "laptop"})
    answer = stage.ask("DELETE", "/principals/alice", if_match="*")
    assert answer.json() == {"live_tokens": 2, "families": 0, "personal_tokens": 1}
    assert {one["state"] for one in stage.get("/tokens")["items"]} == {"revoked"}
    assert stage.log.events[-1].event == "principal.deleted"


def test_nobody_makes_himself_an_administrator(stage: AdminStage) -> None:
    token = stage.token("admin:clients", "admin:principals", "admin:tokens")
    for path, body in (
        ("/clients", {**CI, "scopes": ["admin:*"]}),
        ("/principals", {"name": "eve", "scopes": ["admin:keys"]}),
    ):
        assert code_of(stage.ask("POST", path, body, token=token)) == (403, Code.INSUFFICIENT_SCOPE)
    stage.store.put_account(client("boss", scopes=("admin:*",)))
    assert code_of(stage.ask("POST", "/clients/boss/rotate-secret", {}, token=token)) == (403, Code.INSUFFICIENT_SCOPE)
    stage.store.put_account(principal("chief", scopes=("admin:*", "ai")))
    tenant = {"name": "own", "roles": [{"name": "all", "scopes": ["admin:*"]}]}
    tenants = stage.token("admin:tenants")
    assert code_of(stage.ask("POST", "/tenants", tenant, token=tenants)) == (403, Code.INSUFFICIENT_SCOPE)
    for method, path in (("DELETE", "/clients/boss"), ("POST", "/clients/boss/disable")):
        answer = stage.ask(method, path, token=token, if_match="*")
        assert code_of(answer) == (403, Code.INSUFFICIENT_SCOPE)
    narrow = {**CI, "name": "helper", "scopes": ["admin:clients"]}
    assert stage.ask("POST", "/clients", narrow, token=token).status_code == 201
    assert stage.ask("POST", "/clients", {**narrow, "name": "h2", "scopes": ["admin:keys"]}).status_code == 201
    asked = {"subject": "chief", "name": "mine", "scopes": ["admin:*"]}
    assert code_of(stage.ask("POST", "/personal-tokens", asked, token=token)) == (403, Code.INSUFFICIENT_SCOPE)
    stage.make("/personal-tokens", asked)
    usual = {"subject": "chief", "name": "usual", "scopes": ["ai"]}
    assert code_of(stage.ask("POST", "/personal-tokens", usual, token=token)) == (403, Code.INSUFFICIENT_SCOPE)
    stage.make("/personal-tokens", usual)
    for name in ("mine", "usual"):
        rolled = stage.ask("POST", f"/personal-tokens/chief/{name}/roll", {}, token=token)
        assert code_of(rolled) == (403, Code.INSUFFICIENT_SCOPE)


class _Meddled(MemoryStore):
    """A store in which somebody changes the principal while its tokens are being ended."""

    def revoke(self, rows: Sequence[Revocation]) -> int:
        found = self.account(PrincipalRecord, "alice")
        assert found is not None
        self.put_account(replace(found, title="back"))
        return super().revoke(rows)


def test_a_delete_that_loses_a_race_says_what_was_done_and_records_it() -> None:
    stage = AdminStage(_Meddled())
    make(stage, "principals")
    stage.store.add_issuances((stage.issuance("t-1"),))
    answer = stage.ask("DELETE", "/principals/alice", if_match="*")
    assert code_of(answer) == (412, Code.RECORD_CHANGED)
    assert "it was disabled, and what it had has ended" in answer.json()["detail"]
    assert stage.get("/principals/alice")["enabled"] is False
    assert stage.get("/tokens/t-1")["state"] == "revoked"
    event = stage.log.events[-1]
    assert (event.event, event.details["live_tokens"]) == ("principal.disabled", 1)


def test_an_order_is_in_effect_when_it_is_answered(stage: AdminStage) -> None:
    token = {"subject": "alice", "name": "laptop"}
    for method, path, body in (
        ("POST", "/principals", NEW["principals"]),
        ("POST", "/clients", CI),
        ("POST", "/clients/ci/rotate-secret", {}),
        ("PATCH", "/principals/alice", {"title": "A"}),
        ("POST", "/personal-tokens", token),
        ("POST", "/personal-tokens/alice/laptop/roll", {"overlap_s": 0}),
        ("POST", "/principals/alice/disable", None),
        ("POST", "/principals/alice/enable", None),
        ("DELETE", "/clients/ci", None),
    ):
        before = stage.looked
        stage.clock.advance(1)  # A secret is not replaced without an overlap in the second in which it was made.
        assert stage.ask(method, path, body, if_match="*").status_code in (200, 201)
        assert before < stage.looked == stage.store.versions().accounts, path


def test_a_change_that_cannot_be_recorded_is_not_made(stage: AdminStage) -> None:
    stage.log.full = True
    assert code_of(stage.ask("POST", "/clients", CI, idempotency_key="k")) == (503, Code.AUDIT_UNAVAILABLE)
    assert stage.get("/clients")["items"] == []
    stage.log.full = False
    assert stage.ask("POST", "/clients", CI, idempotency_key="k").status_code == 201


@NOUNS
def test_each_item_is_on_one_page(stage: AdminStage, noun: str) -> None:
    names = [f"n{number:02}" for number in range(7)]
    for name in names:
        make(stage, noun, name=name)
    seen, path = [], f"/{noun}?limit=3"
    while path:
        page = stage.get(path)
        assert len(page["items"]) <= 3
        seen += [one["name"] for one in page["items"]]
        path = page["next_cursor"] and f"/{noun}?limit=3&cursor={page['next_cursor']}"
    assert seen == names
    exact = stage.get(f"/{noun}?limit=7")
    assert (len(exact["items"]), exact["next_cursor"]) == (7, None)


def test_pages_hold_what_stays_while_others_come_and_go(stage: AdminStage) -> None:
    for name in ("b", "d", "f", "h"):
        make(stage, "tenants", name=name)
    first = stage.get("/tenants?limit=2")
    assert [one["name"] for one in first["items"]] == ["b", "d"]
    for name in ("a", "c", "e"):
        make(stage, "tenants", name=name)
    for name in ("d", "f"):
        assert stage.ask("DELETE", f"/tenants/{name}", if_match="*").status_code == 200
    second = stage.get(f"/tenants?limit=2&cursor={first['next_cursor']}")
    assert [one["name"] for one in second["items"]] == ["e", "h"]
    assert second["next_cursor"] is None


def test_a_cursor_is_for_its_own_list(stage: AdminStage) -> None:
    for name in ("a", "b"):
        make(stage, "tenants", name=name)
    cursor = stage.get("/tenants?limit=1")["next_cursor"]
    assert "a" not in cursor.split()
    assert code_of(stage.ask("GET", f"/clients?cursor={cursor}")) == (400, Code.REQUEST_MALFORMED)


def test_a_list_is_narrowed_to_a_tenant(stage: AdminStage) -> None:
    make(stage, "tenants")
    make(stage, "principals", name="bob", tenant="acme", scopes=[], roles=["dev"])
    make(stage, "principals")
    assert [one["name"] for one in stage.get("/principals?tenant=acme")["items"]] == ["bob"]
    assert code_of(stage.ask("DELETE", "/tenants/acme", if_match="*")) == (400, Code.REQUEST_MALFORMED)
    assert code_of(stage.ask("GET", "/tenants?tenant=acme")) == (400, Code.REQUEST_MALFORMED)

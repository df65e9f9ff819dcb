"""Keys and issuers over the admin API: no private part leaves, and no URL leads inward (F13, C02)."""

from typing import Any

import pytest

from jotgate.control.admin.bodies import OF_THE_SERVER, NewIssuer
from jotgate.control.admin.routes import ROUTES
from jotgate.core.config import IssuerEntry
from jotgate.core.durable import IssuerRecord
from jotgate.errors import Code
from tests.admin_stage import AdminStage, code_of

IDP = {"name": "idp", "issuer": "https://idp.example"}


@pytest.fixture
def stage() -> AdminStage:
    return AdminStage()


def test_keys_are_listed_rotated_retired_and_revoked(stage: AdminStage) -> None:
    (first,) = stage.get("/keys")["items"]
    assert (first["state"], first["private"]) == ("active", True)
    made = stage.make("/keys", {"algorithm": "ES256"})["key"]
    assert [one["kid"] for one in stage.get("/keys")["items"]] == sorted(one["kid"] for one in (first, made))
    assert stage.get(f"/keys/{first['kid']}")["state"] == "retired"
    ahead = stage.make("/keys", {"ahead_s": 3600})["key"]
    assert ahead["state"] == "pending"
    promoted = stage.ask("POST", f"/keys/{ahead['kid']}/promote")
    assert promoted.json()["key"]["state"] == "active"
    retired = stage.make("/keys", {"ahead_s": 3600})["key"]["kid"]
    assert code_of(stage.ask("POST", f"/keys/{ahead['kid']}/retire")) == (409, Code.COMMAND)
    assert stage.ask("POST", f"/keys/{retired}/revoke").json()["key"]["state"] == "compromised"
    events = {(one.event, one.actor, one.details["request_id"]) for one in stage.log.events}
    assert ("key.created", "root", "req-1") in events
    assert ("key.compromised", "root", "req-1") in events or ("key.revoked", "root", "req-1") in events


def test_keys_are_on_pages(stage: AdminStage) -> None:
    for _ in range(4):
        stage.clock.advance(1)
        stage.make("/keys", {})
    seen, path = [], "/keys?limit=2"
    while path:
        page = stage.get(path)
        seen += page["items"]
        path = page["next_cursor"] and f"/keys?limit=2&cursor={page['next_cursor']}"
    assert len({one["kid"] for one in seen}) == 5
    assert [one["created_at_s"] for one in seen] == sorted(one["created_at_s"] for one in seen)


@pytest.mark.parametrize("action", ["promote", "retire", "revoke"])
def test_a_key_that_is_none(stage: AdminStage, action: str) -> None:
    assert code_of(stage.ask("POST", f"/keys/nobody/{action}")) == (404, Code.RECORD_MISSING)
    assert code_of(stage.ask("GET", "/keys/nobody")) == (404, Code.RECORD_MISSING)


def test_an_algorithm_that_is_none_makes_no_key(stage: AdminStage) -> None:
    for body in ({"algorithm": "HS256"}, {"algorithm": "none"}):
        answer = stage.ask("POST", "/keys", body)
        assert code_of(answer) == (400, Code.REQUEST_MALFORMED)
        assert [one["member"] for one in answer.json()["errors"]] == ["algorithm"]
    assert code_of(stage.ask("POST", "/keys", {"ahead_s": 10**12})) == (409, Code.COMMAND)
    assert stage.ask("POST", "/keys", {"ahead_s": -1}).status_code == 400
    assert len(stage.get("/keys")["items"]) == 1


def test_no_route_exports_or_imports_a_key() -> None:
    names = {route.path for route in ROUTES if route.noun == "keys"}
    assert not [path for path in names if "export" in path or "import" in path]


def test_an_issuer_is_trusted_switched_and_forgotten(stage: AdminStage) -> None:
    made = stage.ask("POST", "/issuers", IDP)
    assert (made.status_code, made.headers["location"]) == (201, "/admin/api/issuers/idp")
    found = made.json()
    assert (found["origin"], found["enabled"], found["way"], found["faults"]) == ("store", True, "discovery", [])
    assert found["settings"]["public_only"] is True
    assert stage.get("/issuers")["items"] == [found] == [stage.get("/issuers/idp")]
    assert stage.ask("POST", "/issuers/idp/disable").json()["enabled"] is False
    stale = stage.ask("POST", "/issuers/idp/enable", if_match=made.headers["etag"])
    assert code_of(stale) == (412, Code.RECORD_CHANGED)
    version = stage.ask("POST", "/issuers/idp/enable").headers["etag"]
    assert code_of(stage.ask("DELETE", "/issuers/idp", if_match=made.headers["etag"])) == (412, Code.RECORD_CHANGED)
    assert code_of(stage.ask("DELETE", "/issuers/idp")) == (428, Code.PRECONDITION_REQUIRED)
    assert stage.ask("DELETE", "/issuers/idp", if_match=version).status_code == 204
    assert code_of(stage.ask("DELETE", "/issuers/idp", if_match="*")) == (404, Code.RECORD_MISSING)
    assert code_of(stage.ask("GET", "/issuers/idp")) == (404, Code.RECORD_MISSING)
    events = [(one.event, one.actor, one.details["request_id"]) for one in stage.log.events]
    assert events == [(f"issuer.{what}", "root", "req-1") for what in ("added", "disabled", "enabled", "removed")]


def test_an_issuer_of_a_name_that_is_taken(stage: AdminStage) -> None:
    stage.make("/issuers", IDP)
    assert code_of(stage.ask("POST", "/issuers", IDP)) == (409, Code.RECORD_EXISTS)
    assert code_of(stage.ask("POST", "/issuers/nobody/enable")) == (404, Code.RECORD_MISSING)


def test_an_issuer_may_be_kept_without_being_trusted_yet(stage: AdminStage) -> None:
    assert stage.make("/issuers", {**IDP, "enabled": False})["enabled"] is False


@pytest.mark.parametrize("name", OF_THE_SERVER)
def test_what_names_files_and_variables_of_the_server_is_refused(stage: AdminStage, name: str) -> None:
    answer = stage.ask("POST", "/issuers", {**IDP, name: "/etc/passwd"})
    assert code_of(answer) == (422, Code.CONFIGURATION)
    (flaw,) = answer.json()["errors"]
    assert (flaw["member"], "operator alone" in flaw["detail"]) == (name, True)
    assert stage.get("/issuers")["items"] == []


def test_each_setting_of_an_issuer_is_taken_or_refused_by_name() -> None:
    assert set(NewIssuer.__struct_fields__) == set(IssuerEntry.__struct_fields__) - {"public_only"} | {"enabled"}
    refused = stage_free_refusal("public_only")
    assert "unknown field" in refused


def stage_free_refusal(name: str) -> str:
    answer = AdminStage().ask("POST", "/issuers", {**IDP, name: True})
    assert code_of(answer) == (400, Code.REQUEST_MALFORMED)
    return str(answer.json()["detail"])


@pytest.mark.parametrize("member", ["issuer", "jwks_url"])
@pytest.mark.parametrize(
    "url",
    [
        "http://idp.example/",
        "http://127.0.0.1:8080/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[fd00::1]/",
        "https://2130706433/",
        "https://0177.0.0.1/",
        "https://0x7f.1/",
        "https://good.example@127.0.0.1/",
        "https://intranet/",
    ],
)
def test_a_url_that_leads_inward_is_refused(stage: AdminStage, member: str, url: str) -> None:
    body: dict[str, Any] = {**IDP, member: url}
    answer = stage.ask("POST", "/issuers", body)
    assert code_of(answer) == (422, Code.CONFIGURATION)
    assert answer.json()["errors"][0]["member"] == member
    assert list(stage.store.issuers()) == []
    assert stage.log.lines == []


def test_a_name_that_leads_inward_now_is_refused(stage: AdminStage) -> None:
    stage.faults["https://rebind.example/keys"] = "is refused: it leads to 127.0.0.1"
    answer = stage.ask("POST", "/issuers", {**IDP, "jwks_url": "https://rebind.example/keys"})
    assert code_of(answer) == (422, Code.CONFIGURATION)
    assert answer.json()["errors"] == [{"member": "jwks_url", "detail": "is refused: it leads to 127.0.0.1"}]


@pytest.mark.parametrize(
    "body",
    [
        {"name": "idp"},
        {"name": "a b", "issuer": "https://idp.example"},
        {"name": "jotgate", "issuer": "https://idp.example"},
        {**IDP, "algorithms": ["none"]},
        {**IDP, "refresh": "soon"},
        {**IDP, "profile": "mcp-daemon"},
        {**IDP, "issuer": "urn:idp"},
        {**IDP, "equal": {"a": True}, "required": ["iss"]},
    ],
)
def test_an_issuer_with_a_fault_is_not_kept(stage: AdminStage, body: object) -> None:
    answer = stage.ask("POST", "/issuers", body)
    assert code_of(answer) == (422, Code.CONFIGURATION)
    flaws = answer.json()["errors"]
    assert all(one["member"] and not one["detail"].startswith(one["member"]) for one in flaws), flaws
    assert not answer.json()["detail"].startswith(":")
    assert list(stage.store.issuers()) == []


def test_an_issuer_of_the_operator_shows_nothing_of_the_server(stage: AdminStage) -> None:
    content = b'{"name":"old","issuer":"https://old.example","jwks_file":"/srv/keys.json"}'
    stage.store.put_issuer(IssuerRecord("old", content))
    stage.store.put_issuer(IssuerRecord("broken", b"[1,"))
    found = stage.ask("GET", "/issuers")
    assert "/srv" not in "".join(str(one["settings"]) for one in found.json()["items"])
    assert [one["name"] for one in found.json()["items"]] == ["broken", "old"]
    page = stage.get("/issuers?limit=1")
    assert [one["name"] for one in stage.get(f"/issuers?cursor={page['next_cursor']}")["items"]] == ["old"]

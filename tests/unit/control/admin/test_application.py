"""Who may use the admin API, and what a request must be like: the same gates before every route (PD-01, AT-08, E05)."""

from collections.abc import Sequence
from typing import Final

import pytest
from msgspec.structs import replace

from jotgate.control.admin.reading import BODY_BYTES_MAX
from jotgate.control.admin.routes import ROUTES
from jotgate.control.admin.shapes import AdminRoute
from jotgate.core.accounts import Account, TenantRecord
from jotgate.core.scopes import ADMIN_NOUNS, ADMIN_READ
from jotgate.errors import Code, StoreUnavailable
from jotgate.services.refusal_log import RECORDED_PER_MINUTE
from jotgate.stores.memory import MemoryStore
from jotgate.testing.issuer import wrong_tokens
from tests.admin_stage import AUDIENCE, AdminStage, code_of
from tests.callers import NAME, NOW_S
from tests.token_stage import client, principal

_EACH: Final = pytest.mark.parametrize("route", ROUTES, ids=[route.name for route in ROUTES])


@pytest.fixture
def stage() -> AdminStage:
    return AdminStage()


def path_of(route: AdminRoute) -> str:
    """A path of the route, with names of nobody."""
    return "/".join("nobody" if part.startswith("{") else part for part in route.path.split("/"))


@_EACH
def test_every_route_wants_a_token(stage: AdminStage, route: AdminRoute) -> None:
    answer = stage.http.request(route.method, "/admin/api" + path_of(route))
    assert code_of(answer) == (401, Code.TOKEN_MISSING)
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith('Bearer realm="jotgate"')
    assert "error=" not in challenge
    assert f'resource_metadata="{NAME}/.well-known/oauth-protected-resource/admin/api"' in challenge


@_EACH
def test_every_route_wants_its_scope(stage: AdminStage, route: AdminRoute) -> None:
    other = next(f"admin:{noun}" for noun in ADMIN_NOUNS if noun != route.noun)
    scopes = ("ai", "introspect") if route.noun is None else ("ai", other, *([ADMIN_READ] if route.changes else []))
    answer = stage.ask(route.method, path_of(route), token=stage.token(*scopes))
    assert code_of(answer) == (403, Code.INSUFFICIENT_SCOPE)
    needed = f"admin:{route.noun}" if route.changes else ADMIN_READ
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert f'scope="{needed}"' in answer.headers["www-authenticate"]
    assert "resource_metadata=" in answer.headers["www-authenticate"]


@_EACH
def test_the_scope_that_is_named_is_enough(stage: AdminStage, route: AdminRoute) -> None:
    scope = f"admin:{route.noun}" if route.changes else ADMIN_READ
    answer = stage.ask(route.method, path_of(route), token=stage.token(scope))
    assert answer.status_code not in (401, 403), answer.text


def test_every_wrong_token_is_refused_for_its_reason(stage: AdminStage) -> None:
    for name, (token, code) in wrong_tokens(stage.keys.key, NAME, AUDIENCE, NOW_S).items():
        answer = stage.ask("GET", "/clients", token=token.decode("latin-1"))
        assert (name, *code_of(answer)) == (name, 401, code)
        assert 'error="invalid_token"' in answer.headers["www-authenticate"] or code == Code.TOKEN_MISSING
        assert "jotgate token create" not in answer.text


def test_a_refusal_leads_to_a_token_that_is_taken_here(stage: AdminStage) -> None:
    for answer in (stage.http.get("/admin/api/clients"), stage.ask("GET", "/clients", token=stage.token(aud=NAME))):
        assert answer.status_code == 401
        assert "jotgate admin token" in answer.json()["detail"]
    personal = stage.ask("GET", "/clients", token="jot_p_" + "a" * 43)
    assert code_of(personal) == (401, Code.TOKEN_MALFORMED)
    assert "personal token is not taken here" in personal.json()["detail"]


@pytest.mark.parametrize("audience", [NAME, NAME + "/admin", AUDIENCE + "/", [NAME, "https://files.example"]])
def test_a_token_for_another_resource_is_refused(stage: AdminStage, audience: object) -> None:
    assert code_of(stage.ask("GET", "/clients", token=stage.token(aud=audience))) == (401, Code.CLAIM_REFUSED)


def test_a_token_that_was_revoked_is_refused(stage: AdminStage) -> None:
    token = stage.token(jti="t-9")
    assert stage.ask("GET", "/clients", token=token).status_code == 200
    from_elsewhere = stage.issuance("t-9")
    stage.store.add_issuances((from_elsewhere,))
    assert stage.ask("POST", "/tokens/t-9/revoke").status_code == 204
    assert code_of(stage.ask("GET", "/clients", token=token)) == (401, Code.TOKEN_REVOKED)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/clients/ops/disable"),
        ("POST", "/principals/ann/disable"),
        ("POST", "/tenants/acme/disable"),
        ("DELETE", "/clients/ops"),
        ("DELETE", "/principals/ann"),
    ],
)
def test_an_administrator_who_is_disabled_or_deleted_is_out_at_once(stage: AdminStage, method: str, path: str) -> None:
    stage.store.put_account(TenantRecord(name="acme"))
    stage.store.put_account(replace(client("ops", scopes=("admin:clients",)), tenant="acme"))
    stage.store.put_account(replace(principal("ann", scopes=("admin:clients",)), tenant="acme"))
    token = stage.token("admin:clients", sub="ann", client_id="ops", tenant="acme")
    assert stage.ask("GET", "/clients", token=token).status_code == 200
    assert stage.ask(method, path, if_match="*").status_code == 200
    answer = stage.ask("GET", "/clients", token=token)
    assert code_of(answer) == (401, Code.TOKEN_REVOKED)
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    made = stage.ask("POST", "/clients", {"name": "more"}, token=token)
    assert code_of(made) == (401, Code.TOKEN_REVOKED)


def test_a_token_stands_in_the_authorization_header_alone(stage: AdminStage) -> None:
    token = stage.token()
    for path, headers in (
        ("/clients", {"cookie": f"token={token}; access_token={token}"}),
        (f"/clients?access_token={token}", {}),
        ("/clients", {"x-api-key": token}),
        ("/clients", {"authorization": f"Basic {token}"}),
    ):
        answer = stage.http.get("/admin/api" + path, headers=headers)
        assert code_of(answer) == (401, Code.TOKEN_MISSING)


def test_who_tries_what_is_not_theirs_is_recorded_and_a_flood_of_it_fills_no_disk(stage: AdminStage) -> None:
    """Who it was as far as the token was taken, what was tried, and from where; never the token."""
    weak = stage.token("admin:keys", sub="ann", client_id="ops")
    assert stage.ask("POST", "/clients", token=weak).status_code == 401, "nobody knows ann"
    weak = stage.token("admin:keys")
    headers = {"x-jotgate-peer": "192.0.2.7", "x-request-id": "ask-1", "authorization": f"Bearer {weak}"}
    assert stage.http.request("DELETE", f"/admin/api/clients/{weak}", headers=headers).status_code == 403
    assert stage.http.get("/admin/api/clients").status_code == 401
    assert stage.ask("GET", "/clients/nobody").status_code == 404, "which is none"
    revoked, forbidden, missing = stage.log.named("admin.refused")
    assert (revoked.actor, revoked.details["code"], revoked.details["method"]) == ("", "token_revoked", "POST")
    assert (forbidden.actor, forbidden.details["client_id"]) == ("root", "jotgate-cli")
    assert (forbidden.details["code"], forbidden.details["peer"]) == ("insufficient_scope", "192.0.2.7")
    assert (forbidden.details["path"], forbidden.details["request_id"]) == ("/admin/api/clients/(token)", "ask-1")
    assert (missing.details["code"], missing.details["path"]) == ("token_missing", "/admin/api/clients")
    assert weak.encode() not in b"".join(stage.log.lines)
    for _ in range(100):
        stage.http.get("/admin/api/clients")
    told = [one.actor for one in stage.log.named("admin.refused")]
    assert (told.count(""), told.count("root")) == (RECORDED_PER_MINUTE, 1)


def test_a_refusal_that_cannot_be_recorded_is_not_said(stage: AdminStage) -> None:
    stage.log.full = True
    assert code_of(stage.http.get("/admin/api/clients")) == (503, Code.AUDIT_UNAVAILABLE)


def test_two_tokens_are_one_too_many(stage: AdminStage) -> None:
    token = stage.token()
    twice = [("authorization", f"Bearer {token}"), ("authorization", f"Bearer {token}")]
    assert code_of(stage.http.get("/admin/api/clients", headers=twice)) == (400, Code.CREDENTIALS_AMBIGUOUS)
    listed = {"authorization": f"Bearer {token}, Bearer {token}"}
    assert stage.http.get("/admin/api/clients", headers=listed).status_code in (400, 401)


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "",
        "/",
        "/clients/",
        "//clients",
        "/clients/a/b",
        "/Clients",
        "/clients;x",
        "/%63lients",
        "/clients%2fci",
        "/clients/../keys/x/y",
        "/./clients",
        "/openapi.json/",
        "/keys/x/export",
        "/keys/export",
        "/%0A",
    ],
)
def test_no_spelling_of_a_path_leads_to_another_route(stage: AdminStage, path: str) -> None:
    headers = {"authorization": f"Bearer {stage.token()}"}
    status, body = stage.raw("GET", "/admin/api" + path, headers)
    assert status == 404, (path, body)


def test_a_method_that_is_none_of_the_path_is_refused_and_the_others_named(stage: AdminStage) -> None:
    answer = stage.ask("PUT", "/clients")
    assert code_of(answer) == (405, Code.METHOD_REFUSED)
    assert answer.headers["allow"] == "GET, HEAD, POST"
    answer = stage.ask("OPTIONS", "/clients/ci")
    assert code_of(answer) == (405, Code.METHOD_REFUSED)
    assert answer.headers["allow"] == "DELETE, GET, HEAD, PATCH"


def test_PD_01_a_refusal_is_a_problem_that_names_its_request_and_leaks_nothing(stage: AdminStage) -> None:
    answer = stage.ask("GET", "/clients/nobody")
    assert code_of(answer) == (404, Code.RECORD_MISSING)
    problem = answer.json()
    assert (problem["instance"], problem["title"]) == ("req-1", "Record missing")
    assert problem["detail"].startswith("there is no client of this name")
    assert set(problem) == {"type", "title", "status", "detail", "code", "instance"}
    token = stage.token()
    assert token not in stage.ask("GET", "/clients", token=token + "x").text
    assert answer.headers["cache-control"] == "no-store"
    assert stage.ask("GET", "/clients").headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"name":"a","name":"b"}', "repeated member name"),
        (b'{"roles":[{"name":"a","name":"b"}],"name":"t"}', "repeated member name"),
        (b'{"name":"t","colour":"red"}', "unknown field `colour`"),
        (b'{"name":7}', "Expected `str`"),
        (b'{"name":"t","roles":[{"name":"r","scopes":"ai"}]}', "roles"),
        (b'{"title":"t"}', "missing required field `name`"),
        (b'{"name":"t"} ', None),
        (b'{"name":"t"}{}', "not JSON"),
        (b'{"name":"t","title":NaN}', "not finite"),
        (b"\xff\xfe", "UTF-8"),
        (b'{"name":"\\ud800"}', "UTF-8"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "nested"),
        (b'\xef\xbb\xbf{"name":"t"}', "not JSON"),
    ],
)
def test_a_body_is_read_strictly(stage: AdminStage, body: bytes, what: str | None) -> None:
    answer = stage.ask_raw("POST", "/tenants", body)
    if what is None:
        assert answer.status_code == 201
        return
    assert code_of(answer) == (400, Code.REQUEST_MALFORMED)
    assert what in answer.json()["detail"]
    assert stage.get("/tenants")["items"] == []


def test_a_fault_names_its_member(stage: AdminStage) -> None:
    body = b'{"name":"t","roles":[{"name":"r","scopes":"ai"}]}'
    (flaw,) = stage.ask_raw("POST", "/tenants", body).json()["errors"]
    assert flaw["member"] == "roles[0].scopes"


def test_other_bodies_than_json_are_refused(stage: AdminStage) -> None:
    good = b'{"name":"t"}'
    for media_type in ("", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"):
        answer = stage.ask_raw("POST", "/tenants", good, content_type=media_type)
        assert code_of(answer) == (415, Code.MEDIA_TYPE_REFUSED)
    coded = stage.ask_raw("POST", "/tenants", good, content_encoding="gzip")
    assert code_of(coded) == (415, Code.ENCODING_REFUSED)
    large = b'{"name":"' + b"t" * BODY_BYTES_MAX + b'"}'
    assert code_of(stage.ask_raw("POST", "/tenants", large)) == (413, Code.BODY_TOO_LARGE)
    assert code_of(stage.ask_raw("GET", "/tenants", good)) == (400, Code.REQUEST_MALFORMED)
    parameter = stage.ask_raw("POST", "/tenants", good, content_type="Application/JSON; charset=utf-8")
    assert parameter.status_code == 201


@pytest.mark.parametrize(
    "query",
    [
        "x=1",
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=1.5",
        "limit=٣",
        "limit=1&limit=1",
        "limit=",
        "limit",
        "cursor=",
        "cursor=%FF",
        "cursor=AAAA",
        "cursor=bGlzdEtleXMgYQ",
        "tenant=%00",
        "&" * 20,
    ],
)
def test_a_query_is_read_strictly(stage: AdminStage, query: str) -> None:
    status, body = stage.raw("GET", f"/admin/api/clients?{query}", {"authorization": f"Bearer {stage.token()}"})
    assert (status, b"request_malformed" in body) == (400, True), body


@pytest.mark.parametrize("name", ["%00", "%ff", "%0a", "a%0Ab", "%e2%80%ae", "n" * 600])
def test_a_name_that_nobody_has_leads_nowhere(stage: AdminStage, name: str) -> None:
    status, body = stage.raw("GET", f"/admin/api/clients/{name}", {"authorization": f"Bearer {stage.token()}"})
    assert status == 404, body


class _Gone(MemoryStore):
    """A store that does not answer, or fails."""

    def accounts(self, kind: type[Account], after: str, limit: int, *, tenant: str = "") -> Sequence[Account]:
        raise StoreUnavailable("the store does not answer")

    def account(self, kind: type[Account], name: str) -> Account | None:
        if name == "ci":
            raise RuntimeError("what stands inside")
        return super().account(kind, name)


def test_what_fails_inside_is_told_without_its_inside() -> None:
    stage = AdminStage(_Gone())
    answer = stage.ask("GET", "/clients")
    assert code_of(answer) == (503, Code.STORE_UNAVAILABLE)
    assert int(answer.headers["retry-after"]) >= 1
    answer = stage.ask("GET", "/clients/ci")
    assert code_of(answer) == (500, Code.INTERNAL)
    assert "inside" not in answer.text


@pytest.mark.parametrize("confirmation", [{"jkt": "A" * 43}, {"x5t#S256": "A" * 43}])
def test_E07_a_bound_token_is_no_bearer_token_here_either(stage: AdminStage, confirmation: dict[str, str]) -> None:
    answer = stage.ask("GET", "/clients", token=stage.token(cnf=confirmation))
    assert code_of(answer) == (401, Code.TOKEN_BOUND)
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]

"""Rows TE-01 to TE-07 and RI-01 of the token checklist (OAuth 2.1 s3.2, RFC 6749 s5.2, RFC 8707), at /oauth/token.

TE-08 is of authorization codes, which come with the authorization endpoint.
"""

from typing import Final

import pytest
from httpx2 import Response

from jotgate.core.grants import GRANT_TYPES, GrantRequest, TokenResponse
from jotgate.errors import Code, DirectoryRefused, StoreUnavailable
from jotgate.store_ports import Store
from jotgate.stores.memory import MemoryStore
from tests.callers import NAME
from tests.token_stage import FILES, SECRET, TokenStage, asserting, assertion, basic, client, key_client

GRANT: Final = {"grant_type": "client_credentials"}
TOKEN: Final = "/oauth/token"


@pytest.fixture
def stage() -> TokenStage:
    found = TokenStage()
    found.put(client())
    return found


def said(answer: Response) -> tuple[int, str]:
    """The status and the word of a refusal, which is whole: as RFC 6749 s5.2 has it, and never kept by a cache."""
    body = answer.json()
    assert set(body) == {"error", "error_description", "code"}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    assert all(" " <= sign <= "~" and sign not in '"\\' for sign in body["error_description"])
    return answer.status_code, body["error"]


def test_TE_01_a_form_that_is_posted_is_answered(stage: TokenStage) -> None:
    answer = stage.ask()
    assert answer.status_code == 200
    assert set(answer.json()) == {"access_token", "token_type", "expires_in", "scope"}
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["expires_in"] == 3_600


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_TE_01_no_other_method_is_taken(stage: TokenStage, method: str) -> None:
    answer = stage.http.request(method, TOKEN)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["code"] == Code.METHOD_REFUSED


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
def test_TE_01_no_other_type_is_taken(stage: TokenStage, kind: str) -> None:
    answer = stage.post(TOKEN, GRANT, authorization=basic("ci"), content_type=kind)
    assert said(answer) == (400, "invalid_request")
    assert answer.json()["code"] == Code.OAUTH_MALFORMED


@pytest.mark.parametrize("path", [TOKEN, "/oauth/revoke", "/oauth/introspect", "/oauth/backchannel-logout"])
def test_TE_01_a_form_that_is_encoded_is_not_read(stage: TokenStage, path: str) -> None:
    for encoding in ("gzip", "br", "identity, gzip"):
        answer = stage.post(path, GRANT, authorization=basic("ci"), content_encoding=encoding)
        assert said(answer) == (415, "invalid_request")
        assert answer.json()["code"] == Code.ENCODING_REFUSED
    assert stage.post(TOKEN, GRANT, authorization=basic("ci"), content_encoding="identity").status_code == 200


def test_TE_01_a_parameter_that_stands_twice_is_refused_and_an_unknown_one_ignored(stage: TokenStage) -> None:
    for body in (
        b"grant_type=client_credentials&grant_type=client_credentials",
        b"grant_type=client_credentials&scope=ai&scope=metrics",
        b"grant_type=client_credentials&scope=&scope=ai",
        b"grant_type=client_credentials&x=1&x=1",
    ):
        assert said(stage.post(TOKEN, body, authorization=basic("ci"))) == (400, "invalid_request")
    assert stage.ask(colour="blue", scope="").json()["scope"] == "ai"


def test_TE_01_an_empty_parameter_is_a_missing_one(stage: TokenStage) -> None:
    assert said(stage.post(TOKEN, {"grant_type": ""}, authorization=basic("ci"))) == (400, "invalid_request")


def test_TE_02_nothing_is_kept_by_a_cache(stage: TokenStage) -> None:
    answers = [stage.ask(), stage.ask("password"), stage.ask(scope="none"), stage.post(TOKEN, GRANT)]
    assert [one.status_code for one in answers] == [200, 400, 400, 401]
    assert {one.headers["cache-control"] for one in answers} == {"no-store"}


@pytest.mark.parametrize(
    ("authorization", "form"),
    [
        (basic("ci", "wrong"), {}),
        (basic("nobody"), {}),
        ("Basic ???", {}),
        ("Bearer " + SECRET, {}),
        ("", {"client_id": "ci", "client_secret": "wrong"}),
        ("", {"client_id": "ci"}),
        ("", {}),
    ],
)
def test_TE_03_a_client_that_is_not_known_is_challenged(
    stage: TokenStage, authorization: str, form: dict[str, str]
) -> None:
    fields = {"authorization": authorization} if authorization else {}
    answer = stage.post(TOKEN, {**GRANT, **form}, **fields)
    assert said(answer) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith('Basic realm="jotgate"')


def test_TE_03_a_secret_that_has_ended_is_refused(stage: TokenStage) -> None:
    (secret,) = client().secrets
    ends_s = int(stage.clock.now_s()) + 60
    stage.put(client(secrets=(type(secret)(secret.digest, 0, ends_s),)))
    assert stage.ask().status_code == 200
    stage.clock.advance(60)
    assert said(stage.ask()) == (401, "invalid_client")


def test_TE_04_two_ways_at_once_are_refused_even_when_both_are_good(stage: TokenStage) -> None:
    stage.put(key_client())
    for form, fields in (
        ({"client_id": "ci", "client_secret": SECRET}, {"authorization": basic("ci")}),
        (asserting(assertion()), {"authorization": basic("robot")}),
        ({"client_id": "robot", "client_secret": SECRET, **asserting(assertion())}, {}),
    ):
        assert said(stage.post(TOKEN, {**GRANT, **form}, **fields)) == (400, "invalid_request")
    assert {one.event for one in stage.log.events} == {"token.refused"}


def test_TE_05_credentials_in_the_body_are_taken_and_in_the_query_never(stage: TokenStage) -> None:
    stage.put(client(authentication="client_secret_post"))
    credentials = {"client_id": "ci", "client_secret": SECRET}
    assert stage.post(TOKEN, {**GRANT, **credentials}).status_code == 200
    for query in ("client_id=ci", f"client_id=ci&client_secret={SECRET}", "x"):
        assert said(stage.post(f"{TOKEN}?{query}", {**GRANT, **credentials})) == (400, "invalid_request")


def test_TE_05_a_client_proves_itself_in_the_way_that_it_is_registered_for(stage: TokenStage) -> None:
    in_body = {"client_id": "ci", "client_secret": SECRET}
    assert said(stage.post(TOKEN, {**GRANT, **in_body})) == (401, "invalid_client")
    stage.put(client(authentication="client_secret_post"))
    assert said(stage.ask()) == (401, "invalid_client")
    stage.put(client(authentication="none"))
    assert said(stage.ask()) == (401, "invalid_client")
    stage.put(key_client("ci", secrets=client().secrets))
    assert said(stage.ask()) == (401, "invalid_client")


def test_TE_06_each_refusal_has_its_word(stage: TokenStage) -> None:
    stage.put(client("poor", grants=()))
    stage.put(client("public", authentication="none"))
    words = {
        stage.post(TOKEN, b"grant_type=%", authorization=basic("ci")): (400, "invalid_request", Code.OAUTH_MALFORMED),
        stage.post(TOKEN, GRANT, authorization=basic("x")): (401, "invalid_client", Code.CLIENT_REFUSED),
        stage.post(TOKEN, GRANT, authorization=basic("poor")): (400, "unauthorized_client", Code.CLIENT_NOT_ALLOWED),
        stage.post(TOKEN, {**GRANT, "client_id": "public"}): (400, "unauthorized_client", Code.CLIENT_NOT_ALLOWED),
        stage.ask("urn:x"): (400, "unsupported_grant_type", Code.GRANT_UNSUPPORTED),
        stage.ask(scope="admin:*"): (400, "invalid_scope", Code.SCOPE_REFUSED),
        stage.ask(resource=FILES): (400, "invalid_target", Code.TARGET_REFUSED),
    }
    for answer, (status, word, code) in words.items():
        assert (*said(answer), answer.json()["code"]) == (status, word, code)


def test_TE_06_a_known_grant_that_the_client_may_not_use_is_told_from_an_unknown_one(stage: TokenStage) -> None:
    stage.put(client(grants=("jwt_bearer",)))
    assert said(stage.ask()) == (400, "unauthorized_client")


def test_TE_06_what_cannot_be_known_or_recorded_now_is_no_refusal(stage: TokenStage) -> None:
    class Broken(MemoryStore):
        def account(self, kind: object, name: str) -> None:
            raise StoreUnavailable("the store does not answer")

    stage.log.full = True
    answer = stage.ask()
    assert said(answer) == (503, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "1"
    assert said(TokenStage(Broken()).ask()) == (503, "temporarily_unavailable")


def test_TE_06_a_fault_of_ours_says_nothing_of_what_is_inside(stage: TokenStage) -> None:
    class Broken:
        async def answer(self, request: GrantRequest) -> TokenResponse:
            raise DirectoryRefused(f"/var/lib/jotgate is not writable for {request.client.name}")

    stage.grants["client_credentials"] = Broken()
    answer = stage.ask()
    assert (answer.status_code, answer.headers["cache-control"]) == (500, "no-store")
    assert answer.json()["error"] == "server_error"
    assert answer.json()["code"] == Code.INTERNAL
    assert "jotgate is not" not in answer.text


def test_a_refused_request_for_a_token_is_recorded_without_what_it_held(stage: TokenStage) -> None:
    """Who asked as far as it is proved, for which grant, how it was refused, and from where."""
    stage.ask("password", username="alice", password="hunter2")
    stage.ask("refresh_token", refresh_token="jot_r_" + "A" * 43)
    stage.ask(scope="admin:*", secret="hunter2")
    stage.ask(resource="https://unknown.example")
    stage.post(TOKEN, {**GRANT, "client_id": "ci", "client_secret": SECRET}, authorization=basic("ci"))
    stage.post(TOKEN, b"grant_type=%zz")
    told = [
        (one.actor, one.details.get("grant"), one.details["error"], one.details["code"], one.details["peer"])
        for one in stage.log.named("token.refused")
    ]
    assert told == [
        ("ci", None, "unsupported_grant_type", "grant_unsupported", "192.0.2.7"),
        ("ci", "refresh_token", "unsupported_grant_type", "grant_unsupported", "192.0.2.7"),
        ("ci", "client_credentials", "invalid_scope", "scope_refused", "192.0.2.7"),
        ("ci", "client_credentials", "invalid_target", "target_refused", "192.0.2.7"),
        ("", None, "invalid_request", "oauth_malformed", "192.0.2.7"),
        ("", None, "invalid_request", "oauth_malformed", "192.0.2.7"),
    ]
    assert not any(word in str(stage.log.lines) for word in ("hunter2", "jot_r_", SECRET, "alice"))


def test_a_client_that_proved_nothing_is_recorded_as_such_alone(stage: TokenStage) -> None:
    stage.post(TOKEN, GRANT, authorization=basic("ci", "wrong"))
    assert len(stage.log.named("client.refused")) == 1
    assert stage.log.named("token.refused") == []


def test_a_flood_of_refused_requests_fills_no_disk_and_costs_those_that_are_granted_nothing(stage: TokenStage) -> None:
    for _ in range(100):
        stage.ask("password")
    assert len(stage.log.named("token.refused")) == 60
    before = len(stage.log.lines)
    assert stage.ask().status_code == 200
    assert [one.event for one in stage.log.events[before:]] == ["token.issued"]


def test_a_refusal_that_cannot_be_recorded_is_not_said(stage: TokenStage) -> None:
    stage.log.full = True
    assert said(stage.ask("password")) == (503, "temporarily_unavailable")


@pytest.mark.parametrize("grant", ["password", "implicit", "authorization_code", "token", "Client_Credentials"])
def test_TE_07_there_is_no_implicit_and_no_password_grant(stage: TokenStage, grant: str) -> None:
    assert grant not in GRANT_TYPES
    answer = stage.ask(grant, username="alice", password="secret", code="c")
    assert said(answer) == (400, "unsupported_grant_type")


def test_RI_01_the_resource_becomes_the_audience_and_may_stand_more_than_once(store: Store) -> None:
    stage = TokenStage(store)
    other = "https://other.example"
    stage.put(client(audiences=(NAME, FILES, other)))
    one = stage.post(TOKEN, {**GRANT, "resource": NAME}, authorization=basic("ci"))
    assert stage.claims(one.json()["access_token"])["aud"] == NAME
    body = f"grant_type=client_credentials&resource={NAME}&resource={FILES}".encode()
    both = stage.post(TOKEN, body, authorization=basic("ci"))
    assert stage.claims(both.json()["access_token"])["aud"] == [NAME, FILES]
    row = store.issuance(stage.claims(both.json()["access_token"])["jti"])
    assert row is not None
    assert (row.subject, row.client_id, row.expires_at_s) == ("ci", "ci", int(stage.clock.now_s()) + 3_600)


@pytest.mark.parametrize(
    "resource", ["https://unknown.example", FILES + "/", FILES + "#a", "files", "/v1", "https://[", FILES.upper()]
)
def test_RI_01_any_other_resource_is_refused_whole(stage: TokenStage, resource: str) -> None:
    stage.put(client(audiences=(NAME, FILES)))
    assert said(stage.ask(resource=resource)) == (400, "invalid_target")
    body = f"grant_type=client_credentials&resource={NAME}&resource=".encode() + resource.encode("ascii").replace(
        b"#", b"%23"
    )
    assert said(stage.post(TOKEN, body, authorization=basic("ci"))) == (400, "invalid_target")
    assert not stage.log.named("token.issued")

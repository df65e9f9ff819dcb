"""Logins at a face: what a backend gets for somebody, what refreshes keep of it, and when that ends."""

from typing import Any, Final

import pytest

from jotgate.core.accounts import SecretDigest
from jotgate.core.api_gateway_tokens import read_name
from jotgate.core.durable import IssuanceQuery
from jotgate.core.opaque import opaque_digest
from jotgate.core.refresh import RefreshRules
from jotgate.errors import ControlStale
from tests.callers import NOW_S
from tests.logging_in import JOHN, LoginStage, header_of
from tests.token_stage import SECRET, basic, claims_of

INVALID: Final = (401, {"error": "Invalid refresh token"})


@pytest.fixture
def stage() -> LoginStage:
    return LoginStage()


def refused(answer: Any) -> tuple[int, Any]:
    return answer.status_code, answer.json()


def test_a_backend_logs_somebody_in_with_what_the_document_signs(stage: LoginStage) -> None:
    pair = stage.log_in()
    assert pair.keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (pair["token_type"], pair["expires_in"]) == ("Bearer", 3_600)
    assert header_of(pair["access_token"]) == {"alg": "RS256", "typ": "JWT", "kid": stage.keys.key.kid}
    claims = claims_of(pair["access_token"])
    assert claims.pop("jti")
    at_s = int(NOW_S)
    assert claims == {**JOHN, "iat": at_s, "exp": at_s + 3_600, "iss": "api-gateway", "aud": "openai-api"}


def test_a_refresh_keeps_name_email_and_roles_and_replaces_the_refresh_token(stage: LoginStage) -> None:
    first = stage.log_in()
    stage.clock.advance(1_000)
    second = stage.refresh(first["refresh_token"])
    before, after = claims_of(first["access_token"]), claims_of(second["access_token"])
    assert {name: after[name] for name in JOHN} == JOHN
    assert after["iat"] == before["iat"] + 1_000
    assert after["jti"] != before["jti"]
    assert second["refresh_token"] != first["refresh_token"]
    assert (second["token_type"], second["expires_in"]) == ("Bearer", 3_600)


def test_a_token_says_which_family_and_client_it_came_of_so_that_it_ends_with_them(stage: LoginStage) -> None:
    pair = stage.log_in()
    family = stage.family(pair["refresh_token"])
    assert read_name(claims_of(pair["access_token"])["jti"]) == (family.family_id, "backend")
    (row,) = stage.store.find_issuances(IssuanceQuery(live_at_s=0, family=family.family_id), "", 10)
    assert (row.token_id, row.client_id) == (claims_of(pair["access_token"])["jti"], "backend")
    assert (family.face, family.roles, family.scopes) == ("api-gateway", ("user", "api_access"), ())


def test_a_refresh_token_is_good_once_and_reuse_ends_the_session(stage: LoginStage) -> None:
    first = stage.log_in()
    second = stage.refresh(first["refresh_token"])
    stage.clock.advance(11)  # The grace is over, in which the same answer is given again.
    assert refused(stage.ask_refresh(first["refresh_token"])) == INVALID
    assert stage.family(second["refresh_token"]).ended_at_s is not None
    assert refused(stage.ask_refresh(second["refresh_token"])) == INVALID
    assert [one["client_id"] for one in stage.told("family.reused")] == ["backend"]


def test_a_lost_answer_is_given_again_so_that_a_race_leaves_one_line(stage: LoginStage) -> None:
    first = stage.log_in()["refresh_token"]
    successors = {stage.refresh(first)["refresh_token"] for _ in range(5)}
    assert len(successors) == 1


def test_a_refresh_token_ends_when_it_is_not_used_and_that_is_told_from_one_that_never_was(stage: LoginStage) -> None:
    token = stage.log_in()["refresh_token"]
    stage.clock.advance(30 * 86_400 - 1)
    token = stage.refresh(token)["refresh_token"]
    stage.clock.advance(30 * 86_400)
    assert refused(stage.ask_refresh(token)) == (401, {"error": "Refresh token expired"})
    assert refused(stage.ask_refresh("f" * 128)) == INVALID, "such as the document makes them"


def test_workers_are_told_which_refused_tokens_nobody_has_guessed(stage: LoginStage) -> None:
    used = stage.log_in()["refresh_token"]
    stage.refresh(used)
    late = stage.log_in()["refresh_token"]
    stage.clock.advance(30 * 86_400)
    ended = stage.log_in()["refresh_token"]
    stage.change_backend(grants=("client_credentials",), scopes=("ai",))
    marks = [stage.ask_refresh(one).headers.get("x-jotgate-known") for one in (used, late, ended, "x", "f" * 128)]
    assert marks == ["1", "1", "1", None, None]


@pytest.mark.parametrize("token", [None, "", 0, 7, ["a"], {"a": "b"}, False])
def test_what_is_no_refresh_token_is_asked_for(stage: LoginStage, token: object) -> None:
    assert refused(stage.ask_refresh(token)) == (400, {"error": "Refresh token required"})
    assert refused(stage.face.post("/api/auth/refresh")) == (400, {"error": "Refresh token required"})


def test_a_session_ends_for_good_at_the_familys_end(stage: LoginStage) -> None:
    stage.rules = RefreshRules(life_s=4_000)
    token = stage.log_in()["refresh_token"]
    stage.clock.advance(3_990)
    pair = stage.refresh(token)
    assert pair["expires_in"] == 10
    stage.clock.advance(10)
    assert refused(stage.ask_refresh(pair["refresh_token"])) == (401, {"error": "Refresh token expired"})


def test_the_lifetime_is_the_clients(stage: LoginStage) -> None:
    stage.change_backend(access_ttl_s=600)
    assert stage.log_in()["expires_in"] == 600


@pytest.mark.parametrize(
    "change",
    [
        {"enabled": False},
        {"grants": ("client_credentials",), "scopes": ("ai",)},
    ],
)
def test_who_may_log_nobody_in_any_more_keeps_nobody_logged_in(stage: LoginStage, change: dict[str, Any]) -> None:
    token = stage.log_in()["refresh_token"]
    stage.change_backend(**change)
    assert refused(stage.ask_refresh(token)) == INVALID
    assert stage.ask_login().status_code in (400, 401)
    stage.change_backend()
    assert stage.refresh(token), "nothing was used up"


def test_a_client_without_the_grant_logs_nobody_in(stage: LoginStage) -> None:
    status, said = refused(stage.ask_login(name="app"))
    assert (status, said["error"], said["code"]) == (400, "Bad request", "CLIENT_NOT_ALLOWED")
    assert "'login'" in said["details"]
    (told,) = stage.told("token.refused")
    assert (told["grant"], told["error"], told["peer"]) == ("login", "unauthorized_client", "192.0.2.7")


def test_the_refresh_tokens_of_both_surfaces_are_strangers_to_each_other(stage: LoginStage) -> None:
    """Else whoever has a client's refresh token would need no client, and a login would lead to tokens of OAuth."""
    logged_in = stage.log_in()["refresh_token"]
    stage.change_backend(grants=("login", "jwt_bearer", "refresh_token"), scopes=("ai",))
    form = {"grant_type": "refresh_token", "refresh_token": logged_in}
    answer = stage.post("/oauth/token", form, authorization=basic("backend"))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert stage.refresh(logged_in), "and it was not ended by that"


@pytest.mark.parametrize(
    "body",
    [
        {"client_id": "backend", "client_secret": SECRET},
    ],
)
def test_a_client_that_posts_its_secret_may_do_so_in_the_body(stage: LoginStage, body: dict[str, str]) -> None:
    stage.change_backend(authentication="client_secret_post")
    answer = stage.face.post("/api/auth/login", json={**JOHN, **body})
    assert answer.status_code == 200, answer.text
    assert "client" not in str(claims_of(answer.json()["access_token"]).keys())
    twice = stage.face.post("/api/auth/login", json={**JOHN, **body}, headers={"authorization": basic("backend")})
    assert twice.status_code == 400


def test_a_wrong_secret_is_refused_and_recorded_without_it(stage: LoginStage) -> None:
    stage.change_backend(secrets=(SecretDigest(opaque_digest("jot_s_" + "B" * 43), int(NOW_S)),))
    answer = stage.ask_login()
    assert (answer.status_code, answer.json()["code"]) == (401, "INVALID_CLIENT")
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert [one["method"] for one in stage.told("client.refused")] == ["client_secret_basic"]
    assert SECRET not in str(stage.log.lines)


def test_nothing_of_a_person_but_their_subject_gets_into_the_audit_log(stage: LoginStage) -> None:
    stage.refresh(stage.log_in()["refresh_token"])
    text = b"\n".join(stage.log.lines).decode()
    assert "user_123" in text
    assert "John" not in text
    assert "example.com" not in text


@pytest.mark.parametrize("member", ["exp", "iss", "scope", "admin"])
def test_what_is_not_understood_is_not_signed(stage: LoginStage, member: str) -> None:
    status, said = refused(stage.ask_login({**JOHN, member: "a"}))
    assert (status, said["code"]) == (400, "OAUTH_MALFORMED")
    assert stage.told("token.issued") == []


JSON: Final = {"content-type": "application/json"}
FORM: Final = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("path", ["login", "refresh"])
@pytest.mark.parametrize(
    ("body", "fields", "refusal"),
    [
        (b"{", JSON, (400, "REQUEST_MALFORMED")),
        (b"[]", JSON, (400, "REQUEST_MALFORMED")),
        (b'{"refreshToken":"a","refreshToken":"b"}', JSON, (400, "REQUEST_MALFORMED")),
        (b"a=b", FORM, (415, "MEDIA_TYPE_REFUSED")),
        (b"{}", {**JSON, "content-encoding": "gzip"}, (415, "ENCODING_REFUSED")),
    ],
)
def test_a_body_has_one_reading_or_none(
    stage: LoginStage, path: str, body: bytes, fields: dict[str, str], refusal: tuple[int, str]
) -> None:
    answer = stage.face.post(f"/api/auth/{path}", content=body, headers={"authorization": basic("backend"), **fields})
    assert (answer.status_code, answer.json()["code"]) == refusal


def test_nothing_is_given_while_what_was_revoked_is_not_known(stage: LoginStage) -> None:
    token = stage.log_in()["refresh_token"]
    stage.fault = ControlStale("what the store has could not be read for too long")
    for answer in (stage.ask_login(), stage.ask_refresh(token)):
        assert (answer.status_code, answer.json()["code"]) == (503, "CONTROL_STALE")
        assert "retry-after" in answer.headers
    stage.fault = None
    assert stage.refresh(token)


def test_what_cannot_be_recorded_is_not_done(stage: LoginStage) -> None:
    token = stage.log_in()["refresh_token"]
    stage.log.full = True
    assert stage.ask_login().json()["code"] == "AUDIT_UNAVAILABLE"
    assert stage.ask_refresh(token).json()["code"] == "AUDIT_UNAVAILABLE"
    stage.log.full = False
    assert stage.refresh(token)["refresh_token"] != token

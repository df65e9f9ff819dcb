"""What control answers for the Coze proxy: the original's members, of the caller's own session, and no secret."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import pytest
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.testclient import TestClient

from jotgate.control.surfaces.coze_proxy import ALL_CLEARED, WITHIN_S, CozeProxyRoutes, CozeProxyState
from jotgate.core.coze_proxy import LOCAL, CozeProxyRules
from jotgate.core.coze_sessions import session_of
from jotgate.core.face_callers import read_caller, write_caller
from jotgate.core.principals import Principal
from jotgate.core.token_exchange import KeptRefreshToken, Unanswered
from jotgate.core.token_grants import TokenGrant
from jotgate.core.values import Secret
from tests.coze_keeping import ANN, BOB, LISTED, DeskStage
from tests.token_keeping import TOKEN_URL, refused

RULES: Final = CozeProxyRules(bot_id="7", label="usual", has_jwt=True)


class House:
    """The face's application in control, as the edge asks it."""

    def __init__(
        self, rules: CozeProxyRules = RULES, missing: tuple[str, ...] = (), *, within_s: float = WITHIN_S
    ) -> None:
        self.stage = DeskStage()
        self.state: CozeProxyState | None = CozeProxyState(rules, missing)
        keeping = self.stage.keeping
        routes = CozeProxyRoutes(keeping.keeper, self.stage.desk, keeping.clock, lambda: self.state, within_s).routes
        self.client = TestClient(Starlette(routes=list(routes)), base_url="http://face.example")

    def ask(
        self, path: str, who: Principal | None = ANN, method: str = "GET", label: str = "", body: bytes = b""
    ) -> tuple[int, Any]:
        headers = {} if who is None else {"X-Jotgate-Caller": write_caller(who, label).decode()}
        answer = self.client.request(method, path, headers=headers, content=body)
        assert answer.headers["cache-control"] == "no-store"
        return answer.status_code, answer.json()

    def token(self, who: Principal = ANN, path: str = "/get_jwt", **more: Any) -> str:
        status, told = self.ask(path, who, **more)
        assert status == 200, told
        found: str = told["token"]
        return found

    def message(self, path: str, method: str = "GET") -> tuple[int, str]:
        status, told = self.ask(path, method=method)
        return status, told["error"]["message"]


@pytest.fixture
def house() -> Iterator[House]:
    found = House()
    with found.client:
        yield found


def test_the_token_is_told_with_how_it_stands_and_is_the_same_until_it_is_renewed(house: House) -> None:
    status, told = house.ask("/get_jwt")
    assert (status, told.keys()) == (200, {"success", "token", "info"})
    assert (told["success"], told["token"][:4]) == (True, "czs_")
    assert told["info"] == {"hasToken": True, "isValid": True, "expiresIn": 900}
    assert house.token() == told["token"]
    status, renewed = house.ask("/refresh_jwt", method="POST")
    assert status == 200
    assert {**renewed, "access_token": ""} == {
        "success": True,
        "access_token": "",
        "expires_in": 900,
        "token_type": "Bearer",
    }
    assert renewed["access_token"] != told["token"]
    assert house.token() == renewed["access_token"]
    cleared = (200, {"success": True, "message": "JWT token cleared successfully"})
    assert house.ask("/clear_jwt", method="DELETE") == cleared
    assert house.ask("/clear_jwt", method="DELETE") == cleared
    assert house.token() != renewed["access_token"]


def test_weak_000_3_a_session_is_below_its_caller_and_nobody_names_another_ones(house: House) -> None:
    mine = house.token()
    assert house.token(label="usual") == mine, "the label of the settings is that of who names none"
    assert house.token(path="/get_jwt?sessionName=usual") == mine
    work = house.token(path="/get_jwt?sessionName=work")
    assert len({mine, work, house.token(BOB), house.token(BOB, path="/get_jwt?sessionName=work")}) == 4
    assert house.token(body=b'{"sessionName": "work"}') == work
    stolen = session_of(ANN, "work")
    assert house.token(BOB, path=f"/get_jwt?sessionName={stolen}") not in {mine, work}
    house.ask("/clear_jwt?sessionName=work", BOB, "DELETE")
    assert house.token(path="/get_jwt?sessionName=work") == work, "another's label is another session"


@pytest.mark.parametrize(
    ("path", "body", "label"),
    [
        ("/get_jwt?sessionName=" + "s" * 129, b"", ""),
        ("/get_jwt?sessionName=a%07b", b"", ""),
        ("/get_jwt?sessionName=%ff", b"", ""),
        ("/get_jwt?sessionName=%EF%BF%BD", b"", ""),
        ("/v1/conversations", b"", "a\ufffd"),
        ("/get_jwt?sessionName=a&sessionName=b", b"", ""),
        ("/get_jwt?sessionName=a", b'{"sessionName":"b"}', ""),
        ("/get_jwt", b'{"sessionName":7}', ""),
        ("/get_jwt", b"sessionName=a", ""),
        ("/get_jwt", b'{"sessionName":"a","sessionName":"b"}', ""),
        ("/get_jwt", b"", "s" * 129),
        ("/v1/conversations", b"", "a\x07"),
    ],
)
def test_what_is_no_name_of_a_session_is_refused(house: House, path: str, body: bytes, label: str) -> None:
    status, told = house.ask(path, body=body, label=label)
    assert (status, told["error"]["type"]) == (400, "invalid_request_error")
    assert not house.stage.keeping.endpoint.posts


def test_the_faults_of_the_documents_troubleshooting_are_its_words(house: House) -> None:
    endpoint = house.stage.keeping.endpoint
    endpoint.default = lambda number: refused("invalid_client", message="invalid jwt")  # noqa: ARG005
    status, message = house.message("/get_jwt")
    assert (status, message.startswith("Failed to refresh JWT token: ")) == (502, True)
    assert "there is no token for the upstream" not in message
    house.stage.keeping.clock.advance(60)
    endpoint.default = lambda number: Unanswered("no connection")  # noqa: ARG005
    answer = house.client.post("/refresh_jwt", headers={"X-Jotgate-Caller": write_caller(ANN).decode()})
    assert (answer.status_code, answer.json()["error"]["message"]) == (503, "Token refresh failed")
    assert int(answer.headers["retry-after"]) >= 1
    house.stage.keeping.keeper.follow(())
    for method, path in (("GET", "/get_jwt"), ("POST", "/refresh_jwt"), ("DELETE", "/clear_jwt")):
        assert house.message(path, method) == (503, "JWT configuration not provided")


def test_who_has_to_log_in_is_told_so_and_one_token_is_then_that_of_all_sessions(house: House) -> None:
    keeping = house.stage.keeping
    grant = TokenGrant(upstream="coze", kind="refresh-token", dialect="coze", token_url=TOKEN_URL, client_id="app")
    keeping.keeper.follow((grant,))
    for method, path in (("GET", "/get_jwt"), ("POST", "/refresh_jwt")):
        status, message = house.message(path, method)
        assert status == 503
        assert message.endswith("nobody has logged in for it; run: jotgate upstream login coze")
    keeping.kept.kept["coze"] = KeptRefreshToken(Secret("refresh"), grant.origin, 0)
    mine = house.token(path="/get_jwt?sessionName=mine")
    assert house.token(BOB, path="/get_jwt?sessionName=work") == mine
    status, told = house.ask("/clear_jwt?sessionName=work", BOB, "DELETE")
    assert (status, told["message"]) == (200, ALL_CLEARED)
    assert house.token(path="/get_jwt?sessionName=mine") != mine


def test_a_renewal_that_fails_is_told_although_the_token_of_before_is_good_still(house: House) -> None:
    before = house.token()
    house.stage.keeping.endpoint.default = lambda number: Unanswered("no connection")  # noqa: ARG005
    assert house.message("/refresh_jwt", "POST") == (503, "Token refresh failed")
    assert house.token() == before


def test_an_endpoint_that_does_not_answer_is_told_as_one_before_the_edge_gives_control_up() -> None:
    with (house := House(within_s=0.02)).client:
        house.stage.keeping.endpoint.gate = asyncio.Event()
        assert house.message("/get_jwt") == (503, "Token refresh failed")
        house.stage.talked(ANN, "first")
        assert house.ask("/v1/conversations/first/history")[0] == 504


def test_every_change_of_a_token_is_recorded_under_who_asked_and_no_token_is(house: House) -> None:
    house.token()
    house.ask("/refresh_jwt", method="POST")
    house.ask("/clear_jwt", method="DELETE")
    events = [(event, actor) for event, actor, _ in house.stage.keeping.log.events()]
    assert events == [
        ("upstream.token_obtained", "ann"),
        ("upstream.token_obtained", "ann"),
        ("upstream.token_cleared", "ann"),
    ]
    assert b"czs_" not in b"".join(house.stage.keeping.log.lines)


@pytest.mark.parametrize("header", [None, "", "e30", "!", "eyJpc3N1ZXIiOjF9"])
def test_who_is_not_named_by_the_edge_is_told_nothing(house: House, header: str | None) -> None:
    headers = {} if header is None else {"X-Jotgate-Caller": header}
    for method, path in (("GET", "/get_jwt"), ("POST", "/refresh_jwt"), ("GET", "/v1/conversations")):
        assert house.client.request(method, path, headers=headers).status_code == 401


def test_F21_health_says_how_it_is_configured_and_how_the_own_session_stands_and_no_secret(house: House) -> None:
    status, told = house.ask("/health", None)
    assert status == 200
    assert told == {
        "status": "ok",
        "timestamp": told["timestamp"],
        "config": {
            "hasCozeApiKey": False,
            "hasJWTConfig": True,
            "defaultModelType": "chat",
            "hasBotId": True,
            "hasWorkflowId": False,
        },
        "jwt": {"hasToken": False, "isValid": False, "expiresIn": None},
        "mode": "tokens",
    }
    assert told["timestamp"].endswith("Z")
    house.token()
    assert house.ask("/health", None)[1]["jwt"] == {"hasToken": True, "isValid": True, "expiresIn": None}
    assert house.ask("/health", ANN)[1]["jwt"] == {"hasToken": True, "isValid": True, "expiresIn": 900}
    assert house.ask("/health", BOB)[1]["jwt"] == {"hasToken": False, "isValid": False, "expiresIn": None}
    said = json.dumps(house.ask("/health", ANN)[1])
    assert "czs_" not in said
    assert "PRIVATE" not in said


def test_health_says_what_is_missing_and_that_the_face_is_open() -> None:
    rules = replace(RULES, open_local=True, has_jwt=False, has_api_key=True)
    with (house := House(rules, ("something is not set",))).client:
        told = house.ask("/health", LOCAL)[1]
        assert (told["missing"], told["mode"]) == (["something is not set"], "open-local")
        assert (told["config"]["hasCozeApiKey"], told["jwt"]["hasToken"]) == (True, False)
        house.state = None
        assert house.ask("/health", None)[0] == 500
        assert house.ask("/get_jwt", LOCAL)[0] == 401


def test_conversations_are_told_with_the_originals_members(house: House) -> None:
    house.stage.talked(ANN, "first")
    created_ms = int(house.stage.keeping.clock.now_s() - 1) * 1_000
    row = {"id": "first", "messageCount": 2, "createdAt": created_ms, "updatedAt": created_ms}
    assert house.ask("/v1/conversations") == (200, {"conversations": [row]})
    assert house.ask("/v1/conversations", label="other") == (200, {"conversations": []})
    house.stage.plays(LISTED)
    status, told = house.ask("/v1/conversations/first/history")
    assert (status, told["session"]) == (200, {**row, "conversationId": "id-of-first"})
    assert [one["role"] for one in told["messages"]] == ["user", "assistant"]
    house.stage.plays({"code": 0, "data": {}})
    assert house.ask("/v1/conversations/first", method="DELETE") == (200, {"success": True})
    status, told = house.ask("/v1/conversations/first/history")
    assert (status, told["error"]["code"]) == (404, "session_not_found")


def test_a_name_with_a_slash_is_one_name_where_the_slash_is_encoded(house: House) -> None:
    for name in ("a/b", "a/history", "né %2F"):
        house.stage.talked(ANN, name)
        sent = "/v1/conversations/" + quote(name, safe="")
        house.stage.plays(LISTED)
        status, told = house.ask(sent + "/history")
        assert (status, told["session"]["id"]) == (200, name)
        house.stage.plays({"code": 0, "data": {}})
        assert house.ask(sent, method="DELETE") == (200, {"success": True})
    house.stage.interrupted(ANN, "call/1")
    assert house.ask("/v1/workflows/sessions/call%2F1")[1]["session"]["id"] == "call/1"
    house.stage.talked(ANN, "a/b")
    assert house.client.get("/v1/conversations/a/b/history").status_code == 404


def test_what_coze_refuses_is_told_as_its_error(house: House) -> None:
    house.stage.talked(ANN, "first")
    house.stage.plays({"code": 4020, "msg": "too fast"})
    assert house.ask("/v1/conversations/first/history")[0] == 429


def test_workflows_that_wait_are_told_with_the_originals_members(house: House) -> None:
    assert house.ask("/v1/workflows/sessions") == (200, {"sessions": []})
    house.stage.interrupted(ANN, "call_1")
    status, told = house.ask("/v1/workflows/sessions")
    (row,) = told["sessions"]
    assert row == {"id": "call_1", "workflowId": "8", "status": "interrupted", "createdAt": row["createdAt"]}
    assert house.ask("/v1/workflows/sessions/call_1") == (200, {"session": row})
    for who in (BOB, ANN):
        status, told = house.ask("/v1/workflows/sessions/call_2", who)
        assert (status, told["error"]["code"]) == (404, "session_not_found")
    assert house.ask("/v1/workflows/sessions/call_1", BOB)[0] == 404


def test_a_caller_crosses_to_control_whole_and_brings_no_rights() -> None:
    tenant = replace(ANN, tenant="né", subject="a\r\nb")
    told = read_caller(write_caller(tenant, "l").decode())
    assert told is not None
    found = told.principal
    assert (found.issuer, found.tenant, found.subject, told.label) == (ANN.issuer, "né", "a\r\nb", "l")
    assert not found.scopes

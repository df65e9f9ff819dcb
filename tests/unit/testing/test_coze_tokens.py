"""The token endpoint of Coze's stand-in: how long tokens live, where they are given, what is refused and how."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import pytest

from jotgate.testing.coze import CozeServer, coze_in_thread
from jotgate.testing.coze_tokens import BASE, DEVICE_GRANT
from jotgate.testing.coze_told import ACCOUNT_ID, APP_ID, BOT_ID, ENTERPRISE_ID, REDIRECT_URI, WORKSPACE_ID
from jotgate.testing.coze_values import Fault
from jotgate.testing.upstream import Gate
from tests.coze_clients import TOKEN_PATH, Plain, assertion, moment

_CHAT = {"bot_id": BOT_ID, "user_id": "u", "additional_messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def server() -> Iterator[CozeServer]:
    with coze_in_thread() as running:
        yield running


@pytest.fixture
def plain(server: CozeServer) -> Plain:
    return Plain(server)


def test_a_token_lives_as_long_as_was_asked_and_says_so_in_absolute_seconds(server: CozeServer, plain: Plain) -> None:
    _, answer = plain.exchange(assertion(server), duration_seconds=60)
    assert 55 <= answer["expires_in"] - moment() <= 60
    assert plain.get("/v1/users/me", answer["access_token"])[0] == 200
    server.advance(61)
    status, refusal = plain.get("/v1/users/me", answer["access_token"])
    assert (status, refusal["code"], refusal["msg"]) == (401, 700012006, "access token invalid")


def test_fifteen_minutes_are_the_default(server: CozeServer, plain: Plain) -> None:
    assert 890 <= plain.exchange(assertion(server))[1]["expires_in"] - moment() <= 900


@pytest.mark.parametrize("duration", [0, -1, 86_400])
def test_a_duration_beyond_a_day_is_refused(server: CozeServer, plain: Plain, duration: int) -> None:
    status, answer = plain.exchange(assertion(server), duration_seconds=duration)
    assert (status, answer["error_code"]) == (400, "invalid_request")
    assert answer["error_message"] == "invalid request: duration_seconds"


def test_tests_say_how_long_tokens_live_and_how_it_is_told(server: CozeServer, plain: Plain) -> None:
    server.life_s, server.relative_expiry = 7, True
    _, answer = plain.exchange(assertion(server), duration_seconds=600)
    assert answer["expires_in"] == 7
    assert list(server.valid_tokens) == [answer["access_token"]]
    server.advance(7)
    assert list(server.valid_tokens) == []


def test_the_tokens_of_a_session_end_alone(server: CozeServer, plain: Plain) -> None:
    ann, bob = plain.token("ann"), plain.token("bob")
    server.expire_tokens("ann")
    assert [plain.get("/v1/users/me", token)[0] for token in (ann, bob)] == [401, 200]
    server.expire_tokens()
    assert plain.get("/v1/users/me", bob)[0] == 401


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{BASE}/account/{ACCOUNT_ID}/token", 200),
        (f"{BASE}/enterprise_id/{ENTERPRISE_ID}/token", 200),
        (f"{BASE}/account/{ENTERPRISE_ID}/token", 400),
        (f"{BASE}/enterprise_id/1/token", 400),
        (f"{BASE}/nowhere", 404),
    ],
)
def test_accounts_and_enterprises_have_paths_of_their_own(
    server: CozeServer, plain: Plain, path: str, status: int
) -> None:
    assert plain.exchange(assertion(server), path=path)[0] == status
    assert [seen.target for seen in server.exchanges] == ([path] if status != 404 else [])


@pytest.mark.parametrize(
    ("body", "status", "error", "message"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type", "not supported grant type: password"),
        ({}, 400, "unsupported_grant_type", "not supported grant type: "),
        ({"grant_type": DEVICE_GRANT, "client_id": APP_ID, "device_code": "x"}, 400, "invalid_request", "device_code"),
        ({"grant_type": DEVICE_GRANT, "client_id": "1", "device_code": "x"}, 401, "invalid_client", "client id"),
        ({"grant_type": "refresh_token", "client_id": APP_ID}, 400, "invalid_request", "refresh_token"),
        ({"grant_type": "authorization_code", "client_id": APP_ID, "code": "x"}, 400, "invalid_request", "code"),
        ({"grant_type": 7}, 400, "invalid_request", "body"),
        ([], 400, "invalid_request", "body"),
    ],
)
def test_a_wrong_request_is_refused(plain: Plain, body: Any, status: int, error: str, message: str) -> None:
    found, answer = plain.ask("POST", TOKEN_PATH, body, "")
    assert (found, answer["error_code"]) == (status, error)
    assert message in answer["error_message"]
    assert answer["error"]


def test_an_app_that_its_owner_switched_off_gets_nothing(server: CozeServer, plain: Plain) -> None:
    server.deactivated = True
    status, answer = plain.exchange(assertion(server))
    assert (status, answer["error_code"]) == (400, "access_deny")


def test_a_fault_of_the_endpoint_comes_as_often_as_it_is_told(server: CozeServer, plain: Plain) -> None:
    server.faults.append(Fault(path=TOKEN_PATH, times=2))
    answers = [plain.exchange(assertion(server)) for _ in range(3)]
    assert [(status, answer.get("error_code")) for status, answer in answers] == [
        (500, "internal_error"),
        (500, "internal_error"),
        (200, None),
    ]
    assert [seen.error for seen in server.exchanges] == ["internal_error", "internal_error", ""]


def test_tokens_wait_for_their_gate(server: CozeServer, plain: Plain) -> None:
    server.token_gate = gate = Gate()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(plain.exchange, assertion(server))
        server.do(server.until_requests(1))
        assert not waiting.done()
        gate.open()
        assert waiting.result(10)[0] == 200


def test_a_poll_that_comes_too_soon_widens_the_interval(server: CozeServer, plain: Plain) -> None:
    _, code = plain.post(f"{BASE}/device/code", client_id=APP_ID)

    def poll() -> str:
        body = {"grant_type": DEVICE_GRANT, "client_id": APP_ID, "device_code": code["device_code"]}
        return str(plain.ask("POST", TOKEN_PATH, body, "")[1]["error_code"])

    assert [poll() for _ in range(2)] == ["authorization_pending", "slow_down"]
    server.advance(7)
    assert poll() == "slow_down"
    server.advance(16)
    assert poll() == "authorization_pending"


def test_a_device_of_a_workspace_has_its_own_path(plain: Plain) -> None:
    status, code = plain.post(f"{BASE}/workspace_id/{WORKSPACE_ID}/device/code", client_id=APP_ID)
    assert status == 200
    assert set(code) == {"device_code", "user_code", "verification_uri", "expires_in", "interval"}
    assert plain.post(f"{BASE}/device/code", client_id="1")[0] == 401


@pytest.mark.parametrize(
    ("changed", "status"),
    [({"client_id": "1"}, 401), ({"redirect_uri": f"{REDIRECT_URI}/"}, 400), ({"response_type": "token"}, 400)],
)
def test_a_browser_is_sent_back_only_to_an_address_of_the_app(
    plain: Plain, changed: dict[str, str], status: int
) -> None:
    query = {"response_type": "code", "client_id": APP_ID, "redirect_uri": REDIRECT_URI, "state": "s", **changed}
    assert plain.text("GET", f"{BASE}/authorize?{urlencode(query)}")[0] == status


def test_a_user_who_says_no_sends_no_code(server: CozeServer, plain: Plain) -> None:
    server.users_agree = False
    query = {"response_type": "code", "client_id": APP_ID, "redirect_uri": REDIRECT_URI, "state": "s"}
    assert plain.text("GET", f"{BASE}/authorize?{urlencode(query)}")[0] == 302
    assert plain.head is not None
    assert plain.head["location"] == f"{REDIRECT_URI}?error=access_denied&state=s"


@pytest.mark.parametrize(
    ("point", "asked", "status"),
    [
        ("chat", "POST /v3/chat", 200),
        ("getChat", "GET /v3/chat/retrieve?conversation_id=1&chat_id=1", 403),
        ("run", "POST /v1/workflow/run", 403),
        ("listRunHistory", "GET /v1/workflows/1/run_histories/1", 403),
    ],
)
def test_a_token_that_lacks_a_permission_is_refused_by_4101(
    server: CozeServer, plain: Plain, point: str, asked: str, status: int
) -> None:
    server.lacking = {point}
    method, target = asked.split()
    found, answer = plain.ask(method, target, _CHAT if method == "POST" else None)
    assert (found, answer["code"]) == (status, 4101)
    assert plain.get("/v1/users/me")[0] == 200


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ("POST /v3/chat", 200, 4101),
        ("GET /v3/chat/retrieve?conversation_id=1&chat_id=1", 401, 700012006),
        ("GET /v3/chat/message/list?conversation_id=1&chat_id=1", 401, 700012006),
        ("POST /v3/chat/cancel", 401, 700012006),
        ("POST /v1/workflow/run", 401, 700012006),
        ("GET /v1/users/me", 401, 700012006),
    ],
)
@pytest.mark.parametrize("token", ["", "pat_wrong", "czs_wrong"])
def test_a_token_that_is_none_is_refused_as_coze_does_at_each_path(
    plain: Plain, asked: str, status: int, code: int, token: str
) -> None:
    method, target = asked.split()
    found, answer = plain.ask(method, target, _CHAT if method == "POST" else None, token)
    assert (found, answer["code"]) == (status, code)
    assert answer["detail"]["logid"]

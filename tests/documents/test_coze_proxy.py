"""Document 000 against a running gateway with its `.env`: its settings, endpoints and words, callers with tokens."""

import json
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from jotgate.jose.keys import generate, signing_key_to_pem
from jotgate.services.token_exchanges import TRIES
from jotgate.stores.settings import Sources, load_settings
from jotgate.testing.coze import CozeServer, coze_in_thread
from jotgate.testing.coze_told import BOT_ID, WORKFLOW_ID
from jotgate.testing.coze_values import Fault
from jotgate.testing.running import run_command, until
from tests.coze_faces import (
    HELLO,
    MODEL,
    SERVED,
    Housed,
    as_documented,
    banner,
    dotenv,
    exchanges,
    housed,
    said,
    try_lines,
)
from tests.documents.excerpts import ROOT, excerpt
from tests.integration.exchanges import record_of, records


@pytest.fixture(scope="module")
def coze() -> Iterator[CozeServer]:
    with coze_in_thread() as server:
        yield server


@pytest.fixture(scope="module")
def started(coze: CozeServer) -> Iterator[Housed]:
    with housed(coze) as found:
        yield found


@pytest.fixture
def house(started: Housed) -> Housed:
    return as_documented(started)


def test_the_documents_env_is_read_as_it_stands(house: Housed) -> None:
    assert house.chat().status_code == SERVED
    granted = [one for one in house.coze.exchanges if not one.error][-1]
    assert (granted.grant, granted.key_id) == ("jwt", house.coze.key_id)
    assert "COZE_JWT_SESSION_NAME=my-app-session" in dotenv(house.coze)
    mine = house.ask("GET", "/get_jwt?sessionName=my-app-session").json()["token"]
    assert house.ask("GET", "/get_jwt").json()["token"] == mine, "it is the session of who names none"


def test_the_private_key_may_have_its_line_ends_as_the_document_writes_them(house: Housed) -> None:
    line = next(row for row in dotenv(house.coze).splitlines() if row.startswith("COZE_JWT_PRIVATE_KEY"))
    assert "PRIVATE KEY-----\\n" in line
    assert "\n" not in line
    assert house.ask("GET", "/get_jwt").status_code == SERVED
    house.write(COZE_JWT_PRIVATE_KEY=json.dumps(house.coze.private_key_pem))
    assert house.ask("POST", "/refresh_jwt").status_code == SERVED, "in quotes, as programs write it"


def test_base_url_bot_and_workflow_are_those_of_the_settings(house: Housed) -> None:
    house.chat()
    assert house.coze.chats[-1].bot_id == BOT_ID
    house.chat(headers={"x-model-type": "workflow"})
    assert house.coze.runs[-1].workflow_id == WORKFLOW_ID


def test_the_port_is_that_of_the_settings(coze: CozeServer, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(dotenv(coze))
    file.chmod(0o600)
    (preset,) = load_settings(Sources(file=None, environment={}, dotenv=file, presets=("coze-proxy",))).presets
    assert (preset.listen, preset.faults) == (("127.0.0.1", 3000), ())


def test_the_default_mode_is_that_of_the_settings(house: Housed) -> None:
    house.write(DEFAULT_MODEL_TYPE="workflow")
    runs = len(house.coze.runs)
    assert house.chat().status_code == SERVED
    assert len(house.coze.runs) == runs + 1
    assert house.chat(headers={"x-model-type": "chat"}).status_code == SERVED
    assert len(house.coze.runs) == runs + 1


def test_the_audience_is_cozes_host(house: Housed) -> None:
    assert excerpt("000", 36).count("`api.coze.") == 2
    for audience, status in (("api.coze.com", SERVED), ("api.coze.cn", 502)):
        house.write(COZE_JWT_AUD=audience)
        assert house.ask("POST", "/refresh_jwt").status_code == status, "the stand-in is .com"
    house.coze.audiences.add("api.coze.cn")
    until(lambda: house.ask("POST", "/refresh_jwt").status_code == SERVED, "the other audience is taken")


def test_the_original_endpoints_answer_with_its_members(house: Housed) -> None:
    """The table of the document."""
    table = {
        ("GET", "/get_jwt"): {"success", "token", "info"},
        ("POST", "/refresh_jwt"): {"success", "access_token", "expires_in", "token_type"},
        ("DELETE", "/clear_jwt"): {"success", "message"},
        ("GET", "/health"): {"status", "timestamp", "config", "jwt", "mode"},
    }
    rows = [excerpt("000", line) for line in range(106, 110)]
    for ((method, path), members), row in zip(table.items(), rows, strict=True):
        assert row.startswith(f"| `{path}` | {method} |")
        answer = house.ask(method, path)
        assert (answer.status_code, answer.json().keys()) == (SERVED, members)
        assert answer.headers["cache-control"] == "no-store"


def test_a_cleared_token_is_made_anew_by_the_next_request(house: Housed) -> None:
    first = house.ask("GET", "/get_jwt").json()["token"]
    house.ask("DELETE", "/clear_jwt")
    assert house.ask("GET", "/health").json()["jwt"]["hasToken"] is False
    assert house.chat().status_code == SERVED
    assert house.ask("GET", "/get_jwt").json()["token"] != first


def test_a_short_token_stands_in_for_a_static_key(house: Housed) -> None:
    assert house.chat().status_code == SERVED
    assert _shown(house).startswith("Bearer czs_")
    info = house.ask("GET", "/get_jwt").json()["info"]
    assert 0 < info["expiresIn"] <= 900


def test_tokens_are_renewed_by_themselves(house: Housed) -> None:
    """Within the last of its life no call waits for it, and none fails."""
    house.coze.life_s = 7
    house.ask("DELETE", "/clear_jwt")
    first = house.ask("GET", "/get_jwt").json()["token"]
    before = exchanges(house.coze)
    until(lambda: house.chat().status_code != SERVED or exchanges(house.coze) > before, "it is renewed")
    assert house.chat().status_code == SERVED
    assert house.ask("GET", "/get_jwt").json()["token"] != first


def test_a_key_stands_in_where_no_jwt_is_configured_and_never_else(house: Housed) -> None:
    """From API key to JWT, as the document says it: both, JWT tested, key removed."""
    house.coze.pats.add("pat_of_the_test")
    without = dict.fromkeys(("COZE_JWT_APP_ID", "COZE_JWT_KEY_ID", "COZE_JWT_AUD", "COZE_JWT_PRIVATE_KEY"))
    house.write(**without, COZE_API_KEY="pat_of_the_test")
    assert house.chat().status_code == SERVED
    assert _shown(house) == "Bearer pat_of_the_test"
    assert said(house.ask("GET", "/get_jwt")) == (503, "JWT configuration not provided")
    assert house.ask("GET", "/health").json()["config"]["hasCozeApiKey"] is True
    house.write(COZE_API_KEY="pat_of_the_test")
    assert house.chat().status_code == SERVED
    assert _shown(house).startswith("Bearer czs_")
    house.write(COZE_API_KEY="pat_of_the_test", COZE_JWT_AUD="api.coze.example")
    house.ask("DELETE", "/clear_jwt")
    assert said(house.chat())[0] == 502, "a failure of the JWT leads to no key"
    assert "pat_of_the_test" not in _shown(house)
    house.write()
    assert house.chat().status_code == SERVED


def test_key_pairs_are_rotated_while_both_are_registered(house: Housed) -> None:
    old = dict(row.split("=", 1) for row in dotenv(house.coze).splitlines())
    kid, pem = house.coze.add_key()
    first = {name: old[name] for name in ("COZE_JWT_KEY_ID", "COZE_JWT_PRIVATE_KEY")}
    second = {"COZE_JWT_NEXT_KEY_ID": kid, "COZE_JWT_NEXT_PRIVATE_KEY": pem.replace("\n", "\\n")}
    house.write(**first, **second)
    assert house.ask("POST", "/refresh_jwt").status_code == SERVED
    assert house.coze.exchanges[-1].key_id == first["COZE_JWT_KEY_ID"]
    house.coze.drop_key(first["COZE_JWT_KEY_ID"])
    until(lambda: house.ask("POST", "/refresh_jwt").status_code == SERVED, "the second one is taken")
    assert house.coze.exchanges[-1].key_id == kid


@pytest.mark.parametrize("lacking", ["COZE_JWT_APP_ID", "COZE_JWT_KEY_ID", "COZE_JWT_PRIVATE_KEY"])
def test_jwt_configuration_not_provided(house: Housed, lacking: str) -> None:
    assert '**1. "JWT configuration not provided"**' in excerpt("000", 122)
    house.write(**{lacking: None})
    for method, path in (("GET", "/get_jwt"), ("POST", "/refresh_jwt"), ("DELETE", "/clear_jwt")):
        assert said(house.ask(method, path)) == (503, "JWT configuration not provided")
    assert lacking in said(house.chat())[1]
    (missing,) = house.ask("GET", "/health", "").json()["missing"]
    assert lacking in missing


def test_failed_to_refresh_jwt_token(house: Housed) -> None:
    assert '**2. "Failed to refresh JWT token"**' in excerpt("000", 126)
    other = signing_key_to_pem(generate("RS256")).decode().replace("\n", "\\n")
    wrong = (
        {"COZE_JWT_APP_ID": "1105000000000009"},
        {"COZE_JWT_KEY_ID": "nobody-registered-it"},
        {"COZE_JWT_AUD": "api.coze.example"},
        {"COZE_JWT_PRIVATE_KEY": other},
    )
    for change in wrong:
        house.write(**change)
        status, message = said(house.ask("POST", "/refresh_jwt"))
        assert (status, message.startswith("Failed to refresh JWT token: ")) == (502, True), change
        assert "PRIVATE" not in message
        assert said(house.chat())[0] == 502


def test_token_refresh_failed(house: Housed) -> None:
    assert '**3. "Token refresh failed"**' in excerpt("000", 131)
    house.write(COZE_BASE_URL="http://127.0.0.1:9")
    answer = house.ask("POST", "/refresh_jwt")
    assert said(answer) == (503, "Token refresh failed")
    assert int(answer.headers["retry-after"]) >= 1
    house.write()
    house.coze.faults += [Fault(path="/api/permission/oauth2/token", status=500)] * TRIES
    answer = house.ask("POST", "/refresh_jwt")
    assert said(answer) == (503, "Token refresh failed")


def test_what_callers_do_with_tokens_is_in_the_audit_log_and_no_secret_is_anywhere(house: Housed) -> None:
    """Unusual patterns can be seen: who got, renewed and cleared which session's token, and who was refused."""
    token = house.ask("GET", "/get_jwt").json()["token"]
    house.ask("DELETE", "/clear_jwt")
    taken = record_of(house.gateway, house.ask("GET", "/get_jwt").headers["x-request-id"])
    assert (taken["operation"], taken["subject"], taken["status"]) == ("upstream:credentials", "ann", SERVED)
    refused = record_of(house.gateway, house.ask("GET", "/get_jwt", "").headers["x-request-id"])
    assert (refused["operation"], refused["code"]) == ("upstream:credentials", "token_missing")
    events = [(one.get("event"), one.get("actor")) for one in records(house.gateway, "event")]
    assert {("upstream.token_obtained", "ann"), ("upstream.token_cleared", "ann")} <= set(events)
    key_line = house.coze.private_key_pem.splitlines()[3].encode()
    for file in house.gateway.data.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert token.encode() not in content
            assert b"czs_" not in content, file
            assert key_line not in content, file
    assert "czs_" not in house.gateway.errors


def test_private_keys_stay_out_of_version_control() -> None:
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert ".env" in ignored
    assert any(row in {"*.pem", "*_key.pem"} for row in ignored)


def test_the_first_lines_work_as_pasted(house: Housed) -> None:
    try_lines(house, banner(house, house.gateway.first_lines), house.place)


def test_every_key_is_looked_at(house: Housed) -> None:
    """`not-used` opens nothing; a token does, and a personal one."""
    for key in ("not-used", "anything", ""):
        assert house.ask("GET", "/v1/models", key).status_code == 401
    with pytest.raises(openai.AuthenticationError):
        house.openai("not-used").chat.completions.create(model=MODEL, messages=HELLO)
    owner = run_command("principal", "create", "carol", "--scope", "ai", data=house.gateway.data)
    assert owner.returncode == 0, owner.stderr
    personal = run_command(
        "pat", "create", "--subject", "carol", "--name", "sdk", data=house.gateway.data
    ).stdout.strip()
    for key in (house.key, personal):
        assert house.openai(key).chat.completions.create(model=MODEL, messages=HELLO).choices[0].message.content
    assert house.ask("GET", "/get_jwt", personal).status_code == 403


def _shown(house: Housed) -> str:
    """The credential that Coze was shown last, for a chat."""
    asked = [one for one in house.coze.requests if one.target.startswith("/v3/chat")]
    fields = dict(row.split(": ", 1) for row in asked[-1].head.decode("latin-1").split("\r\n")[1:])
    return fields["Authorization"]

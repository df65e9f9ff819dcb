"""What the original Coze proxy leaves weak or unbuilt, row by row, against a running gateway."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import httpx
import openai
import pytest

from jotgate.testing.coze import CozeServer, coze_in_thread
from jotgate.testing.coze_told import WORKFLOW_ID
from jotgate.testing.coze_values import Interrupt, Reply, Workflow
from jotgate.testing.running import run_command, until
from tests.coze_faces import (
    HELLO,
    MODEL,
    SERVED,
    Housed,
    as_documented,
    code_of,
    events_of,
    exchanges,
    housed,
    said,
)
from tests.documents.excerpts import ROOT, excerpt

PAGE: Final = "docs/systems/coze-proxy.md"


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


def test_weak_000_1_nobody_without_a_token_gets_anything(house: Housed) -> None:
    paths = (("GET", "/get_jwt"), ("POST", "/refresh_jwt"), ("DELETE", "/clear_jwt"), ("GET", "/v1/conversations"))
    for key in ("", "not-used"):
        for method, path in paths:
            assert house.ask(method, path, key).status_code == 401
        assert house.chat(key).status_code == 401
        message = said(house.ask("GET", "/get_jwt", key))[1]
        assert "jotgate token create --subject me --scope ai --scope upstream:credentials" in message
    chats_alone = house.token("ann", "ai")
    assert house.chat(chats_alone).status_code == SERVED
    for method, path in paths[:3]:
        assert code_of(house.ask(method, path, chats_alone)) == (403, "insufficient_scope")
    assert code_of(house.chat(headers={"x-bot-id": "7300000000000000009"})) == (404, "model_not_found")
    assert house.ask("GET", "/health", "").status_code == SERVED


def test_weak_000_1_no_reload_opens_a_face_that_asks_for_tokens(house: Housed) -> None:
    settings = house.place / "jotgate.toml"
    settings.write_text("[coze_proxy]\nopen_local = true\n")
    try:
        house.gateway.reload()
        assert code_of(house.ask("GET", "/get_jwt", "")) == (401, "token_missing")
        assert house.ask("GET", "/health", "").json()["mode"] == "tokens"
        assert "coze_proxy.open_local has changed; that takes effect when jotgate is started" in house.gateway.errors
    finally:
        settings.write_text("")
        house.gateway.reload()


def test_commands_know_the_upstream_that_the_preset_brings(house: Housed) -> None:
    login = run_command("upstream", "login", "coze", data=house.gateway.data)
    assert login.returncode == 1
    assert "nobody logs in for the upstream 'coze': its credential is 'coze'" in login.stderr
    assert "write an [[upstreams]] of this name into jotgate.toml" in login.stderr
    house.write(COZE_JWT_APP_ID="1999")
    assert house.ask("POST", "/refresh_jwt").status_code == 502
    looked = run_command("doctor", data=house.gateway.data)
    assert looked.returncode == 1
    assert '✗ tokens coze: by the grant "coze": ' in looked.stdout
    assert "✓ face coze-proxy: nothing is missing" in looked.stdout


def test_weak_000_1_what_somebody_has_is_nobody_elses(house: Housed) -> None:
    assert house.chat(headers={"x-conversation-id": "mine"}).status_code == SERVED
    bob = house.token("bob")
    assert "mine" in [one["id"] for one in house.ask("GET", "/v1/conversations").json()["conversations"]]
    assert house.ask("GET", "/v1/conversations", bob).json() == {"conversations": []}
    for method, path in (("GET", "/v1/conversations/mine/history"), ("DELETE", "/v1/conversations/mine")):
        theirs, nobodys = house.ask(method, path, bob), house.ask(method, path.replace("mine", "none"), bob)
        assert theirs.status_code == nobodys.status_code == 404
        assert theirs.json() == nobodys.json()
    assert house.ask("GET", "/v1/conversations/mine/history").json()["messages"][-1]["role"] == "assistant"


def test_weak_000_2_pages_of_the_origins_that_are_listed_read_answers_and_no_others(house: Housed) -> None:
    house.write(ALLOWED_ORIGINS="https://a.example,https://b.example", ENABLE_CORS="true")
    for origin in ("https://a.example", "https://b.example"):
        lines = house.ask("GET", "/v1/models", headers={"Origin": origin}).headers
        assert lines["access-control-allow-origin"] == origin
        assert "access-control-allow-credentials" not in lines
    assert "access-control-allow-origin" not in house.ask("GET", "/v1/models", headers={"Origin": "https://c"}).headers


def test_weak_000_3_callers_and_labels_have_sessions_of_their_own_at_coze(house: Housed) -> None:
    bob = house.token("bob")
    house.coze.exchanges.clear()
    for key in (house.key, bob):
        for label in ("one", "two"):
            house.ask("DELETE", f"/clear_jwt?sessionName={label}", key)
            assert house.chat(key, headers={"x-session-name": label}).status_code == SERVED
    sessions = {one.session for one in house.coze.exchanges}
    assert len(sessions) == 4
    assert {"one", "two", "ann", "bob"}.isdisjoint(sessions), "they are digests"
    assert len({one.user_id for one in house.coze.chats[-4:]}) == 2


def test_weak_000_4_the_key_of_the_document_signs_with_its_escapes(house: Housed) -> None:
    assert house.ask("POST", "/refresh_jwt").status_code == SERVED
    assert "\\n" in excerpt("000", 47)


def test_weak_000_5_a_chat_without_a_stream_is_one_that_coze_takes(house: Housed) -> None:
    answer = house.chat().json()
    assert answer["choices"][0]["message"]["content"]
    assert answer["usage"]["total_tokens"] > 0


def test_weak_000_6_a_conversation_is_answered_and_streams(house: Housed) -> None:
    head = {"x-model-type": "conversation", "x-conversation-id": "six"}
    house.coze.replies.append(Reply(pieces=("First",)))
    assert house.chat(headers=head).json()["choices"][0]["message"]["content"] == "First"
    house.coze.replies.append(Reply(pieces=("Sec", "ond")))
    events = events_of(house.chat(headers=head, stream=True))
    assert "".join(one["choices"][0]["delta"].get("content") or "" for one in events if one["choices"]) == "Second"
    told = house.ask("GET", "/v1/conversations/six/history").json()["messages"]
    assert [one["content"] for one in told] == ["Hello!", "First", "Hello!", "Second"]
    assert house.ask("DELETE", "/v1/conversations/six").json() == {"success": True}
    assert code_of(house.ask("GET", "/v1/conversations/six/history")) == (404, "session_not_found")


def test_weak_000_7_a_workflow_that_is_awaited_has_its_outcome(house: Housed) -> None:
    house.coze.workflows[WORKFLOW_ID] = Workflow(workflow_id=WORKFLOW_ID, output='{"output":"done"}')
    answer = house.chat(headers={"x-model-type": "workflow"}).json()
    assert "done" in answer["choices"][0]["message"]["content"]
    house.coze.workflows[WORKFLOW_ID] = Workflow(workflow_id=WORKFLOW_ID)


def test_weak_000_8_a_stream_is_one_of_openai(house: Housed) -> None:
    answer = house.chat(stream=True, stream_options={"include_usage": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = events_of(answer)
    assert len({one["id"] for one in events}) == 1
    assert events[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [one["choices"][0]["finish_reason"] for one in events if one["choices"]][-1] == "stop"
    assert events[-1]["usage"]["total_tokens"] > 0
    house.coze.replies.append(Reply(pieces=("Hel", "lo"), failure=(5000, "event interval error")))
    with pytest.raises(openai.APIError, match="event interval error"):
        list(house.openai().chat.completions.create(model=MODEL, messages=HELLO, stream=True))
    workflow = house.chat(stream=True, headers={"x-model-type": "workflow"})
    assert "[object Object]" not in workflow.text
    assert events_of(workflow)


def test_weak_000_8_what_a_workflow_asks_is_a_tool_call_of_its_caller(house: Housed) -> None:
    asking = Workflow(workflow_id=WORKFLOW_ID, interrupts=(Interrupt(),))
    house.coze.workflows[WORKFLOW_ID] = asking
    head = {"x-model-type": "workflow"}
    told = house.chat(headers=head).json()["choices"][0]
    (call,) = told["message"]["tool_calls"]
    assert (told["finish_reason"], call["function"]["name"]) == ("tool_calls", "coze_interrupt")
    sessions = house.ask("GET", "/v1/workflows/sessions").json()["sessions"]
    assert [(one["id"], one["workflowId"]) for one in sessions] == [(call["id"], WORKFLOW_ID)]
    bob = house.token("bob")
    assert house.ask("GET", "/v1/workflows/sessions", bob).json() == {"sessions": []}
    assert code_of(house.ask("GET", f"/v1/workflows/sessions/{call['id']}", bob)) == (404, "session_not_found")
    assert house.ask("GET", f"/v1/workflows/sessions/{call['id']}").json() == {"session": sessions[0]}
    messages = [*HELLO, told["message"], {"role": "tool", "tool_call_id": call["id"], "content": "Ann"}]
    theirs = house.chat(bob, headers=head, messages=messages)
    assert theirs.status_code in {400, 404}
    answer = house.chat(headers=head, messages=messages).json()
    assert "Ann" in answer["choices"][0]["message"]["content"]
    house.coze.workflows[WORKFLOW_ID] = Workflow(workflow_id=WORKFLOW_ID)


def test_weak_000_9_what_coze_cannot_take_is_said(house: Housed) -> None:
    assert house.chat(temperature=0.5, max_tokens=5).status_code == SERVED
    refused = house.chat(tools=[{"type": "function", "function": {"name": "f"}}])
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "tools")


def test_weak_000_10_many_callers_at_once_make_one_renewal(house: Housed) -> None:
    house.ask("DELETE", "/clear_jwt")
    before = exchanges(house.coze)
    with ThreadPoolExecutor(16) as threads:
        statuses = list(threads.map(lambda _: house.chat().status_code, range(16)))
    assert statuses == [SERVED] * 16
    assert exchanges(house.coze) == before + 1


def test_weak_000_10_conversations_outlive_the_process(house: Housed) -> None:
    assert house.chat(headers={"x-conversation-id": "kept"}).status_code == SERVED
    for name in ("worker 0", "control"):
        os.kill(house.gateway.pids[name], signal.SIGKILL)

    def named() -> list[str]:
        try:
            answer = house.ask("GET", "/v1/conversations")
        except httpx.TransportError:
            return []
        return [one["id"] for one in answer.json().get("conversations", ())]

    until(lambda: "kept" in named(), "others have it out of the store")


def test_weak_000_11_times_are_seconds_from_now(house: Housed) -> None:
    renewed = house.ask("POST", "/refresh_jwt").json()
    assert 0 < renewed["expires_in"] <= 900
    assert house.ask("GET", "/get_jwt").json()["info"]["expiresIn"] <= renewed["expires_in"]


def test_weak_000_12_the_page_says_what_is_not_as_at_openai() -> None:
    page = (ROOT / PAGE).read_text("utf-8")
    assert "## Differences" in page
    for name in ("coze_interrupt", "API_KEY_HEADER", "NODE_ENV", "ALLOWED_ORIGINS", "streaming_not_supported"):
        assert name in page

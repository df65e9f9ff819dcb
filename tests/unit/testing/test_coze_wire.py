"""The faults of Coze's stand-in: refusals with the statuses of each path, torn and broken streams, cut characters."""

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from jotgate.testing.coze import CozeServer, coze_in_thread
from jotgate.testing.coze_told import BOT_ID, WORKFLOW_ID
from jotgate.testing.coze_values import (
    OCCUPIED,
    TOKEN_REFUSED_ON_200,
    TOKEN_REFUSED_ON_401,
    TOO_MANY,
    Fault,
    Reply,
)
from jotgate.testing.upstream import Gate
from tests.coze_clients import Plain, events, words

_CHAT: Any = {
    "bot_id": BOT_ID,
    "user_id": "u",
    "additional_messages": [{"role": "user", "content": "星期三", "content_type": "text"}],
    "stream": True,
}
_FLOW = {"workflow_id": WORKFLOW_ID}


@pytest.fixture
def server() -> Iterator[CozeServer]:
    with coze_in_thread() as running:
        yield running


@pytest.fixture
def plain(server: CozeServer) -> Plain:
    return Plain(server)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (OCCUPIED, 200, 4016),
        (TOKEN_REFUSED_ON_200, 200, 4101),
        (TOKEN_REFUSED_ON_401, 401, 700012006),
        (TOO_MANY, 429, 4020),
        (Fault(code=4013), 429, 4013),
        (Fault(code=5000), 500, 5000),
        (Fault(code=4011, status=402, message="no balance"), 402, 4011),
    ],
)
def test_a_refusal_comes_once_and_the_next_chat_is_good(
    server: CozeServer, plain: Plain, fault: Fault, status: int, code: int
) -> None:
    server.faults.append(fault)
    found, answer = plain.post("/v3/chat", **_CHAT)
    assert (found, answer["code"], bool(answer["msg"])) == (status, code, True)
    assert plain.text("POST", "/v3/chat", _CHAT)[0] == 200
    assert len(server.chats) == 1


def test_too_many_says_when_to_come_again(server: CozeServer, plain: Plain) -> None:
    server.faults.append(TOO_MANY)
    plain.get("/v1/users/me")
    assert plain.head is not None
    assert plain.head["retry-after"] == "1"


def test_a_fault_waits_for_its_path(server: CozeServer, plain: Plain) -> None:
    server.faults.append(Fault(path="/v3/chat/cancel", code=5000))
    assert plain.text("POST", "/v3/chat", _CHAT)[0] == 200
    assert plain.post("/v3/chat/cancel")[0] == 500
    assert server.faults == []


def test_a_load_balancer_has_a_page(server: CozeServer, plain: Plain) -> None:
    server.faults += [Fault(ill="page"), Fault(ill="page", status=503, lines=(b"Retry-After: 7",))]
    assert plain.text("POST", "/v3/chat", _CHAT) == (502, b"<html><body><h1>502</h1></body></html>")
    assert plain.text("POST", "/v3/chat", _CHAT)[0] == 503
    assert plain.head is not None
    assert (plain.head["content-type"], plain.head["retry-after"]) == ("text/html", "7")


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 5])
def test_characters_are_cut_and_nothing_is_lost(server: CozeServer, plain: Plain, chunk_bytes: int) -> None:
    _, whole = plain.text("POST", "/v3/chat", _CHAT)
    server.chunk_bytes = chunk_bytes
    _, cut = plain.text("POST", "/v3/chat", _CHAT)
    assert (words(cut), len(cut)) == ("You said: 星期三", len(whole))


def test_a_stream_is_dropped_in_the_middle_of_an_event(server: CozeServer, plain: Plain) -> None:
    server.faults.append(Fault(ill="drop", after=2))
    with pytest.raises(http.client.IncompleteRead) as caught:
        plain.text("POST", "/v3/chat", _CHAT)
    *whole, torn = caught.value.partial.split(b"\n\n")
    assert words(b"\n\n".join(whole)) == "You said: "
    assert torn.startswith(b"event:conversation.message.delta")
    assert server.running == 0, "the chat goes on unheard, and ends"


def test_a_stream_is_reset(server: CozeServer, plain: Plain) -> None:
    server.faults.append(Fault(ill="reset", after=0))
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        plain.text("POST", "/v3/chat", _CHAT)


def test_a_stream_ends_without_its_end(server: CozeServer, plain: Plain) -> None:
    server.faults.append(Fault(ill="end", after=1))
    _, text = plain.text("POST", "/v3/chat", _CHAT)
    assert [name for name, _ in events(text)][-1] == "conversation.message.delta"
    assert words(text) == "You "


def test_a_piece_is_malformed_and_the_next_ones_are_not(server: CozeServer, plain: Plain) -> None:
    server.faults.append(Fault(ill="malformed", after=1))
    _, text = plain.text("POST", "/v3/chat", _CHAT)
    frames = text.split(b"\n\n")
    (broken,) = [place for place, frame in enumerate(frames) if frame and not frame.endswith((b"}", b'"[DONE]"'))]
    assert words(b"\n\n".join(frames[:broken] + frames[broken + 1 :])) == "You 星期三"


@pytest.mark.parametrize(
    ("path", "body", "name", "data"),
    [
        ("/v3/chat", _CHAT, "error", {"code": 4013, "msg": "The model is rate limited."}),
        (
            "/v1/workflow/stream_run",
            _FLOW,
            "Error",
            {"error_code": 4013, "error_message": "The model is rate limited."},
        ),
    ],
)
def test_an_error_is_an_event_and_ends_the_stream(
    server: CozeServer, path: str, body: Any, name: str, data: dict[str, Any]
) -> None:
    server.faults.append(Fault(ill="error_event", path=path, code=4013))
    assert events(Plain(server).text("POST", path, body)[1])[-1] == (name, data)


@pytest.mark.parametrize("path", ["/v3/chat", "/v1/users/me"])
def test_silence_keeps_the_connection(server: CozeServer, path: str) -> None:
    server.faults.append(Fault(ill="silence", path=path))
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=0.3)
    fields = {"Authorization": "Bearer pat_standin"}
    try:
        if path == "/v3/chat":
            client.request("POST", path, json.dumps(_CHAT), fields)
            answer = client.getresponse()
            with pytest.raises(TimeoutError):
                answer.read()
        else:
            client.request("GET", path, headers=fields)
            with pytest.raises(TimeoutError):
                client.getresponse()
        assert server.connections == 1
    finally:
        client.close()


def test_an_answer_that_is_no_stream_can_be_broken_too(server: CozeServer, plain: Plain) -> None:
    path = "/v1/users/me"
    server.faults += [Fault(ill=ill, path=path) for ill in ("malformed", "drop", "reset")]
    status, text = plain.text("GET", path)
    assert (status, text.count(b"{") > text.count(b"}")) == (200, True)
    with pytest.raises(http.client.RemoteDisconnected):
        plain.text("GET", path)
    with pytest.raises(ConnectionResetError):
        plain.text("GET", path)


def test_a_slow_stream_is_slow(server: CozeServer, plain: Plain) -> None:
    server.pace_s = 0.01
    assert words(plain.text("POST", "/v3/chat", _CHAT)[1]) == "You said: 星期三"


def test_a_chat_that_is_canceled_says_no_more(server: CozeServer, plain: Plain) -> None:
    gate = Gate()
    server.replies.append(Reply(pieces=("a", "b", "c"), gate=gate, gate_at=1))
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(Plain(server).text, "POST", "/v3/chat", _CHAT)
        server.do(server.until_requests(1))
        seen = server.chats[0]
        answer = plain.post("/v3/chat/cancel", conversation_id=seen.conversation_id, chat_id=seen.chat_id)
        assert answer[1]["data"]["status"] == "canceled"
        gate.open()
        _, text = reading.result(10)
    assert words(text) == "a"
    assert [name for name, _ in events(text)][-1] == "done"


@pytest.mark.parametrize(
    ("asked", "body"), [("GET /v3/nothing", None), ("DELETE /v3/chat", None), ("POST /v1/bots/x", {})]
)
def test_an_unknown_path_is_a_wrong_parameter(plain: Plain, asked: str, body: Any) -> None:
    method, target = asked.split()
    status, answer = plain.ask(method, target, body)
    assert (status, answer["code"]) == (404, 4000)


def test_a_body_that_is_no_json_is_a_wrong_parameter(server: CozeServer) -> None:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    client.request("POST", "/v3/chat", b"{", {"Authorization": "Bearer pat_standin"})
    answer = client.getresponse()
    assert (answer.status, b'"code":4000' in answer.read()) == (400, True)
    client.close()

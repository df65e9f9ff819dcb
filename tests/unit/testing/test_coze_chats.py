"""The chats of Coze's stand-in: what is refused, what runs on, and what it counts."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from jotgate.testing.coze import CozeServer, coze_in_thread
from jotgate.testing.coze_told import BOT_ID, PAT, WORKFLOW_ID
from jotgate.testing.coze_values import Bot, Reply, ToolCall, Workflow
from jotgate.testing.upstream import Gate
from tests.coze_clients import Plain, events, words

_HI: Any = [{"role": "user", "content": "hi", "content_type": "text"}]
_CHAT = {"bot_id": BOT_ID, "user_id": "u", "additional_messages": _HI}


@pytest.fixture
def server() -> Iterator[CozeServer]:
    with coze_in_thread() as running:
        yield running


@pytest.fixture
def plain(server: CozeServer) -> Plain:
    return Plain(server)


def names(chat: dict[str, Any]) -> str:
    """The query that names a chat."""
    return f"conversation_id={chat['conversation_id']}&chat_id={chat['id']}"


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"bot_id": ""}, 400, 4000),
        ({"user_id": ""}, 400, 4000),
        ({"user_id": 7}, 400, 4000),
        ({"bot_id": "1"}, 200, 4006),
        ({"auto_save_history": False}, 200, 4007),
        ({"additional_messages": []}, 400, 4000),
        ({"additional_messages": _HI * 101}, 200, 4004),
        ({"additional_messages": [{"role": "system", "content": "x"}]}, 400, 4000),
        ({"additional_messages": [{"role": "assistant", "content": "x", "type": "question"}]}, 400, 4000),
        ({"additional_messages": [{"role": "user", "content": "x", "content_type": "image"}]}, 400, 4000),
        ({"additional_messages": [{"role": "user", "content": "x", "content_type": "object_string"}]}, 400, 4000),
        ({"meta_data": {"k" * 65: "v"}}, 200, 4003),
        ({"meta_data": {str(number): "v" for number in range(17)}}, 200, 4003),
    ],
)
def test_a_chat_that_coze_would_refuse_is_refused(
    server: CozeServer, plain: Plain, changed: dict[str, Any], status: int, code: int
) -> None:
    found, answer = plain.post("/v3/chat", **{**_CHAT, **changed})
    assert (found, answer["code"]) == (status, code)
    assert server.chats == []


def test_a_stream_that_is_refused_does_not_start(server: CozeServer, plain: Plain) -> None:
    server.bots[BOT_ID] = Bot(bot_id=BOT_ID, published=False)
    status, answer = plain.post("/v3/chat", stream=True, **_CHAT)
    assert (status, answer["code"]) == (200, 4015)
    assert plain.head is not None
    assert plain.head["content-type"] == "application/json"


def test_a_stream_need_not_keep_history(server: CozeServer, plain: Plain) -> None:
    _, text = plain.text("POST", "/v3/chat", {**_CHAT, "stream": True, "auto_save_history": False})
    assert words(text) == "You said: hi"
    conversation_id = server.chats[0].conversation_id
    assert plain.post(f"/v1/conversation/message/list?conversation_id={conversation_id}")[1]["data"] == []


def test_the_bytes_of_a_stream_are_cozes(server: CozeServer, plain: Plain) -> None:
    _, text = plain.text("POST", "/v3/chat", {**_CHAT, "stream": True})
    assert text.startswith(b'event:conversation.chat.created\ndata:{"id":"')
    assert text.endswith(b'\n\nevent:done\ndata:"[DONE]"\n\n')
    assert [name for name, _ in events(text)] == [
        "conversation.chat.created",
        "conversation.chat.in_progress",
        *["conversation.message.delta"] * 3,
        *["conversation.message.completed"] * 2,
        "conversation.chat.completed",
        "done",
    ]
    server.spaces = True
    _, text = plain.text("POST", "/v3/chat", {**_CHAT, "stream": True})
    assert text.startswith(b'event: conversation.chat.created\ndata: {"id":"')


def test_a_chat_of_a_workflow_has_spaces_and_ends_with_its_debug_url(server: CozeServer, plain: Plain) -> None:
    body = {"workflow_id": WORKFLOW_ID, "additional_messages": _HI, "parameters": {}}
    _, text = plain.text("POST", "/v1/workflows/chat", body)
    assert text.startswith(b"event: conversation.chat.created\ndata: {")
    name, data = events(text)[-1]
    assert (name, set(data)) == ("done", {"debug_url"})
    assert plain.post("/v1/workflows/chat", workflow_id="1", additional_messages=_HI)[0] == 404
    server.workflows[WORKFLOW_ID] = Workflow(workflow_id=WORKFLOW_ID, published=False)
    assert plain.post("/v1/workflows/chat", **body)[1]["code"] == 4200


def test_a_conversation_has_one_chat_at_a_time(server: CozeServer, plain: Plain) -> None:
    chat = plain.post("/v3/chat", **_CHAT)[1]["data"]
    again = f"/v3/chat?conversation_id={chat['conversation_id']}"
    status, answer = plain.post(again, **_CHAT)
    assert (status, answer["code"]) == (200, 4016)
    server.poll_delay = 0
    assert plain.get(f"/v3/chat/retrieve?{names(chat)}")[1]["data"]["status"] == "completed"
    assert plain.post(again, **_CHAT)[1]["code"] == 0
    assert len(server.chats) == 2


def test_a_chat_whose_reader_has_gone_runs_until_it_is_canceled(server: CozeServer, plain: Plain) -> None:
    server.replies.append(Reply(gate=Gate(), gate_at=1))
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    fields = {"Authorization": f"Bearer {PAT}", "Content-Type": "application/json"}
    client.request("POST", "/v3/chat", json.dumps({**_CHAT, "stream": True}), fields)
    answer = client.getresponse()
    assert answer.read(10) == b"event:conv"
    answer.close()
    client.close()
    server.do(server.until_connections(0))
    seen = server.chats[0]
    assert (server.running, server.status_of(seen.chat_id)) == (1, "in_progress")
    again = f"/v3/chat?conversation_id={seen.conversation_id}"
    assert plain.post(again, **_CHAT)[1]["code"] == 4016
    plain.post("/v3/chat/cancel", conversation_id=seen.conversation_id, chat_id=seen.chat_id)
    assert (server.running, server.status_of(seen.chat_id)) == (0, "canceled")
    assert plain.post(again, **_CHAT)[1]["code"] == 0


def test_so_many_looks_say_in_progress_and_a_gate_holds_it_longer(server: CozeServer, plain: Plain) -> None:
    server.poll_delay = 2
    gate = Gate()
    server.replies.append(Reply(gate=gate))
    chat = plain.post("/v3/chat", **_CHAT)[1]["data"]

    def looks(count: int) -> list[str]:
        return [plain.get(f"/v3/chat/retrieve?{names(chat)}")[1]["data"]["status"] for _ in range(count)]

    assert chat["status"] == "in_progress"
    assert looks(4) == ["in_progress"] * 4
    gate.open()
    assert looks(1) == ["completed"]
    assert server.looks == {chat["id"]: 5}


def test_an_oauth_token_may_not_look_by_post(server: CozeServer, plain: Plain) -> None:
    chat = plain.post("/v3/chat", **_CHAT)[1]["data"]
    token = plain.token("ann")
    status, answer = plain.post(f"/v3/chat/retrieve?{names(chat)}", token)
    assert (status, answer["code"], answer["msg"]) == (401, 4100, "authentication is invalid")
    assert plain.get(f"/v3/chat/retrieve?{names(chat)}", token)[0] == 200
    assert plain.post(f"/v3/chat/retrieve?{names(chat)}")[0] == 200
    server.refuse_post_retrieve = False
    assert plain.post(f"/v3/chat/retrieve?{names(chat)}", token)[0] == 200


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [("", 400, 4000), ("conversation_id=1", 400, 4000), ("conversation_id=1&chat_id=1", 200, 4001)],
)
def test_a_chat_must_be_named_and_exist(plain: Plain, query: str, status: int, code: int) -> None:
    found, answer = plain.get(f"/v3/chat/retrieve?{query}")
    assert (found, answer["code"]) == (status, code)


def test_a_chat_is_of_its_conversation(plain: Plain) -> None:
    first, second = (plain.post("/v3/chat", **_CHAT)[1]["data"] for _ in range(2))
    query = f"conversation_id={second['conversation_id']}&chat_id={first['id']}"
    assert plain.get(f"/v3/chat/retrieve?{query}")[1]["code"] == 4002
    assert plain.post("/v3/chat?conversation_id=1", **_CHAT)[1]["code"] == 4002


def test_outputs_must_be_those_that_were_asked_for(server: CozeServer, plain: Plain) -> None:
    server.replies.append(
        Reply(tool_calls=(ToolCall(name="a", call_id="call_1"), ToolCall(name="b", call_id="call_2")))
    )
    _, text = plain.text("POST", "/v3/chat", {**_CHAT, "stream": True})
    stopped = dict(events(text))["conversation.chat.requires_action"]
    assert [call["id"] for call in stopped["required_action"]["submit_tool_outputs"]["tool_calls"]] == [
        "call_1",
        "call_2",
    ]
    path = f"/v3/chat/submit_tool_outputs?{names(stopped)}"
    one = {"tool_call_id": "call_1", "output": "x"}
    assert plain.post(path, tool_outputs=[one])[1]["code"] == 4000
    assert plain.post(path, tool_outputs=[one, {**one, "tool_call_id": "call_3"}])[1]["code"] == 4000
    assert server.running == 1
    outputs = [one, {**one, "tool_call_id": "call_2"}]
    _, text = plain.text("POST", path, {"tool_outputs": outputs, "stream": True})
    assert words(text) == "Hello."
    assert plain.post(path, tool_outputs=outputs)[1]["code"] == 4000
    kinds = [one["type"] for one in plain.get(f"/v3/chat/message/list?{names(stopped)}")[1]["data"]]
    assert kinds == ["function_call", "function_call", "tool_response", "tool_response", "answer", "verbose"]


def test_a_chat_that_waits_for_tools_says_so_when_it_is_looked_at(server: CozeServer, plain: Plain) -> None:
    server.poll_delay = 0
    server.replies.append(Reply(tool_calls=(ToolCall(name="a"),)))
    chat = plain.post("/v3/chat", **_CHAT)[1]["data"]
    found = plain.get(f"/v3/chat/retrieve?{names(chat)}")[1]["data"]
    assert found["status"] == "requires_action"
    assert found["required_action"]["type"] == "submit_tool_outputs"
    plain.post("/v3/chat/cancel", conversation_id=chat["conversation_id"], chat_id=chat["id"])
    assert server.status_of(chat["id"]) == "canceled"


def test_a_file_must_have_been_uploaded(plain: Plain) -> None:
    content = json.dumps([{"type": "image", "file_id": "1"}])
    message = {"role": "user", "content": content, "content_type": "object_string"}
    assert plain.post("/v3/chat", **{**_CHAT, "additional_messages": [message]})[1]["code"] == 4300


def test_a_query_may_stand_in_the_conversation_already(server: CozeServer, plain: Plain) -> None:
    made = plain.post("/v1/conversation/create", messages=_HI)[1]["data"]["id"]
    body = {"bot_id": BOT_ID, "user_id": "u", "stream": True}
    _, text = plain.text("POST", f"/v3/chat?conversation_id={made}", body)
    assert words(text) == "You said: hi"


def test_what_was_seen_can_be_told_apart(server: CozeServer, plain: Plain) -> None:
    for session in ("ann", "bob"):
        plain.text("POST", "/v3/chat", {**_CHAT, "stream": True}, plain.token(session))
    assert [(seen.session, seen.query, seen.stream) for seen in server.chats] == [
        ("ann", "hi", True),
        ("bob", "hi", True),
    ]
    assert server.exchanges_by_session == {"ann": 1, "bob": 1}
    assert server.count("/v3/chat") == 2
    assert json.loads(server.chats[0].body)["user_id"] == "u"

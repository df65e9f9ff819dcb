"""The conversations of Coze's stand-in: kept by session, paged, and refused as Coze refuses."""

from collections.abc import Iterator
from typing import Any

import pytest

from jotgate.testing.coze import CozeServer, coze_in_thread
from jotgate.testing.coze_told import BOT_ID
from tests.coze_clients import Plain

_HI: Any = [{"role": "user", "content": "hi", "content_type": "text"}]
_CHAT = {"bot_id": BOT_ID, "user_id": "u", "additional_messages": _HI, "stream": True}


@pytest.fixture
def server() -> Iterator[CozeServer]:
    with coze_in_thread() as running:
        yield running


@pytest.fixture
def plain(server: CozeServer) -> Plain:
    return Plain(server)


def test_a_chat_begins_a_conversation_of_its_session(server: CozeServer, plain: Plain) -> None:
    plain.text("POST", "/v3/chat", _CHAT, plain.token("ann"))
    assert server.conversations_of("ann") == (server.chats[0].conversation_id,)
    assert server.conversations_of("bob") == ()


def test_an_id_that_is_handed_on_breaks_the_isolation_and_is_seen(server: CozeServer, plain: Plain) -> None:
    """As at Coze: who takes care that no caller names another's conversation is not Coze."""
    plain.text("POST", "/v3/chat", _CHAT, plain.token("ann"))
    (mine,) = server.conversations_of("ann")
    assert server.sessions_of(mine) == {"ann"}
    status, _ = plain.text("POST", f"/v3/chat?conversation_id={mine}", _CHAT, plain.token("bob"))
    assert status == 200
    assert server.sessions_of(mine) == {"ann", "bob"}
    assert server.conversations_of("bob") == ()


def test_conversations_come_in_pages(plain: Plain) -> None:
    made = [plain.post("/v1/conversation/create", bot_id=BOT_ID)[1]["data"]["id"] for _ in range(3)]
    pages = [
        plain.get(f"/v1/conversations?bot_id={BOT_ID}&page_num={page}&page_size=2&sort_order=asc")[1]["data"]
        for page in (1, 2)
    ]
    assert [one["id"] for page in pages for one in page["conversations"]] == made
    assert [page["has_more"] for page in pages] == [True, False]
    newest = plain.get(f"/v1/conversations?bot_id={BOT_ID}")[1]["data"]["conversations"]
    assert [one["id"] for one in newest] == made[::-1]


def test_messages_come_in_pages_newest_first(plain: Plain) -> None:
    made = plain.post("/v1/conversation/create", bot_id=BOT_ID, messages=_HI * 5)[1]["data"]["id"]
    path = f"/v1/conversation/message/list?conversation_id={made}"
    first = plain.post(path, limit=2)[1]
    assert (len(first["data"]), first["has_more"]) == (2, True)
    second = plain.post(path, limit=5, after_id=first["last_id"])[1]
    assert (len(second["data"]), second["has_more"]) == (3, False)
    assert plain.post(path, limit=5, before_id=first["last_id"])[1]["data"] == first["data"][:1]
    ids = [int(one["id"]) for one in first["data"] + second["data"]]
    assert ids == sorted(ids, reverse=True)


def test_messages_of_one_chat_can_be_asked_for_and_verbose_ones_are_not_told(server: CozeServer, plain: Plain) -> None:
    made = plain.post("/v1/conversation/create", bot_id=BOT_ID, messages=_HI)[1]["data"]["id"]
    plain.text("POST", f"/v3/chat?conversation_id={made}", _CHAT)
    path = f"/v1/conversation/message/list?conversation_id={made}"
    found = plain.post(path, chat_id=server.chats[0].chat_id, order="asc")[1]["data"]
    assert [(one["type"], one["content"]) for one in found] == [("question", "hi"), ("answer", "You said: hi")]
    assert len(plain.post(path)[1]["data"]) == 3


@pytest.mark.parametrize(
    ("asked", "body", "code"),
    [
        ("POST /v1/conversation/create", {"messages": _HI * 17}, 4004),
        ("POST /v1/conversation/create", {"meta_data": {"": "v" * 513}}, 4003),
        ("GET /v1/conversation/retrieve", None, 4000),
        ("GET /v1/conversation/retrieve?conversation_id=1", None, 4002),
        ("GET /v1/conversations", None, 4000),
        ("GET /v1/conversations?bot_id=1&page_size=51", None, 4000),
        ("GET /v1/conversations?bot_id=1&page_num=x", None, 4000),
        ("PUT /v1/conversations/1", {"name": "x"}, 4002),
        ("DELETE /v1/conversations/1", None, 4002),
        ("POST /v1/conversations/1/clear", {}, 4002),
        ("POST /v1/conversation/message/create?conversation_id=1", _HI[0], 4002),
        ("POST /v1/conversation/message/create?conversation_id=1", {"role": "system", "content": "x"}, 4000),
        ("POST /v1/conversation/message/list?conversation_id=1", {}, 4002),
        ("GET /v1/conversation/message/retrieve?conversation_id=1&message_id=1", None, 4002),
    ],
)
def test_what_coze_would_refuse_is_refused(plain: Plain, asked: str, body: Any, code: int) -> None:
    method, target = asked.split()
    assert plain.ask(method, target, body)[1]["code"] == code


def test_a_limit_or_an_order_that_is_none_is_refused(plain: Plain) -> None:
    made = plain.post("/v1/conversation/create")[1]["data"]["id"]
    path = f"/v1/conversation/message/list?conversation_id={made}"
    for body in ({"limit": 0}, {"limit": 51}, {"order": "newest"}):
        assert plain.ask("POST", path, body)[1]["code"] == 4000
    assert plain.post(path, after_id="1")[1]["code"] == 4005
    missing = f"/v1/conversation/message/retrieve?conversation_id={made}&message_id=1"
    assert plain.get(missing)[1]["code"] == 4005

"""The requests by which Coze's stand-in is compared with the live service; what they make there they delete."""

import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

import httpx2
from msgspec import Struct

from jotgate.core.token_assertions import read_private_key
from jotgate.core.values import Secret
from jotgate.jose import jwt
from jotgate.jose.keys import SigningKey
from jotgate.testing.coze_shapes import Shape, events_of, shape_of_json, shape_of_stream
from jotgate.testing.coze_tokens import BASE, JWT_GRANT

_TOKEN_PATH: Final = f"{BASE}/token"
_TIMEOUT_S: Final = 120.0
_LOOKS_MAX: Final = 60
_LIFE_S: Final = 600


class Account(Struct, frozen=True, kw_only=True):
    """An account: a token, or the app that gets some. Workflows and the list of bots are left out without their IDs."""

    base_url: str
    bot_id: str
    token: Secret = Secret("")
    app_id: str = ""
    key_id: str = ""
    private_key: Secret = Secret("")
    audience: str = ""
    workflow_id: str = ""
    workspace_id: str = ""

    @property
    def host(self) -> str:
        """The audience of its JWTs."""
        return self.audience or urlsplit(self.base_url).netloc


class Talk:
    """Asks one service. What it answers is held for the next request alone; its shape is what is left."""

    def __init__(self, account: Account, client: httpx2.Client, pace_s: float) -> None:
        self.account = account
        self.token = account.token
        self.heard: object = None
        self._client = client
        self._pace_s = pace_s

    def ask(self, method: str, path: str, body: object = None, *, token: str | None = None, query: str = "") -> Shape:
        """One request, with the account's token or this one."""
        bearer = self.token.reveal() if token is None else token
        answer = self._client.request(
            method,
            f"{self.account.base_url}{path}{'?' if query else ''}{query}",
            json=body,
            headers={"Authorization": f"Bearer {bearer}"} if bearer else {},
        )
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if kind == "text/event-stream":
            events = list(events_of(answer.text))
            self.heard = events[0].data if events else None
            return shape_of_stream(answer.status_code, kind, events)
        try:
            self.heard = answer.json()
        except ValueError:
            self.heard = None
        return shape_of_json(answer.status_code, kind, self.heard)

    def found(self, *path: str) -> str:
        """The text at this place of the last answer; empty when there is none."""
        value = self.heard
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value if isinstance(value, str) else ""

    def wait(self) -> None:
        """Let so much time pass as Coze wants between two looks."""
        threading.Event().wait(self._pace_s)


Probes = Iterator[tuple[str, Shape]]


def probes(account: Account, client: httpx2.Client, *, pace_s: float) -> Probes:
    """The name and the shape of each answer, in one order. `pace_s` is the time between two looks.

    Raises:
        httpx2.HTTPError: the service cannot be reached.
        KeyRefused: the account's private key is none.
    """
    talk = Talk(account, client, pace_s)
    if account.app_id:
        yield from _tokens(talk)
    yield from _refusals(talk)
    yield from _chats(talk)
    yield from _conversations(talk)
    if account.workflow_id:
        yield from _workflows(talk)
    if account.workspace_id:
        yield "bots", talk.ask("GET", "/v1/bots", query=f"workspace_id={account.workspace_id}")


def client() -> httpx2.Client:
    """A client that waits as long as a chat takes."""
    return httpx2.Client(timeout=_TIMEOUT_S)


def _tokens(talk: Talk) -> Probes:
    account = talk.account
    key = read_private_key(account.private_key, "RS256", account.key_id)
    stranger = read_private_key(account.private_key, "RS256", "none")
    body = {"grant_type": JWT_GRANT, "duration_seconds": 900}

    def exchange(token: str, **changed: object) -> Shape:
        return talk.ask("POST", _TOKEN_PATH, {**body, **changed}, token=token)

    good = _assertion(account, key)
    yield "a token for a JWT", exchange(good)
    talk.token = Secret(talk.found("access_token"))
    yield "the same JWT again", exchange(good)
    yield "a JWT for another audience", exchange(_assertion(account, key, aud="api.example.com"))
    yield "a JWT that has expired", exchange(_assertion(account, key, iat=1_700_000_000, exp=1_700_000_600))
    yield "a JWT of another app", exchange(_assertion(account, key, iss="1"))
    yield (
        "a JWT by an unknown key",
        exchange(_assertion(account, stranger)),
    )
    yield "no JWT", exchange("")
    yield "a duration of two days", exchange(_assertion(account, key), duration_seconds=172_800)
    yield "an unknown grant", exchange(_assertion(account, key), grant_type="password")
    yield "an unknown refresh token", exchange("", grant_type="refresh_token", client_id=account.app_id)


def _assertion(account: Account, key: SigningKey, **changed: object) -> str:
    now_s = int(time.time())
    claims: dict[str, object] = {
        "iss": account.app_id,
        "aud": account.host,
        "iat": now_s,
        "exp": now_s + _LIFE_S,
        "jti": secrets.token_urlsafe(32),
        "session_name": "live-coze",
    }
    return jwt.sign({**claims, **changed}, "JWT", key).decode("ascii")


def _refusals(talk: Talk) -> Probes:
    chat = _chat(talk)
    none = "conversation_id=1&chat_id=1"
    yield "who a token is of", talk.ask("GET", "/v1/users/me")
    yield "an unknown path", talk.ask("GET", "/v3/nothing")
    yield "a chat with a wrong token", talk.ask("POST", "/v3/chat", chat, token="pat_wrong")
    yield "a stream with a wrong token", talk.ask("POST", "/v3/chat", {**chat, "stream": True}, token="pat_wrong")
    yield "a look with a wrong token", talk.ask("GET", "/v3/chat/retrieve", token="pat_wrong", query=none)
    yield (
        "a cancel with a wrong token",
        talk.ask("POST", "/v3/chat/cancel", {"conversation_id": "1", "chat_id": "1"}, token="pat_wrong"),
    )
    yield "a chat without a bot", talk.ask("POST", "/v3/chat", {**chat, "bot_id": ""})
    yield "a chat with an unknown bot", talk.ask("POST", "/v3/chat", {**chat, "bot_id": "1"})
    yield "a chat that is not kept and not streamed", talk.ask("POST", "/v3/chat", {**chat, "auto_save_history": False})
    yield "a chat in an unknown conversation", talk.ask("POST", "/v3/chat", chat, query="conversation_id=1")
    yield "a look at an unknown chat", talk.ask("GET", "/v3/chat/retrieve", query=none)


def _chats(talk: Talk) -> Probes:
    chat = _chat(talk)
    yield "a streamed chat", talk.ask("POST", "/v3/chat", {**chat, "stream": True})
    conversations = {talk.found("conversation_id")}
    yield "a chat", talk.ask("POST", "/v3/chat", chat)
    conversation_id, chat_id = talk.found("data", "conversation_id"), talk.found("data", "id")
    conversations.add(conversation_id)
    query = f"conversation_id={conversation_id}&chat_id={chat_id}"
    yield "a second chat meanwhile", talk.ask("POST", "/v3/chat", chat, query=f"conversation_id={conversation_id}")
    yield "a look by POST", talk.ask("POST", "/v3/chat/retrieve", query=query)
    yield "a look at a chat that is over", _until_over(talk, query)
    yield "the messages of a chat", talk.ask("GET", "/v3/chat/message/list", query=query)
    over = {"conversation_id": conversation_id, "chat_id": chat_id}
    yield "a cancel of a chat that is over", talk.ask("POST", "/v3/chat/cancel", over)
    yield (
        "outputs for a chat that wants none",
        talk.ask(
            "POST", "/v3/chat/submit_tool_outputs", {"tool_outputs": [{"tool_call_id": "1", "output": ""}]}, query=query
        ),
    )
    talk.ask("POST", "/v3/chat", chat)
    running = {"conversation_id": talk.found("data", "conversation_id"), "chat_id": talk.found("data", "id")}
    conversations.add(running["conversation_id"])
    yield "a cancel", talk.ask("POST", "/v3/chat/cancel", running)
    for name in conversations - {""}:
        talk.ask("DELETE", f"/v1/conversations/{name}")


def _until_over(talk: Talk, query: str) -> Shape:
    shape = talk.ask("GET", "/v3/chat/retrieve", query=query)
    for _ in range(_LOOKS_MAX):
        if talk.found("data", "status") not in ("created", "in_progress"):
            break
        talk.wait()
        shape = talk.ask("GET", "/v3/chat/retrieve", query=query)
    return shape


def _conversations(talk: Talk) -> Probes:
    bot_id = talk.account.bot_id
    yield "a conversation is made", talk.ask("POST", "/v1/conversation/create", {"bot_id": bot_id})
    name = talk.found("data", "id")
    query = f"conversation_id={name}"
    message = {"role": "user", "content": "Hello.", "content_type": "text"}
    yield "a message is put in", talk.ask("POST", "/v1/conversation/message/create", message, query=query)
    message_query = f"{query}&message_id={talk.found('data', 'id')}"
    yield "a message", talk.ask("GET", "/v1/conversation/message/retrieve", query=message_query)
    yield "messages", talk.ask("POST", "/v1/conversation/message/list", {"limit": 1}, query=query)
    yield "a message is deleted", talk.ask("POST", "/v1/conversation/message/delete", {}, query=message_query)
    yield "a conversation", talk.ask("GET", "/v1/conversation/retrieve", query=query)
    yield "conversations", talk.ask("GET", "/v1/conversations", query=f"bot_id={bot_id}&page_num=1&page_size=1")
    yield "a conversation is cleared", talk.ask("POST", f"/v1/conversations/{name}/clear", {})
    yield "a conversation is deleted", talk.ask("DELETE", f"/v1/conversations/{name}")
    yield "an unknown conversation", talk.ask("GET", "/v1/conversation/retrieve", query="conversation_id=1")


def _workflows(talk: Talk) -> Probes:
    run = {"workflow_id": talk.account.workflow_id, "parameters": {"input": "Hello."}}
    yield "a streamed workflow", talk.ask("POST", "/v1/workflow/stream_run", run)
    yield "a workflow", talk.ask("POST", "/v1/workflow/run", run)
    yield "a workflow in the background", talk.ask("POST", "/v1/workflow/run", {**run, "is_async": True})
    execute_id = talk.found("execute_id") or "1"
    path = f"/v1/workflows/{talk.account.workflow_id}/run_histories/{execute_id}"
    yield "a look at a workflow", talk.ask("GET", path)
    yield "an unknown workflow", talk.ask("POST", "/v1/workflow/run", {**run, "workflow_id": "1"})
    yield (
        "an answer to no question",
        talk.ask(
            "POST",
            "/v1/workflow/stream_resume",
            {"workflow_id": talk.account.workflow_id, "event_id": "1/1", "resume_data": "", "interrupt_type": 2},
        ),
    )


def _chat(talk: Talk) -> Mapping[str, object]:
    message = {"role": "user", "type": "question", "content": "Say hello.", "content_type": "text"}
    return {"bot_id": talk.account.bot_id, "user_id": "live-coze", "additional_messages": [message]}

"""Coze on loopback: tokens for real JWTs, chats, conversations and workflows, well or as badly as it is told.

It verifies what is signed and refuses what Coze refuses, with Coze's codes and statuses. `coze_told` says what it can
be told and what it keeps of what it saw, `coze_values` has the values of both.
"""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Final

from jotgate.testing.coze_app import CozeApp, OAuthRefused
from jotgate.testing.coze_chats import ChatDesk
from jotgate.testing.coze_conversations import ConversationDesk, Handler
from jotgate.testing.coze_resources import ResourceDesk
from jotgate.testing.coze_tokens import BASE, TokenDesk
from jotgate.testing.coze_told import CozeTold
from jotgate.testing.coze_values import Fault
from jotgate.testing.coze_wire import Ask, Refused, page, path_of, read, refusal, spoiled
from jotgate.testing.coze_workflows import WorkflowDesk
from jotgate.testing.threads import in_thread
from jotgate.testing.upstream import Answer, Gate, Received, Step, UpstreamServer

_POINTS: Final[Mapping[str, str]] = {
    "/v3/chat": "chat",
    "/v3/chat/cancel": "chat",
    "/v3/chat/submit_tool_outputs": "chat",
    "/v3/chat/retrieve": "getChat",
    "/v3/chat/message/list": "listMessage",
    "/v1/conversation/create": "createConversation",
    "/v1/conversations/{}": "editConversation",
    "/v1/conversations/{}/clear": "editConversation",
    "/v1/conversation/message/create": "createMessage",
    "/v1/conversation/message/list": "listMessage",
    "/v1/conversation/message/retrieve": "retrieveMessage",
    "/v1/workflow/run": "run",
    "/v1/workflow/stream_run": "run",
    "/v1/workflow/stream_resume": "run",
    "/v1/workflows/chat": "run",
    "/v1/workflows/{}/run_histories/{}": "listRunHistory",
    "/v1/bots": "listBot",
    "/v1/space/published_bots_list": "listBot",
}
"""What a token must be allowed to do at each path; where a path is not here, nothing is asked."""


class CozeServer(CozeTold, UpstreamServer):
    """The stand-in; use it with `async with`, or in a thread with `coze_in_thread`. Its app has a key pair at first."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        UpstreamServer.__init__(self, tls=tls, host=host)
        CozeTold.__init__(self)
        self.port = port
        self._app = CozeApp(self, lambda: self.origin.partition("://")[2])
        self._app.add_key()
        self._tokens = TokenDesk(self, self._app)
        self._conversations = ConversationDesk(self)
        self._chats = ChatDesk(self, self._conversations)
        self._routes: dict[tuple[str, str], Handler] = {
            **self._conversations.routes,
            **self._chats.routes,
            **WorkflowDesk(self).routes,
            **ResourceDesk(self).routes,
        }

    @property
    def url(self) -> str:
        """Its base URL, as `https://api.coze.com` is Coze's."""
        return self.origin

    # Its keys, its tokens, its users

    @property
    def key_id(self) -> str:
        """The `kid` of the newest key pair."""
        return self._app.key_id

    @property
    def private_key_pem(self) -> str:
        """The private key of the newest pair: PKCS #8 in PEM, with line ends."""
        return self._app.private_key_pem

    def add_key(self) -> tuple[str, str]:
        """Register another key pair: its key ID and private PEM. Raises ValueError when there are three already."""
        return self._app.add_key()

    def drop_key(self, key_id: str) -> None:
        """Delete a key pair; JWTs by it are refused from now on. Raises KeyError for an unknown one."""
        self._app.drop_key(key_id)

    @property
    def valid_tokens(self) -> tuple[str, ...]:
        """The OAuth access tokens that are good now, oldest first: what no log may hold."""
        return self._tokens.valid

    def expire_tokens(self, session: str | None = None) -> None:
        """Refuse all access tokens given so far, or those of this session, as if their time were over."""
        self._tokens.expire(session)

    def approve(self, user_code: str) -> None:
        """The user agrees to a device code; the next poll gets tokens. Raises KeyError for an unknown code."""
        self._tokens.settle(user_code, "approved")

    def deny(self, user_code: str) -> None:
        """The user says no: `access_denied`. Raises KeyError for an unknown code."""
        self._tokens.settle(user_code, "denied")

    # What it has seen

    @property
    def running(self) -> int:
        """How many chats are in progress or wait for tool outputs; one whose reader has gone runs until a cancel."""
        return self._chats.running

    def count(self, path: str) -> int:
        """How often this path was asked for, whatever its query was."""
        return sum(1 for request in tuple(self.requests) if path_of(request) == path)

    def status_of(self, chat_id: str) -> str:
        """A chat's status in Coze's words. Raises KeyError for an unknown one."""
        return self._chats.status_of(chat_id)

    def conversations_of(self, session: str) -> tuple[str, ...]:
        """The IDs of the conversations that this session began, oldest first ("" is the account itself)."""
        return self._conversations.of(session)

    def sessions_of(self, conversation_id: str) -> frozenset[str]:
        """The sessions that used this conversation; more than one is a broken isolation. Raises KeyError."""
        return self._conversations.used_by(conversation_id)

    # What it answers

    def asked(self, request: Received) -> Answer:
        super().asked(request)
        fault = self.ill(path_of(request))
        ask = read(request, fault)
        try:
            answer = self._answer(ask)
        except Refused as refused:
            return refusal(refused, ask, fault.lines if fault is not None else ())
        return spoiled(answer, fault) if isinstance(answer, list) and fault is not None else answer

    def _answer(self, ask: Ask) -> Answer:
        if ask.fault is not None and ask.fault.ill == "page":
            return page(ask.fault)
        if ask.path.startswith(f"{BASE}/"):
            return self._oauth(ask)
        if ask.fault is not None and ask.fault.ill == "refused":
            raise Refused(ask.fault.code, ask.fault.message, ask.fault.status)
        handler = self._routes.get((ask.method, ask.base_path))
        if handler is None:
            raise Refused(4000, "Request parameter error: unknown path", 404)
        holder = self._tokens.holder(ask)
        if _POINTS.get(ask.base_path) in self.lacking:
            raise Refused(4101)
        return handler(ask, holder)

    def _oauth(self, ask: Ask) -> Answer:
        if ask.fault is not None and ask.fault.ill == "refused":
            return self._tokens.refused(_oauth_refused(ask.fault), ask)
        answer = self._tokens.answer(ask)
        if self.token_gate is not None and ask.path.endswith("/token"):
            return list(_held_back(self.token_gate, answer))
        return answer


def _held_back(gate: Gate, answer: Answer) -> Iterator[Step]:
    yield gate
    yield from answer


def _oauth_refused(fault: Fault) -> OAuthRefused:
    return OAuthRefused(fault.error, fault.message or fault.error, 500 if fault.status is None else fault.status)


def coze_in_thread(
    *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
) -> AbstractContextManager[CozeServer]:
    """The same stand-in with a loop and a thread of its own, for tests that have no loop."""
    return in_thread(CozeServer(tls=tls, host=host, port=port))

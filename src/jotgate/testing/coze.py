"""Coze on loopback: tokens for real JWTs, chats, conversations and workflows, well or as badly as it is told.

It verifies what is signed and refuses what Coze refuses, with Coze's codes and statuses. What it was asked is in its
counters and records; `testing.coze_values` has what it can be told.
"""

import ssl
import time
from collections import deque
from contextlib import AbstractContextManager
from typing import Final

from jotgate.testing.coze_values import Bot, ChatSeen, Exchange, Fault, Reply, RunSeen, Workflow
from jotgate.testing.threads import in_thread
from jotgate.testing.upstream import Answer, Received, UpstreamServer, unary

APP_ID: Final = "1105000000000001"
"""The OAuth app: the `iss` of its JWTs, and the client ID of its device and PKCE grants."""
APP_SECRET: Final = "standin-app-secret"
"""The client secret of the app's plain code grant."""
BOT_ID: Final = "7300000000000000001"
"""A published bot."""
WORKFLOW_ID: Final = "7400000000000000001"
"""A published workflow that asks nothing."""
PAT: Final = "pat_standin"
"""A personal access token that is good from the start."""


class CozeServer(UpstreamServer):
    """The stand-in; use it with `async with`, or in a thread with `coze_in_thread`. Everything may be set at any time.

    What it has: `bots` and `workflows` by ID (one of each at first), `replies` for the next chats (then it answers
    "You said: " and the query), `pats`, `audiences` that a JWT may name (its own host and port, which SDKs derive of
    the URL, and `api.coze.com`).

    How it behaves: `faults` are the next bad answers, in order for each path. `poll_delay`: so many looks at a chat say
    `in_progress`. `spaces`: whether SSE has a space after the colon; None is as Coze does, in workflows only.
    `chunk_bytes`: streams come in pieces of so many bytes, whatever they cut; 0 is one event a piece. `pace_s`: the
    time before each piece of a text. `life_s`: tokens live so long whatever was asked; None is as asked.
    `relative_expiry`: `expires_in` counts from now, which Coze does not do. `refuse_post_retrieve`: 4100 to
    `POST /v3/chat/retrieve` with an OAuth token.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(tls=tls, host=host)
        self.port = port
        self.bots = {BOT_ID: Bot(bot_id=BOT_ID)}
        self.workflows = {WORKFLOW_ID: Workflow(workflow_id=WORKFLOW_ID)}
        self.replies: deque[Reply] = deque()
        self.pats = {PAT}
        self.audiences = {"api.coze.com"}
        self.faults: list[Fault] = []
        self.poll_delay = 1
        self.spaces: bool | None = None
        self.chunk_bytes = 0
        self.pace_s = 0.0
        self.life_s: int | None = None
        self.relative_expiry = False
        self.refuse_post_retrieve = True
        self.exchanges: list[Exchange] = []
        self.chats: list[ChatSeen] = []
        self.runs: list[RunSeen] = []
        self.cancels: list[tuple[str, str]] = []
        self._skew_s = 0.0

    @property
    def url(self) -> str:
        """Its base URL, as `https://api.coze.com` is Coze's."""
        return self.origin

    # Its keys and its app

    @property
    def key_id(self) -> str:
        """The `kid` of the newest key pair."""
        raise NotImplementedError

    @property
    def private_key_pem(self) -> str:
        """The private key of the newest pair: PKCS #8 in PEM, with line ends."""
        raise NotImplementedError

    def add_key(self) -> tuple[str, str]:
        """Register another key pair: its key ID and private PEM. Raises ValueError when there are three already."""
        raise NotImplementedError

    def drop_key(self, key_id: str) -> None:
        """Delete a key pair; JWTs by it are refused from now on."""
        raise NotImplementedError

    # Its clock

    def now_s(self) -> float:
        """The time here, seconds since 1970: the system's, and what `advance` has added."""
        return time.time() + self._skew_s

    def advance(self, span_s: float) -> None:
        """Let time pass here: tokens, codes and chats grow older."""
        self._skew_s += span_s

    def expire_tokens(self, session: str | None = None) -> None:
        """Refuse all access tokens given so far, or those of this session, as if their time were over."""
        raise NotImplementedError

    # Users, who agree in a browser

    def approve(self, user_code: str) -> None:
        """The user agrees to a device code; the next poll gets tokens. Raises KeyError for an unknown code."""
        raise NotImplementedError

    def deny(self, user_code: str) -> None:
        """The user says no: `access_denied`. Raises KeyError for an unknown code."""
        raise NotImplementedError

    # What it has seen

    @property
    def exchanges_by_session(self) -> dict[str, int]:
        """How many tokens were given for JWTs, by `session_name` ("" for none)."""
        raise NotImplementedError

    @property
    def running(self) -> int:
        """How many chats are created, in progress or waiting for tool outputs."""
        raise NotImplementedError

    def count(self, path: str) -> int:
        """How often this path was asked for, whatever its query was."""
        return sum(1 for request in self.requests if request.target.partition("?")[0] == path)

    def status_of(self, chat_id: str) -> str:
        """A chat's status in Coze's words. Raises KeyError for an unknown one."""
        raise NotImplementedError

    def conversations_of(self, session: str) -> tuple[str, ...]:
        """The IDs of the conversations of this session, oldest first ("" is that of the account itself)."""
        raise NotImplementedError

    def asked(self, request: Received) -> Answer:
        super().asked(request)
        return unary(b'{"code":4000,"msg":"Request parameter error, unknown path"}', 404)


def coze_in_thread(
    *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
) -> AbstractContextManager[CozeServer]:
    """The same stand-in with a loop and a thread of its own, for tests that have no loop."""
    return in_thread(CozeServer(tls=tls, host=host, port=port))

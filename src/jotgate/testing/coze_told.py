"""What Coze's stand-in has been told and what it has seen: the part of it that tests touch."""

import itertools
import time
from collections import deque
from typing import Final

from msgspec.structs import replace

from jotgate.testing.coze_values import Bot, ChatSeen, Exchange, Fault, Reply, RunSeen, Workflow
from jotgate.testing.upstream import Gate

APP_ID: Final = "1105000000000001"
"""The OAuth app: the `iss` of its JWTs, and the client ID of its device and code grants."""
APP_SECRET: Final = "standin-app-secret"
"""The client secret of the app, for a code without PKCE."""
ACCOUNT_ID: Final = "2105000000000001"
"""The account whose path gives tokens too."""
ENTERPRISE_ID: Final = "2205000000000001"
"""The enterprise whose path gives tokens too."""
WORKSPACE_ID: Final = "2305000000000001"
"""The workspace of its bots."""
BOT_ID: Final = "7300000000000000001"
"""A published bot."""
WORKFLOW_ID: Final = "7400000000000000001"
"""A published workflow that asks nothing."""
PAT: Final = "pat_standin"
"""A personal access token that is good from the start."""
REDIRECT_URI: Final = "http://127.0.0.1:8400/callback"
"""The redirect URI that the app has from the start."""

_FIRST_ID: Final = 7_500_000_000_000_000_001


class CozeTold:
    """What the stand-in has, how it behaves and what it saw. Everything may be set at any time, from any thread.

    What it has: `bots` and `workflows` by ID (one of each at first), `replies` for the next chats (then it answers
    "You said: " and the query), `pats`, `audiences` that a JWT may name (`api.coze.com`, and its own host and port,
    which SDKs derive of the URL), `redirect_uris` of the app, which Coze compares letter by letter.

    How it behaves: `faults` are the next bad answers, the first that fits. `poll_delay`: so many looks at a chat say
    `in_progress`. `spaces`: whether SSE has a space after the colon; None is as Coze does, in workflows only.
    `chunk_bytes`: streams come in chunks of so many bytes, whatever they cut; 0 is one event a chunk. `pace_s`: the
    time before each piece of a text. `token_gate`: tokens are given when it is open. `life_s`: tokens live so long
    whatever was asked; None is as asked. `relative_expiry`: `expires_in` counts from now, which Coze does not do.
    `refuse_post_retrieve`: 4100 to `POST /v3/chat/retrieve` with an OAuth token. `async_in_plan`: asynchronous runs
    are not refused by 6003. `deactivated`: the app's owner has switched it off. `users_agree`: who is sent to
    `/authorize` agrees. `device_interval_s`: how far apart polls of a device code are. `lacking`: the permission points
    (`chat`, `getChat`, `listMessage`, `run` and so on) that no token has, which is 4101.

    What it saw: `exchanges`, `chats`, `runs` in order, `cancels` as (conversation, chat), `resumed` events, `outputs`
    as (chat, tool call, output), `looks` at each chat, `uploads` by file ID.
    """

    def __init__(self) -> None:
        self.bots = {BOT_ID: Bot(bot_id=BOT_ID)}
        self.workflows = {WORKFLOW_ID: Workflow(workflow_id=WORKFLOW_ID)}
        self.replies: deque[Reply] = deque()
        self.pats = {PAT}
        self.audiences = {"api.coze.com"}
        self.redirect_uris = {REDIRECT_URI}
        self.faults: list[Fault] = []
        self.poll_delay = 1
        self.spaces: bool | None = None
        self.chunk_bytes = 0
        self.pace_s = 0.0
        self.token_gate: Gate | None = None
        self.life_s: int | None = None
        self.relative_expiry = False
        self.refuse_post_retrieve = True
        self.async_in_plan = True
        self.deactivated = False
        self.users_agree = True
        self.device_interval_s = 5
        self.lacking: set[str] = set()
        self.exchanges: list[Exchange] = []
        self.chats: list[ChatSeen] = []
        self.runs: list[RunSeen] = []
        self.cancels: list[tuple[str, str]] = []
        self.resumed: list[str] = []
        self.outputs: list[tuple[str, str, str]] = []
        self.looks: dict[str, int] = {}
        self.uploads: dict[str, bytes] = {}
        self._skew_s = 0.0
        self._ids = itertools.count(_FIRST_ID)

    def now_s(self) -> float:
        """The time here, seconds since 1970: the system's, and what `advance` has added."""
        return time.time() + self._skew_s

    def advance(self, span_s: float) -> None:
        """Let time pass here: tokens, codes and chats grow older."""
        self._skew_s += span_s

    @property
    def exchanges_by_session(self) -> dict[str, int]:
        """How many tokens were given for JWTs, by `session_name` ("" for none)."""
        counts: dict[str, int] = {}
        for exchange in tuple(self.exchanges):
            if exchange.grant == "jwt" and not exchange.error:
                counts[exchange.session] = counts.get(exchange.session, 0) + 1
        return counts

    def new_id(self) -> str:
        """An ID that was not given yet, as Coze writes them."""
        return str(next(self._ids))

    def spaced(self, *, workflow: bool) -> bool:
        """Whether an event has a space after the colon."""
        return workflow if self.spaces is None else self.spaces

    def ill(self, path: str) -> Fault | None:
        """The next fault at this path, which is spent by this."""
        for place, fault in enumerate(self.faults):
            if fault.path == path or (not fault.path and path.startswith(("/v1/", "/v3/"))):
                left = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                self.faults[place : place + 1] = left
                return fault
        return None

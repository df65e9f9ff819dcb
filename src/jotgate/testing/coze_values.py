"""What tests tell Coze's stand-in to do, and what it has seen: replies, scripts of workflows, faults, records."""

from typing import Final, Literal

from msgspec import Struct

from jotgate.testing.upstream import Gate

Kind = Literal["pat", "jwt", "user"]
"""What a token is: a personal access token, one for an app's JWT, or one that a user gave (device, PKCE, code)."""


class ToolCall(Struct, frozen=True, kw_only=True):
    """A tool that the caller is to run: `arguments` is JSON in text. Without `call_id` the stand-in makes one."""

    name: str
    arguments: str = "{}"
    call_id: str = ""
    kind: Literal["function", "reply_message"] = "function"


class Reply(Struct, frozen=True, kw_only=True):
    """What a bot answers to one chat: its text in the pieces of the stream, and what comes with it.

    With `tool_calls` the chat stops at `requires_action`, and the text comes after the outputs were handed in. With
    `failure` (code, message) it fails after its pieces. `gate` is waited at before the piece number `gate_at`.
    `usage`: tokens in and out. `reasoning` comes before the text, `audio` (base64 of PCM) behind it; `follow_ups` are
    further questions to offer.
    """

    pieces: tuple[str, ...] = ("Hel", "lo.")
    reasoning: tuple[str, ...] = ()
    audio: tuple[str, ...] = ()
    follow_ups: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    failure: tuple[int, str] | None = None
    usage: tuple[int, int] = (11, 7)
    gate: Gate | None = None
    gate_at: int = 0

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)


class Bot(Struct, frozen=True, kw_only=True):
    """A bot. Unpublished, chats with it are refused by 4015."""

    bot_id: str
    name: str = "Stand-in"
    published: bool = True


class Interrupt(Struct, frozen=True, kw_only=True):
    """A workflow asks before it goes on. `kind`: 1 plugin, 2 question, 5 input, 7 OAuth.

    `question` is a message that comes before the event, as for questions at Coze; empty: none. `data` is what the event
    carries.
    """

    kind: int = 2
    question: str = "What is your name?"
    data: str = ""
    node_title: str = "Question"


class Workflow(Struct, frozen=True, kw_only=True):
    """A workflow: what it says on its way, then what it asks, then its output.

    `output` is JSON in text; None: an object whose member `output` is what it was told at its last interrupt, or the
    JSON of its parameters when it asked nothing. `failure` (code, message) comes instead of it. `pings`: so many events
    that say nothing come first. Asynchronous, it is "Running" for `delay` looks, and one that asks fails. `gate` is
    waited at before the output. Unpublished, it is refused by 4200.
    """

    workflow_id: str
    messages: tuple[str, ...] = ("Wor", "king.")
    interrupts: tuple[Interrupt, ...] = ()
    output: str | None = None
    failure: tuple[int, str] | None = None
    usage: tuple[int, int] = (13, 5)
    delay: int = 1
    pings: int = 0
    published: bool = True
    gate: Gate | None = None


Ill = Literal["refused", "page", "silence", "drop", "reset", "malformed", "end", "error_event"]


class Fault(Struct, frozen=True, kw_only=True):
    """What goes wrong at the next `times` requests of `path` (without a query; "" is any path below `/v1` and `/v3`).

    At once: `refused` is answered by `code` with `status` (None: the one that Coze has for it there), `message` (empty:
    the stand-in's) and further header `lines`; at the paths of OAuth by `error` as `error_code`. `page` is the HTML
    page of a load balancer with `status` (None: 502).

    In a stream after `after` pieces of text, and in any other answer instead of it: `drop` closes the connection in the
    middle of an event, `reset` resets it there, `malformed` breaks the JSON of the next piece and goes on, `silence`
    sends no more and keeps the connection. Of streams alone: `end` ends in order without the last events, `error_event`
    sends the event `error` (for workflows `Error`) with code and message and ends. What is streamed goes on unheard
    after `drop`, `reset` and `end`, as at Coze.
    """

    ill: Ill = "refused"
    path: str = "/v3/chat"
    code: int = 5000
    status: int | None = None
    message: str = ""
    error: str = "internal_error"
    lines: tuple[bytes, ...] = ()
    after: int = 1
    times: int = 1


OCCUPIED: Final = Fault(code=4016)
"""The conversation has a chat that runs."""
TOKEN_REFUSED_ON_200: Final = Fault(code=4101)
"""What `POST /v3/chat` says of a token that it does not know: with the status 200."""
TOKEN_REFUSED_ON_401: Final = Fault(path="", code=700012006)
"""What the other paths say of it."""
TOO_MANY: Final = Fault(path="", code=4020, lines=(b"Retry-After: 1",))
"""Too many requests in this minute."""


class Exchange(Struct, frozen=True, kw_only=True):
    """One request of a token, granted or refused. `error` is the `error_code` of the refusal, empty when there is none.

    `session` is the JWT's `session_name`, `duration_s` what was asked for, `target` the path, `context` the JSON of
    `session_context`, `scope` that of the scope asked for.
    """

    grant: str
    session: str
    key_id: str
    error: str
    target: str
    duration_s: int = 0
    scope: str = ""
    context: str = ""


class ChatSeen(Struct, frozen=True, kw_only=True):
    """One chat: who asked what of whom. `session` is that of the token ("" for none), `query` the last message.

    `content_type` is that of the query; `user_id` and the rest are as they were sent, `workflow_id` of
    `/v1/workflows/chat`, else empty. `body` is the request's body.
    """

    chat_id: str
    conversation_id: str
    bot_id: str
    user_id: str
    session: str
    stream: bool
    query: str
    content_type: str
    body: bytes
    workflow_id: str = ""


class RunSeen(Struct, frozen=True, kw_only=True):
    """One run of a workflow, or one resumption (with `event_id` and what it was told): `parameters` is JSON in text."""

    workflow_id: str
    execute_id: str
    session: str
    way: Literal["sync", "stream", "async", "resume"]
    parameters: str = "{}"
    event_id: str = ""
    told: str = ""
    body: bytes = b""

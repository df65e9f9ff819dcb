"""Events of OpenAI's Realtime API as far as they must be understood: what a client may say, and what a server has used.

A client's event is decoded to raw members, checked and written anew, as the body of a call is (core.calls): what was
allowed is what is sent. The table of its types is closed.
"""

from collections.abc import Callable, Iterator, Set
from typing import Final

import msgspec
from msgspec import Raw, Struct

from jotgate.core.calls import BODY_DEPTH_MAX, opens_beyond, require_shallow, require_unique
from jotgate.errors import JotgateError, RequestMalformed

REFRESH: Final = "auth.refresh"
"""The event by which a client hands in the token that it goes on with; no upstream hears of it."""
CREATE: Final = "response.create"
_CLIENT_EVENTS: Final = frozenset(
    {
        "session.update",
        "transcription_session.update",
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "input_audio_buffer.clear",
        "conversation.item.create",
        "conversation.item.retrieve",
        "conversation.item.truncate",
        "conversation.item.delete",
        CREATE,
        "response.cancel",
        "output_audio_buffer.clear",
        REFRESH,
    }
)
_NAMES_MODELS: Final = frozenset({"session.update", "transcription_session.update", CREATE})
_PROMPT: Final = "prompt"
_CANCEL: Final = b'{"type":"response.cancel"}'
_DURATION: Final = "duration"
_TRANSCRIPTION: Final = "transcription"
_NULL: Final = Raw(b"null")

_decode_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.Encoder().encode


class ClientEvent(Struct, frozen=True):
    """One event of a client, as it may be sent on. `event_id` is the client's name for it, or empty."""

    type: str
    event_id: str
    message: bytes
    members: dict[str, Raw]


class _Usage(Struct, frozen=True):
    type: str = ""
    input_tokens: int = 0
    output_tokens: int = 0


class _Response(Struct, frozen=True):
    id: str = ""
    usage: _Usage | None = None
    output: Raw = Raw(b"")


class ServerEvent(Struct, frozen=True):
    """What of a server's event decides something, of this API or of that of responses."""

    type: str = ""
    response: _Response | None = None
    delta: Raw = Raw(b"")
    item_id: str = ""
    transcript: Raw = Raw(b"")
    usage: _Usage | None = None
    session: Raw = Raw(b"{}")

    @property
    def response_id(self) -> str:
        """The response that it is about; empty: none."""
        return "" if self.response is None else self.response.id

    @property
    def output_bytes(self) -> int:
        """How long what it has of a response's output is."""
        return 0 if self.response is None else len(bytes(self.response.output))

    @property
    def used(self) -> tuple[int, int] | None:
        """Tokens of input and output; None: it does not say."""
        return None if self.response is None else _tokens(self.response.usage)

    @property
    def tokens(self) -> tuple[int, int] | None:
        """Tokens of input and output of what is no response; None: it does not say, or tells seconds."""
        return _tokens(self.usage)


class _Input(Struct, frozen=True):
    transcription: Raw = _NULL


class _Audio(Struct, frozen=True):
    input: _Input | None = None


class _Session(Struct, frozen=True):
    type: str = ""
    audio: _Audio | None = None
    input_audio_transcription: Raw = _NULL


class _Kind(Struct, frozen=True):
    type: str = ""


_read_server: Final = msgspec.json.Decoder(ServerEvent).decode
_read_kind: Final = msgspec.json.Decoder(_Kind).decode
_read_session: Final = msgspec.json.Decoder(_Session).decode


def read_client(message: bytes) -> ClientEvent:
    """Read an event of a client. Raises as `read_event`."""
    return read_event(message, _CLIENT_EVENTS)


def read_event(message: bytes, types: Set[str]) -> ClientEvent:
    """Read an event of a client, of one of these types.

    Raises:
        RequestMalformed: it is not a JSON object of one of the types that are known, or names a member twice.
    """
    try:
        members = _decode_members(message)
        kind = _decode_text(members.get("type", Raw(b"")))
        event_id = _decode_text(members["event_id"]) if "event_id" in members else ""
    except (msgspec.DecodeError, RecursionError):
        raise RequestMalformed("the event is not a JSON object with a 'type'") from None
    compact = _encode(members)
    if len(compact) != len(message):
        require_unique(message, members)
    if opens_beyond(BODY_DEPTH_MAX, message):
        require_shallow(message)
    if kind not in types:
        raise RequestMalformed("the event is of a type that this gateway does not pass on", param="type")
    return ClientEvent(kind, event_id, compact, members)


def for_upstream(event: ClientEvent, name_of: Callable[[str], str], output_max: int | None) -> bytes:
    """The event as the upstream is sent it.

    `name_of` is the upstream's own name of a model that the caller may use there; it raises for any other.
    `output_max` bounds the response that it asks for, in tokens; None: nothing does.

    Raises:
        RequestMalformed: what it says of a session or a response is not what that must be.
        JotgateError: as `name_of`.
    """
    if event.type not in _NAMES_MODELS:
        return event.message
    member = "response" if event.type == CREATE else "session"
    content: object = msgspec.json.decode(event.members[member]) if member in event.members else {}
    if not isinstance(content, dict):
        raise RequestMalformed(f"'{member}' is not an object", param=member)
    if _PROMPT in content:
        # A template that is kept upstream belongs to nobody here.
        raise RequestMalformed("a prompt that the upstream keeps cannot be used through this gateway", param=_PROMPT)
    for owner in (one for one in objects_in(content) if "model" in one):
        name = owner["model"]
        if not isinstance(name, str):
            raise RequestMalformed("'model' is not a string", param="model")
        owner["model"] = name_of(name)
    if event.type == CREATE and output_max is not None:
        wanted = content.get("max_output_tokens")
        content["max_output_tokens"] = min(wanted, output_max) if type(wanted) is int and wanted > 0 else output_max
    return _encode({**event.members, member: content})


def output_wanted(event: ClientEvent) -> int | None:
    """How many tokens the response that it asks for may have; None: it does not say."""
    try:
        content = msgspec.json.decode(event.members.get("response", b"{}"))
    except msgspec.DecodeError:
        return None
    wanted = content.get("max_output_tokens") if isinstance(content, dict) else None
    return wanted if type(wanted) is int and wanted > 0 else None


def token_of(event: ClientEvent) -> bytes:
    """The token of an `auth.refresh`. Raises RequestMalformed."""
    try:
        return _decode_text(event.members["token"]).encode()
    except (KeyError, msgspec.DecodeError, UnicodeEncodeError):
        raise RequestMalformed("the event has no 'token'", param="token") from None


def read_server(message: bytes) -> ServerEvent:
    """What of a server's event decides something; of what is no event nothing does, of one that is odd its type."""
    try:
        return _read_server(message)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return ServerEvent(_read_kind(message).type)
    except (msgspec.DecodeError, RecursionError):
        return ServerEvent()


def transcribes(event: ServerEvent) -> bool:
    """Whether in the session that a server tells of what somebody says is written down; what is odd may be."""
    try:
        session = _read_session(event.session)
    except (msgspec.DecodeError, RecursionError):
        return True
    heard = None if session.audio is None else session.audio.input
    wanted = (session.input_audio_transcription, _NULL if heard is None else heard.transcription)
    return session.type == _TRANSCRIPTION or any(bytes(one) != bytes(_NULL) for one in wanted)


def write_error(error: JotgateError, event_id: str = "") -> bytes:
    """A refusal as the Realtime API tells one; `event_id` is the client's event that it is about."""
    param = error.param if isinstance(error, RequestMalformed) and error.param else None
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    text = f"{error.message}. {error.hint}." if error.hint else f"{error.message}."
    told = {"type": kind, "code": error.code, "message": text, "param": param, "event_id": event_id or None}
    return _encode({"type": "error", "event_id": f"event_jot_{error.code}", "error": told})


def write_expiring(expires_at_s: float, left_s: float) -> bytes:
    """That the token ends soon: a client hands in the next one by `auth.refresh`, or is cut."""
    return _encode({"type": "auth.expiring", "expires_at": int(expires_at_s), "expires_in": max(0, int(left_s))})


def write_refreshed(expires_at_s: float) -> bytes:
    """That the connection goes on with the token that was handed in."""
    return _encode({"type": "auth.refreshed", "expires_at": int(expires_at_s)})


def write_cancel() -> bytes:
    """What ends a response that is under way."""
    return _CANCEL


def _tokens(usage: _Usage | None) -> tuple[int, int] | None:
    if usage is None or usage.type == _DURATION:
        return None
    return max(0, usage.input_tokens), max(0, usage.output_tokens)


def objects_in(content: object) -> Iterator[dict[str, object]]:
    """Each object in it."""
    waiting = [content]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)

"""A chat completion as it is read that Coze is to answer: its messages, and what decides how the answer is told."""

from typing import Final

import msgspec
from msgspec import Raw, Struct

_CHAT: Final = "chat.completions"
_ROLES: Final = ("system", "developer", "user", "assistant", "tool", "function")


class _Options(Struct, frozen=True):
    include_usage: bool | None = None


class ToolFunction(Struct, frozen=True):
    """The function of a tool call."""

    name: str = ""
    arguments: str = ""


class ToolCall(Struct, frozen=True):
    """One tool call of an assistant's message."""

    id: str
    function: ToolFunction = ToolFunction()


class Message(Struct, frozen=True):
    """One message. `content` is a text, a list of parts, or null, as it came."""

    role: str
    content: Raw = Raw(b"null")
    tool_calls: tuple[ToolCall, ...] | None = None
    tool_call_id: str = ""


class _Asked(Struct, frozen=True):
    """The members that are read; the gateway has checked `model` and `stream`."""

    model: str
    messages: tuple[Message, ...]
    stream: bool | None = None
    stream_options: _Options | None = None


_decode_asked: Final = msgspec.json.Decoder(_Asked).decode
_decode_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode


class ChatAsk(Struct, frozen=True):
    """What is asked: `model` as the upstream knows it, `members` are those of the whole body."""

    model: str
    messages: tuple[Message, ...]
    stream: bool
    tells_usage: bool
    members: dict[str, Raw]


class AskRefused(ValueError):
    """A call that Coze cannot take: why, for its caller; `param` is the member at fault."""

    def __init__(self, message: str, param: str = "") -> None:
        super().__init__(message)
        self.param = param


def read_ask(operation: str, body: bytes) -> ChatAsk:
    """What a body asks. Raises AskRefused."""
    if operation != _CHAT:
        raise AskRefused("Coze answers chat completions alone")
    try:
        members = _decode_members(body)
        asked = _decode_asked(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise AskRefused(f"this body is none of a chat completion: {fault}") from None
    if not asked.messages:
        raise AskRefused("'messages' is empty", "messages")
    for number, message in enumerate(asked.messages):
        if message.role not in _ROLES:
            raise AskRefused(f"'messages[{number}].role' is none of {', '.join(_ROLES)}", f"messages[{number}].role")
    options = asked.stream_options
    return ChatAsk(
        model=asked.model,
        messages=asked.messages,
        stream=bool(asked.stream),
        tells_usage=options is not None and bool(options.include_usage),
        members=members,
    )

"""A chat completion as it is read that Coze is to answer: its messages, and what decides how the answer is told."""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from jotgate.core.coze_parameters import Parameters, read_parameters
from jotgate.errors import RequestMalformed

_CHAT: Final = "chat.completions"
_ROLES: Final = ("system", "developer", "user", "assistant", "tool", "function")


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


_decode_asked: Final = msgspec.json.Decoder(_Asked).decode
_decode_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode


class ChatAsk(Struct, frozen=True):
    """What is asked: `model` as the upstream knows it, and `parameters` is what the caller wants beside an answer."""

    model: str
    messages: tuple[Message, ...]
    stream: bool
    parameters: Parameters


def read_ask(operation: str, body: bytes) -> ChatAsk:
    """What a body asks.

    Raises:
        RequestMalformed: it is none of a chat completion, or asks for what Coze cannot do (`read_parameters`).
    """
    if operation != _CHAT:
        raise RequestMalformed("Coze answers chat completions alone", hint="POST /v1/chat/completions")
    try:
        members = _decode_members(body)
        asked = _decode_asked(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise RequestMalformed(f"this body is none of a chat completion: {fault}", param="messages") from None
    if not asked.messages:
        raise RequestMalformed("'messages' is empty", param="messages")
    for number, message in enumerate(asked.messages):
        if message.role not in _ROLES:
            role = f"messages[{number}].role"
            raise RequestMalformed(f"'{role}' is none of {', '.join(_ROLES)}", param=role)
    return ChatAsk(asked.model, asked.messages, bool(asked.stream), read_parameters(members))

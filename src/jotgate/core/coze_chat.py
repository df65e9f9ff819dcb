"""Chats of Coze (v3): what they are asked, and what they answer, in values.

Roles at Coze are `user` and `assistant` alone. A system or developer message goes as one of the user, in its place: as
the assistant's it would read as something that the bot has said. Tool calls of the past and their outputs go as
Coze's own `function_call` and `tool_response`.
"""

from collections.abc import Sequence
from typing import Final, Literal
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from jotgate.core.coze_asks import ChatAsk, Message
from jotgate.core.coze_contents import Content, read_content, read_text
from jotgate.core.coze_replies import Tokens, ToolAsked
from jotgate.errors import RequestMalformed

CHAT: Final = "/v3/chat"
MESSAGES_MAX: Final = 100
"""So many messages a chat takes at most."""

Role = Literal["user", "assistant"]
Kind = Literal["question", "answer", "function_call", "tool_response"]

_encode: Final = msgspec.json.Encoder().encode


# What is asked


class CozeMessage(Struct, frozen=True):
    """One of `additional_messages`."""

    role: Role
    type: Kind
    content: str
    content_type: str = "text"


class _Chat(Struct, frozen=True, omit_defaults=True):
    bot_id: str
    user_id: str
    additional_messages: Sequence[CozeMessage]
    stream: bool
    auto_save_history: bool
    meta_data: dict[str, str] = {}
    custom_variables: dict[str, str] = {}
    parameters: dict[str, msgspec.Raw] = {}


def chat_target(conversation_id: str = "") -> str:
    """Where a chat is begun; in a conversation that is there, or a new one."""
    return f"{CHAT}?{urlencode({'conversation_id': conversation_id})}" if conversation_id else CHAT


def named_target(path: str, conversation_id: str, chat_id: str) -> str:
    """A path below `/v3/chat` for one chat."""
    return f"{CHAT}/{path}?{urlencode({'conversation_id': conversation_id, 'chat_id': chat_id})}"


def write_chat(bot_id: str, user_id: str, messages: Sequence[CozeMessage], ask: ChatAsk) -> bytes:
    """The body that begins a chat. It streams always, and its history is kept: only then can it be asked for again."""
    extension = ask.parameters.extension
    return _encode(
        _Chat(
            bot_id=bot_id,
            user_id=user_id,
            additional_messages=messages,
            stream=True,
            auto_save_history=True,
            meta_data=ask.parameters.metadata,
            custom_variables=extension.custom_variables,
            parameters=extension.parameters,
        )
    )


def write_cancel(conversation_id: str, chat_id: str) -> bytes:
    """The body that stops a chat."""
    return _encode({"conversation_id": conversation_id, "chat_id": chat_id})


def write_outputs(outputs: Sequence[tuple[str, str]]) -> bytes:
    """The body that tells a chat what its tools have put out, by the ids of their calls."""
    told = [{"tool_call_id": call_id, "output": output} for call_id, output in outputs]
    return _encode({"tool_outputs": told, "stream": True})


def read_messages(messages: Sequence[Message]) -> list[CozeMessage]:
    """All messages as Coze takes them. Raises RequestMalformed."""
    found: list[CozeMessage] = []
    for number, message in enumerate(messages):
        found += _read_message(message, f"messages[{number}].content")
    if not found:
        raise RequestMalformed("the messages say nothing", param="messages")
    if len(found) > MESSAGES_MAX:
        raise RequestMalformed(
            f"Coze takes {MESSAGES_MAX} messages at most, and these are {len(found)}",
            param="messages",
            hint="Send fewer, or let Coze keep the conversation",
        )
    return found


def read_last(messages: Sequence[Message], *, instructions: bool) -> list[CozeMessage]:
    """What a conversation that Coze keeps does not have yet: the user's last message.

    With `instructions`, as it begins, also what is said to the system. Raises RequestMalformed.
    """
    found: list[CozeMessage] = []
    last = max((number for number, one in enumerate(messages) if one.role == "user"), default=None)
    if last is None:
        raise RequestMalformed("there is no message of the user", param="messages")
    for number, message in enumerate(messages):
        if number == last or (instructions and message.role in ("system", "developer")):
            found += _read_message(message, f"messages[{number}].content")
    if not found:
        raise RequestMalformed("the user's last message says nothing", param="messages")
    return found


def _read_message(message: Message, where: str) -> list[CozeMessage]:
    if message.role in ("tool", "function"):
        return [CozeMessage("assistant", "tool_response", read_text(message.content, where))]
    content = read_content(message.content, where)
    if message.role != "assistant":
        return [] if content == Content("") else [_message("user", "question", content)]
    calls = [
        CozeMessage("assistant", "function_call", _write_call(one.function.name, one.function.arguments))
        for one in message.tool_calls or ()
    ]
    return ([] if content == Content("") else [_message("assistant", "answer", content)]) + calls


def _message(role: Role, kind: Kind, content: Content) -> CozeMessage:
    return CozeMessage(role, kind, content.content, content.content_type)


def _write_call(name: str, arguments: str) -> str:
    return _encode({"name": name, "arguments": arguments}).decode()


# What is answered


class LastError(Struct, frozen=True):
    """Why a chat has failed."""

    code: int = 0
    msg: str | None = None


class _Usage(Struct, frozen=True):
    input_count: int = 0
    output_count: int = 0


class _Function(Struct, frozen=True):
    name: str = ""
    arguments: str = "{}"


class _Call(Struct, frozen=True):
    id: str
    function: _Function = _Function()


class _Submit(Struct, frozen=True):
    tool_calls: tuple[_Call, ...] = ()


class _Required(Struct, frozen=True):
    submit_tool_outputs: _Submit | None = None


class Chat(Struct, frozen=True):
    """A chat as Coze tells it, while it runs and at its end."""

    id: str
    conversation_id: str
    status: str = ""
    last_error: LastError | None = None
    usage: _Usage | None = None
    required_action: _Required | None = None

    @property
    def tokens(self) -> Tokens | None:
        """What it has used; None where Coze does not say."""
        return None if self.usage is None else Tokens(max(0, self.usage.input_count), max(0, self.usage.output_count))

    @property
    def calls(self) -> tuple[ToolAsked, ...]:
        """The tools that it waits for, by Coze's ids of the calls."""
        required = self.required_action
        if required is None or required.submit_tool_outputs is None:
            return ()
        found = required.submit_tool_outputs.tool_calls
        return tuple(ToolAsked(one.id, one.function.name, one.function.arguments) for one in found)


class Said(Struct, frozen=True):
    """A message of a chat, or a piece of one."""

    id: str = ""
    type: str | None = None
    content: str | None = None
    reasoning_content: str | None = None


decode_chat: Final = msgspec.json.Decoder(Chat).decode
decode_said: Final = msgspec.json.Decoder(Said).decode
decode_all_said: Final = msgspec.json.Decoder(tuple[Said, ...]).decode
decode_error: Final = msgspec.json.Decoder(LastError).decode
"""Of an event `error`."""


class ConversationMade(Struct, frozen=True):
    """The answer to the making of a conversation."""

    id: str


decode_conversation: Final = msgspec.json.Decoder(ConversationMade).decode

"""What a caller may say of how a chain answers: members and messages that OpenAI's API knows, as that has them.

They are looked at before the first step is asked, since what the last one's upstream refuses has been paid for by then.
What that API does not know is passed on unread: the upstream that answers may know it.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Raw, Struct

_Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
_Penalty = Annotated[float, Meta(ge=-2, le=2)]


class _Part(Struct, frozen=True):
    type: str
    text: str = ""


class _Message(Struct, frozen=True):
    role: _Role
    content: str | list[_Part] | None = None
    tool_call_id: str | None = None


class _Function(Struct, frozen=True):
    name: Annotated[str, Meta(min_length=1)]


class _Tool(Struct, frozen=True):
    type: str
    function: _Function | None = None


class _Kind(Struct, frozen=True):
    type: str


class _StreamOptions(Struct, frozen=True):
    include_usage: bool | None = None


_decode_tools: Final = msgspec.json.Decoder(list[_Tool] | None).decode
_decode_messages: Final = msgspec.json.Decoder(list[Raw]).decode
_decode_message: Final = msgspec.json.Decoder(_Message).decode
_decode_choice: Final = msgspec.json.Decoder(str | _Kind | None).decode


def _read_tools(raw: Raw) -> None:
    for tool in _decode_tools(raw) or ():
        if tool.type == "function" and tool.function is None:
            raise msgspec.ValidationError


_Read = Callable[[Raw], object]
_MEMBERS: Final[Mapping[str, tuple[_Read, str]]] = {
    "temperature": (msgspec.json.Decoder(Annotated[float, Meta(ge=0, le=2)] | None).decode, "a number from 0 to 2"),
    "top_p": (msgspec.json.Decoder(Annotated[float, Meta(ge=0, le=1)] | None).decode, "a number from 0 to 1"),
    "presence_penalty": (msgspec.json.Decoder(_Penalty | None).decode, "a number from -2 to 2"),
    "frequency_penalty": (msgspec.json.Decoder(_Penalty | None).decode, "a number from -2 to 2"),
    "max_tokens": (msgspec.json.Decoder(Annotated[int, Meta(ge=1)] | None).decode, "a whole number from 1"),
    "max_completion_tokens": (msgspec.json.Decoder(Annotated[int, Meta(ge=1)] | None).decode, "a whole number from 1"),
    "n": (msgspec.json.Decoder(Literal[1] | None).decode, "1: a chain gives one answer"),
    "seed": (msgspec.json.Decoder(int | None).decode, "a whole number"),
    "stop": (msgspec.json.Decoder(str | list[str] | None).decode, "a text or an array of texts"),
    "user": (msgspec.json.Decoder(str | None).decode, "a text"),
    "logprobs": (msgspec.json.Decoder(bool | None).decode, "true or false"),
    "top_logprobs": (
        msgspec.json.Decoder(Annotated[int, Meta(ge=0, le=20)] | None).decode,
        "a whole number from 0 to 20",
    ),
    "logit_bias": (
        msgspec.json.Decoder(dict[str, Annotated[float, Meta(ge=-100, le=100)]] | None).decode,
        "an object with a number from -100 to 100 for each token",
    ),
    "tools": (_read_tools, "an array of tools with a 'type', of which each function has a 'function' with a 'name'"),
    "tool_choice": (_decode_choice, "a text, or an object with a 'type'"),
    "parallel_tool_calls": (msgspec.json.Decoder(bool | None).decode, "true or false"),
    "response_format": (msgspec.json.Decoder(_Kind | None).decode, "an object with a 'type'"),
    "stream_options": (
        msgspec.json.Decoder(_StreamOptions | None).decode,
        "an object whose 'include_usage' is true or false",
    ),
}
_NO_MESSAGE: Final = (
    "is no message with a 'content' and a 'role', which is system, developer, user, assistant, tool or function"
)


class AskFault(Struct, frozen=True):
    """What is wrong with a body: which member, with dots and brackets where it lies deeper; why, for its caller."""

    param: str
    why: str


def fault_of(members: Mapping[str, Raw]) -> AskFault | None:
    """The first fault of a body; None: what is known of it is as it must be."""
    found = _of_messages(members.get("messages"))
    if found is not None:
        return found
    for name, raw in members.items():
        known = _MEMBERS.get(name)
        if known is not None and not _is_read(known[0], raw):
            return AskFault(name, f"'{name}' is not {known[1]}")
    return None


def _is_read(read: _Read, raw: Raw) -> bool:
    try:
        read(raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _of_messages(raw: Raw | None) -> AskFault | None:
    try:
        messages = [] if raw is None else _decode_messages(raw)
    except (msgspec.DecodeError, RecursionError):
        messages = []
    if not messages:
        return AskFault("messages", "'messages' is not a list of messages, or it is empty")
    return next((fault for index, one in enumerate(messages) if (fault := _of_message(index, one)) is not None), None)


def _of_message(index: int, raw: Raw) -> AskFault | None:
    place = f"messages[{index}]"
    try:
        message = _decode_message(raw)
    except (msgspec.DecodeError, RecursionError):
        return AskFault(place, f"'{place}' {_NO_MESSAGE}")
    if message.content is None and message.role not in ("assistant", "function"):
        return AskFault(f"{place}.content", f"'{place}' has no 'content'")
    if message.role == "tool" and message.tool_call_id is None:
        return AskFault(f"{place}.tool_call_id", f"'{place}' does not say which call of a tool it answers")
    return None

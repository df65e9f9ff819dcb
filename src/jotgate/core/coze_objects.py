"""What jotgate keeps of callers' chats at Coze: which conversation is whose, and which chats wait for a tool's output.

Both are below the caller and below the label of the session: Coze keeps sessions apart by the token, and a conversation
of one is not one of another.
"""

from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.coze_sessions import DEFAULT_LABEL
from jotgate.core.owned_objects import ListObjects, ObjectKey, owner_of
from jotgate.core.principals import Principal

CONVERSATION: Final = "coze.conversation"
WAITING_CHAT: Final = "coze.waiting-chat"
INTERRUPT: Final = "coze.interrupt"
"""What a workflow asks its caller (`core.coze_workflows.OpenInterrupt`)."""
CONVERSATION_LIFE_S: Final = 30 * 86_400
"""So long after its last use a conversation is known; Coze keeps messages for 180 days."""
WAITING_LIFE_S: Final = 3_600
"""So long a chat is known that waits for what tools put out."""
DEFAULT_CONVERSATION: Final = "default"
"""The name of the conversation of a call that names none."""

_LABEL_DIGITS: Final = 16
_encode: Final = msgspec.json.Encoder().encode


class KeptConversation(Struct, frozen=True):
    """A caller's conversation: Coze's id of it, and how many messages went to and fro."""

    conversation_id: str
    label: str = DEFAULT_LABEL
    messages: int = 0

    def written(self) -> bytes:
        """As it is kept."""
        return _encode(self)


class WaitingChat(Struct, frozen=True):
    """A chat that waits: with which bot, and for the outputs of which calls, by Coze's ids."""

    conversation_id: str
    chat_id: str
    bot_id: str
    calls: tuple[str, ...]

    def written(self) -> bytes:
        """As it is kept."""
        return _encode(self)


_decode_conversation: Final = msgspec.json.Decoder(KeptConversation).decode
_decode_waiting: Final = msgspec.json.Decoder(WaitingChat).decode


def read_conversation(data: bytes) -> KeptConversation | None:
    """What was kept; None for what nobody can read any more."""
    try:
        return _decode_conversation(data)
    except msgspec.DecodeError:
        return None


def read_waiting(data: bytes) -> WaitingChat | None:
    """What was kept; None for what nobody can read any more."""
    try:
        return _decode_waiting(data)
    except msgspec.DecodeError:
        return None


def place_of(upstream: str, label: str) -> str:
    """Where the objects of a session are: at an upstream, below a label."""
    digest = sha256((label or DEFAULT_LABEL).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{upstream}/{digest[:_LABEL_DIGITS]}"


def conversation_key(principal: Principal, upstream: str, label: str, name: str) -> ObjectKey:
    """What a caller's conversation is found by; without a name, that of a call that names none."""
    place = place_of(upstream, label)
    return ObjectKey(CONVERSATION, place, owner_of(principal), name or DEFAULT_CONVERSATION)


def conversations_of(principal: Principal, upstream: str, label: str) -> ListObjects:
    """Asks for a caller's conversations in a session."""
    return ListObjects(CONVERSATION, place_of(upstream, label), owner_of(principal))


def waiting_key(principal: Principal, upstream: str, label: str, chat_id: str) -> ObjectKey:
    """What a caller's chat is found by that waits for what tools put out."""
    return ObjectKey(WAITING_CHAT, place_of(upstream, label), owner_of(principal), chat_id)

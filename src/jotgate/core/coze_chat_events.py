"""Follows the events of one chat of Coze: what it says, what it wants, and how it ends.

What a bot does by itself (`function_call`, `tool_response`, `verbose`, knowledge) and sound are not told.
"""

from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.coze_chat import Chat, Said, decode_chat, decode_error, decode_said
from jotgate.core.coze_codes import CozeFault, fault_of
from jotgate.core.coze_events import CozeEvent

FOLLOW_UPS_MAX: Final = 16
MESSAGES_MAX: Final = 1_024
"""A chat has no more messages than this that are told."""

_CHAT: Final = "conversation.chat."
_ENDINGS: Final = frozenset({"completed", "failed", "requires_action", "canceled"})
_DELTA: Final = "conversation.message.delta"
_MESSAGE: Final = "conversation.message.completed"
_ERROR: Final = "error"
_ANSWER: Final = "answer"
_FOLLOW_UP: Final = "follow_up"
_FAILED: Final = 5000


class Told(Struct, frozen=True):
    """What is to be told the caller now."""

    text: str = ""
    reasoning: str = ""


_NOTHING: Final = Told()


class ChatReader:
    """Mutable: which chat it is, and what was heard of it.

    `end` is how it ended, its `status` says which way; `fault` what Coze said is wrong instead. `unreadable`: an event
    was none of a chat, and text may be lost. `follow_ups` are questions that Coze offers to ask next.
    """

    __slots__ = ("_spoken", "chat_id", "conversation_id", "end", "fault", "follow_ups", "unreadable")

    def __init__(self, conversation_id: str = "", chat_id: str = "") -> None:
        self.conversation_id = conversation_id
        self.chat_id = chat_id
        self.end: Chat | None = None
        self.fault: CozeFault | None = None
        self.follow_ups: list[str] = []
        self.unreadable = False
        self._spoken: set[str] = set()

    @property
    def over(self) -> bool:
        """Whether nothing of the chat runs any more, or it waits for its caller."""
        return self.end is not None or self.fault is not None

    def take(self, event: CozeEvent) -> Told:
        """Take the next event."""
        if self.over or self.unreadable:
            return _NOTHING
        try:
            return self._take(event)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.unreadable = True
            return _NOTHING

    def take_all(self, messages: tuple[Said, ...]) -> Told:
        """Take all messages of a chat that was asked for."""
        told = [self._take_message(one) for one in messages]
        return Told("".join(one.text for one in told), "".join(one.reasoning for one in told))

    def take_end(self, chat: Chat) -> None:
        """Take how the chat has ended."""
        if chat.status == "failed":
            error = chat.last_error
            self.fault = fault_of(error.code, error.msg) if error is not None else fault_of(_FAILED, "")
        else:
            self.end = chat

    def _take(self, event: CozeEvent) -> Told:
        name = event.name
        if name == _DELTA:
            said = decode_said(event.data)
            if said.type != _ANSWER:
                return _NOTHING
            self._note(said.id)
            return Told(said.content or "", said.reasoning_content or "")
        if name == _MESSAGE:
            return self._take_message(decode_said(event.data))
        if name.startswith(_CHAT):
            chat = decode_chat(event.data)
            self.chat_id, self.conversation_id = chat.id, chat.conversation_id
            status = name.removeprefix(_CHAT)
            if status in _ENDINGS:
                self.take_end(msgspec.structs.replace(chat, status=status))
        elif name == _ERROR:
            error = decode_error(event.data)
            self.fault = fault_of(error.code or _FAILED, error.msg)
        return _NOTHING

    def _take_message(self, said: Said) -> Told:
        """A whole message: its text is told if no piece of it was."""
        if said.type == _FOLLOW_UP and said.content and len(self.follow_ups) < FOLLOW_UPS_MAX:
            self.follow_ups.append(said.content)
        if said.type != _ANSWER or said.id in self._spoken:
            return _NOTHING
        self._note(said.id)
        return Told(said.content or "", said.reasoning_content or "")

    def _note(self, message_id: str) -> None:
        self._spoken.add(message_id)
        if len(self._spoken) > MESSAGES_MAX:
            self.unreadable = True

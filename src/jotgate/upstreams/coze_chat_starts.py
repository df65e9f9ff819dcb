"""How chats with a bot begin: with all messages anew, within a conversation that Coze keeps, or with tools' outputs."""

import re
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from jotgate.core.coze_asks import ChatAsk
from jotgate.core.coze_chat import (
    chat_target,
    decode_conversation,
    named_target,
    read_last,
    read_messages,
    write_chat,
    write_outputs,
)
from jotgate.core.coze_chat_events import ChatReader
from jotgate.core.coze_codes import CozeFault
from jotgate.core.coze_contents import read_text
from jotgate.core.coze_events import CozeEvent
from jotgate.core.coze_objects import (
    CONVERSATION_LIFE_S,
    KeptConversation,
    conversation_key,
    read_conversation,
    read_waiting,
    waiting_key,
)
from jotgate.core.coze_sessions import DEFAULT_LABEL, user_name
from jotgate.core.owned_objects import DropObject, FindObject, ObjectAnswer, OwnedObject, PutObject
from jotgate.errors import RequestMalformed, UpstreamError, UpstreamTorn
from jotgate.upstreams.coze_chat import UNKNOWN_STORE, ChatMode
from jotgate.upstreams.coze_modes import CozeAnswer, CozeOrder, Mode, Room

_CREATE: Final = "/v1/conversation/create"
_GONE: Final = frozenset({4002, 4200})
_CALL_ID: Final = re.compile(r"call_([0-9]{1,32})_([0-9]{1,3})", re.ASCII)


def make_chat(room: Room) -> Mode:
    """The mode of a call that asks a bot. Raises RequestMalformed."""
    if room.ask.messages[-1].role == "tool":
        return ResumedChat(room)
    return ConversationChat(room) if room.aim.mode == "conversation" else NewChat(room)


class NewChat(ChatMode):
    """A chat by itself, with all messages of the call."""

    def __init__(self, room: Room) -> None:
        """Raises RequestMalformed."""
        super().__init__(room)
        self._messages = read_messages(room.ask.messages)

    def start(self) -> None:
        """Begin."""
        room = self._room
        self.ask(chat_target(), write_chat(room.aim.bot_id, user_name(room.principal), self._messages, room.ask))


class ConversationChat(ChatMode):
    """A chat within a conversation of the caller, which is made where there is none yet. Mutable: that, too."""

    def __init__(self, room: Room) -> None:
        """Raises RequestMalformed."""
        super().__init__(room)
        aim = room.aim
        self._first = read_last(room.ask.messages, instructions=True)
        self._next = read_last(room.ask.messages, instructions=False)
        self._key = conversation_key(room.principal, room.upstream.name, aim.label, aim.conversation_id)
        self._kept_as: OwnedObject | None = None
        self._conversation = KeptConversation("", aim.label or DEFAULT_LABEL)
        self._anew = False

    def start(self) -> None:
        """Look for the conversation."""
        self._room.keep(FindObject(self._key, CONVERSATION_LIFE_S), self._found)

    def refused(self, fault: CozeFault) -> None:
        """Coze refuses the chat; a conversation that it has no longer is made anew, once."""
        kept = self._kept_as
        if fault.number not in _GONE or kept is None or self._anew:
            super().refused(fault)
            return
        self._anew = True
        self._asked = False
        self._room.keep(DropObject(self._key, kept.version), self._forgotten)

    def over(self) -> None:
        """Count what was said; nobody waits for that."""
        kept = self._kept_as
        if kept is not None:
            counted = msgspec.structs.replace(self._conversation, messages=self._conversation.messages + 2)
            self._room.note(PutObject(self._key, counted.written(), CONVERSATION_LIFE_S, kept.version))

    def _found(self, answer: ObjectAnswer | None) -> None:
        if answer is None:
            self._room.refuse(UNKNOWN_STORE)
        elif not answer.objects:
            self._make()
        elif not self._use(answer):  # Nobody can read any more what is kept.
            self._room.keep(DropObject(self._key), self._forgotten)

    def _forgotten(self, answer: ObjectAnswer | None) -> None:
        if answer is None:
            self._room.refuse(UNKNOWN_STORE)
        else:
            self._kept_as = None
            self._make()

    def _make(self) -> None:
        body = msgspec.json.encode({"bot_id": self._room.aim.bot_id})
        self._room.order(CozeOrder(b"POST", _CREATE, body), _Making(self._room, self._made))

    def _made(self, conversation_id: str) -> None:
        self._conversation = KeptConversation(conversation_id, self._conversation.label)
        put = PutObject(self._key, self._conversation.written(), CONVERSATION_LIFE_S)
        self._room.keep(put, self._made_and_kept)

    def _made_and_kept(self, answer: ObjectAnswer | None) -> None:
        if answer is not None and answer.done:
            self._kept_as = answer.objects[0]
            self._chat(begins=True)
        elif answer is None or not self._use(answer):
            self._room.refuse(UNKNOWN_STORE)

    def _use(self, answer: ObjectAnswer) -> bool:
        """Go on in the conversation that is there, if one is: also where another call of the caller made it first."""
        kept = answer.objects[0] if answer.objects else None
        conversation = None if kept is None else read_conversation(kept.data)
        if conversation is None:
            return False
        self._kept_as, self._conversation = kept, conversation
        self._chat(begins=False)
        return True

    def _chat(self, *, begins: bool) -> None:
        room = self._room
        messages = self._first if begins else self._next
        body = write_chat(room.aim.bot_id, user_name(room.principal), messages, room.ask)
        self.ask(chat_target(self._conversation.conversation_id), body)


class _Making:
    """Takes the name of a conversation that is made (coze_modes.Hearing)."""

    def __init__(self, room: Room, then: Callable[[str], None]) -> None:
        self._room = room
        self._then = then

    def answered(self, answer: CozeAnswer) -> None:
        """It is made."""
        try:
            made = decode_conversation(answer.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.ended()
        else:
            self._then(made.id)

    def heard(self, events: Sequence[CozeEvent]) -> None:
        """It is answered with a stream, although none was asked for."""

    def ended(self) -> None:
        """The answer is none."""
        self._room.fail(UpstreamTorn("Coze made a conversation that it does not name"))

    def refused(self, fault: CozeFault) -> None:
        """Coze makes none."""
        self._room.refuse(fault)

    def lost(self, error: UpstreamError) -> None:
        """Nobody knows whether there is one; it is empty if there is."""
        self._room.fail(error)


class ResumedChat(ChatMode):
    """A chat that waits for what tools have put out, and is told. Mutable: what of it is kept."""

    def __init__(self, room: Room) -> None:
        """Raises RequestMalformed."""
        super().__init__(room)
        self._chat_id, self._outputs = _read_outputs(room.ask)
        self._where = f"messages[{len(room.ask.messages) - 1}].tool_call_id"
        self._key = waiting_key(room.principal, room.upstream.name, room.aim.label, self._chat_id or "-")

    def start(self) -> None:
        """Look for the chat among those of the caller."""
        if self._chat_id:
            self._room.keep(FindObject(self._key), self._found)
        else:
            self._decline("no chat waits for the output of a tool call of this id")

    def over(self) -> None:
        """It waits no longer."""
        self._room.note(DropObject(self._key))

    def _found(self, answer: ObjectAnswer | None) -> None:
        room = self._room
        if answer is None:
            room.refuse(UNKNOWN_STORE)
            return
        kept = answer.objects[0] if answer.objects else None
        waiting = None if kept is None else read_waiting(kept.data)
        if kept is None or waiting is None or waiting.bot_id != room.aim.bot_id:
            self._decline("no chat waits for the output of a tool call of this id")
            return
        if set(self._outputs) != set(range(len(waiting.calls))):
            self._decline(f"the chat waits for the outputs of {len(waiting.calls)} tool calls, of each once")
            return
        self._waiting_version = kept.version
        self._reader = ChatReader(waiting.conversation_id, waiting.chat_id)
        told = [(call_id, self._outputs[number]) for number, call_id in enumerate(waiting.calls)]
        target = named_target("submit_tool_outputs", waiting.conversation_id, waiting.chat_id)
        self.ask(target, write_outputs(told))

    def _decline(self, message: str) -> None:
        hint = "Send one tool message for each tool call of the last answer, or begin the chat anew"
        self._room.decline(RequestMalformed(message, param=self._where, hint=hint))


def _read_outputs(ask: ChatAsk) -> tuple[str, dict[int, str]]:
    """Which chat the last messages are for, and the outputs by the number of the call; no chat: none is meant by them.

    Raises:
        RequestMalformed: one has no text, or stands twice.
    """
    chats: set[str] = set()
    outputs: dict[int, str] = {}
    first = len(ask.messages)
    while first and ask.messages[first - 1].role == "tool":
        first -= 1
    for number in range(first, len(ask.messages)):
        message = ask.messages[number]
        found = _CALL_ID.fullmatch(message.tool_call_id)
        if found is None:
            return "", {}
        chats.add(found[1])
        index = int(found[2])
        if index in outputs:
            where = f"messages[{number}].tool_call_id"
            raise RequestMalformed(f"'{where}' is answered twice", param=where)
        outputs[index] = read_text(message.content, f"messages[{number}].content")
    return (chats.pop(), outputs) if len(chats) == 1 else ("", {})

"""A chat with a bot of Coze, for one call, from its first event to its end.

It streams from Coze also where the caller wants a whole answer. Where that stream breaks off and nothing was told yet,
the chat is asked for until it has ended (at most once a second), so that its answer is not lost.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from jotgate.core.coze_chat import CHAT, Chat, decode_all_said, decode_chat, named_target, write_cancel
from jotgate.core.coze_chat_events import ChatReader
from jotgate.core.coze_codes import CozeFault, Meaning
from jotgate.core.coze_events import CozeEvent
from jotgate.core.coze_objects import DEFAULT_CONVERSATION, WAITING_LIFE_S, WaitingChat, waiting_key
from jotgate.core.coze_replies import ToolAsked
from jotgate.core.owned_objects import ObjectAnswer, PutObject
from jotgate.errors import UpstreamError, UpstreamFailed, UpstreamTorn
from jotgate.upstreams.coze_modes import CozeAnswer, CozeOrder, Room

LOOK_S: Final = 1.0
"""Coze wants to be asked for a chat no more often."""
MISSES_MAX: Final = 5
"""So many looks in a row may fail before the call does."""
UNKNOWN_STORE: Final = CozeFault(
    Meaning(503, "server_error", "coze_objects_unknown", "what is kept of the caller's chats cannot be had now", 1)
)


class ChatMode(ABC):
    """One chat (coze_modes.Mode and Hearing). Mutable: what was heard of it, and whether it was asked for.

    How it begins is its heirs' (`upstreams.coze_chat_starts`).
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._reader = ChatReader()
        self._asked = False
        self._waiting_version = 0
        self._kept = False  # it waits for its caller, who knows
        self._looks = False  # it is asked for, and its stream is not listened to any more

    @abstractmethod
    def start(self) -> None:
        """Begin."""

    def over(self) -> None:  # noqa: B027 - most have nothing to do then
        """The chat has ended well, and its answer is about to be told."""

    # What the run asks (coze_modes.Mode)

    @property
    def nascent(self) -> bool:
        """Whether the chat may have begun without its name being known."""
        return self._asked and not self._reader.chat_id and not self._reader.over

    def farewell(self) -> CozeOrder | None:
        """The chat is to stop, if it runs."""
        reader = self._reader
        waits = reader.end is not None and reader.end.status == "requires_action" and not self._kept
        if not reader.chat_id or (reader.over and not waits):
            return None
        return CozeOrder(b"POST", f"{CHAT}/cancel", write_cancel(reader.conversation_id, reader.chat_id))

    # What Coze says (coze_modes.Hearing)

    def answered(self, answer: CozeAnswer) -> None:  # noqa: ARG002 - whatever it says
        """It is answered without a stream."""
        self._room.fail(UpstreamTorn("Coze answered a chat without the stream that was asked for"))

    def heard(self, events: Sequence[CozeEvent]) -> None:
        """Events have come."""
        reader, reply = self._reader, self._room.reply
        if self._looks:
            return
        pieces = []
        for event in events:
            told = reader.take(event)
            pieces.append(reply.reasoning(told.reasoning) + reply.text(told.text))
        self._room.tell(b"".join(pieces))
        if reader.unreadable:
            self._recover(UpstreamTorn("Coze sent an event that is none of a chat"))
        elif reply.overlong:
            self._room.fail(UpstreamTorn("the chat says more than a whole answer has room for; ask for a stream"))

    def ended(self) -> None:
        """The stream has ended."""
        if self._reader.over:
            self._conclude()
        elif not self._looks:
            self._recover(UpstreamTorn("Coze's stream ended in the midst of the chat"))

    def refused(self, fault: CozeFault) -> None:
        """Coze refuses the chat."""
        self._asked = False
        self._room.refuse(fault)

    def lost(self, error: UpstreamError) -> None:
        """The stream could not be had, or broke off."""
        if self._reader.over:
            self._conclude()
        elif not self._looks:
            self._recover(error)

    # How it goes on, and ends

    def ask(self, target: str, body: bytes) -> None:
        """Begin the chat, or have it go on."""
        self._asked = True
        self._room.order(CozeOrder(b"POST", target, body, starts=True), self)

    def _recover(self, error: UpstreamError) -> None:
        """Ask for the chat, where nothing was told that a second telling would repeat."""
        reader, room = self._reader, self._room
        if room.reply.begun or not (reader.chat_id and room.written):
            room.fail(error)
            return
        room.reply.restart()
        self._looks = True
        self._reader = ChatReader(reader.conversation_id, reader.chat_id)
        ChatLook(room, self._reader, self._conclude, error).look_later()

    def _conclude(self) -> None:
        """Tell how the chat has ended."""
        reader, room = self._reader, self._room
        end = reader.end
        if reader.fault is not None:
            room.refuse(reader.fault)
        elif end is None or end.status == "canceled":
            room.fail(UpstreamFailed("the chat was cancelled at Coze"))
        elif end.status == "requires_action":
            self._wait_for_tools(end)
        else:
            self.over()
            room.finish(room.reply.end("stop", end.tokens, self._more()))

    def _wait_for_tools(self, chat: Chat) -> None:
        """Tell which tools the chat wants to be run, once it is kept for its caller and nobody else."""
        room = self._room
        aim = room.aim
        if not chat.calls:
            room.fail(UpstreamTorn("Coze waits for tools that it does not name"))
            return
        waiting = WaitingChat(chat.conversation_id, chat.id, aim.bot_id, tuple(one.call_id for one in chat.calls))
        key = waiting_key(room.principal, room.upstream.name, aim.label, chat.id)
        named = [ToolAsked(f"call_{chat.id}_{n}", one.name, one.arguments) for n, one in enumerate(chat.calls)]

        def kept(answer: ObjectAnswer | None) -> None:
            if answer is None or not answer.done:
                room.refuse(UNKNOWN_STORE)
                return
            self._kept = True
            reply = room.reply
            room.finish(reply.tools(named) + reply.end("tool_calls", chat.tokens, self._more()))

        room.keep(PutObject(key, waiting.written(), WAITING_LIFE_S, self._waiting_version), kept)

    def _more(self) -> dict[str, object]:
        """What OpenAI has no place for: names that are good for something, and what to ask next."""
        reader, aim = self._reader, self._room.aim
        more: dict[str, object] = {"chat_id": reader.chat_id}
        if aim.mode == "conversation":
            more["conversation_id"] = aim.conversation_id or DEFAULT_CONVERSATION
        return {**more, "follow_ups": reader.follow_ups} if reader.follow_ups else more


class ChatLook:
    """Asks for a chat until it has ended (coze_modes.Hearing). Mutable: since when, and how many looks were in vain.

    `then` is called when `reader` knows all of it; `error` is told where that cannot be had.
    """

    def __init__(self, room: Room, reader: ChatReader, then: Callable[[], None], error: UpstreamError) -> None:
        self._room = room
        self._reader = reader
        self._then = then
        self._error = error
        self._ended: Chat | None = None
        self._looked_s = room.clock.monotonic_s()
        self._misses = 0

    def look_later(self) -> None:
        """Look when Coze may be asked again."""
        self._room.wake(self._looked_s + LOOK_S, self._look)

    def _look(self) -> None:
        reader = self._reader
        self._looked_s = self._room.clock.monotonic_s()
        path = "retrieve" if self._ended is None else "message/list"
        self._room.order(CozeOrder(b"GET", named_target(path, reader.conversation_id, reader.chat_id)), self)

    def answered(self, answer: CozeAnswer) -> None:
        """Coze says how the chat stands, or what was said in it."""
        try:
            if self._ended is None:
                self._take_chat(decode_chat(answer.data))
            else:
                told = self._reader.take_all(decode_all_said(answer.data))
                reply = self._room.reply
                self._room.tell(reply.reasoning(told.reasoning) + reply.text(told.text))
                self._reader.take_end(self._ended)
                self._then()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._room.fail(self._error)

    def heard(self, events: Sequence[CozeEvent]) -> None:
        """It is answered with a stream, although none was asked for."""

    def ended(self) -> None:
        """That stream has ended."""
        self._room.fail(self._error)

    def refused(self, fault: CozeFault) -> None:
        """Coze does not say."""
        self._miss(lambda: self._room.refuse(fault))

    def lost(self, error: UpstreamError) -> None:
        """Nobody says."""
        self._miss(lambda: self._room.fail(error))

    def _take_chat(self, chat: Chat) -> None:
        self._misses = 0
        if chat.status in ("created", "in_progress"):
            self.look_later()
        elif chat.status == "completed":
            self._ended = chat
            self._look()
        else:
            self._reader.take_end(chat)
            self._then()

    def _miss(self, give_up: Callable[[], None]) -> None:
        """A look was in vain; the chat goes on all the same."""
        self._misses += 1
        if self._misses >= MISSES_MAX:
            give_up()
        else:
            self.look_later()

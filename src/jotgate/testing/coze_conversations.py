"""The conversations of Coze's stand-in: kept for the session of the token that began them, with their messages."""

from collections.abc import Callable, Iterable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.testing.coze_tokens import Holder
from jotgate.testing.coze_told import CozeTold
from jotgate.testing.coze_wire import Ask, Refused, done, granted
from jotgate.testing.upstream import Answer

Handler = Callable[[Ask, Holder], Answer]
_PAGE_MAX: Final = 50
_UNLISTED: Final = frozenset({"function_call", "tool_response", "follow_up", "verbose"})
_META_PAIRS: Final = 16
_KEY_CHARS: Final = 64
_VALUE_CHARS: Final = 512


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message as Coze says it; what is empty and optional is left out."""

    id: str
    conversation_id: str
    bot_id: str = ""
    role: str
    type: str
    content: str
    content_type: str
    chat_id: str
    section_id: str
    created_at: int = 0
    updated_at: int = 0
    reasoning_content: str = ""
    meta_data: dict[str, str] = {}


class MessageBody(Struct, frozen=True):
    """A message as it is sent."""

    role: str = ""
    type: str | None = None
    content: str | None = None
    content_type: str | None = None
    meta_data: dict[str, str] | None = None


class Conversation:
    """One conversation. `session` is that of the token that began it; `sessions` are all that used it."""

    def __init__(self, conversation_id: str, session: str, now_s: float) -> None:
        self.conversation_id = conversation_id
        self.session = session
        self.sessions = {session}
        self.bot_id = ""
        self.name = ""
        self.connector_id = "1024"
        self.meta_data: dict[str, str] = {}
        self.created_s = self.updated_s = int(now_s)
        self.section_id = conversation_id
        self.messages: list[Message] = []

    def members(self) -> dict[str, object]:
        """As Coze says it."""
        return {
            "id": self.conversation_id,
            "name": self.name,
            "meta_data": self.meta_data,
            "created_at": self.created_s,
            "updated_at": self.updated_s,
            "creator_id": "2105000000000001",
            "connector_id": self.connector_id,
            "last_section_id": self.section_id,
        }


class _Creation(Struct, frozen=True):
    bot_id: str | None = None
    name: str | None = None
    messages: list[MessageBody] = []
    connector_id: str | None = None
    meta_data: dict[str, str] | None = None


class _Naming(Struct, frozen=True):
    name: str = ""


class _Listing(Struct, frozen=True):
    order: str = "desc"
    chat_id: str | None = None
    before_id: str | None = None
    after_id: str | None = None
    limit: int = _PAGE_MAX


class ConversationDesk:
    """Keeps them, and answers the paths of conversations."""

    def __init__(self, told: CozeTold) -> None:
        self._told = told
        self._kept: dict[str, Conversation] = {}
        self.routes: dict[tuple[str, str], Handler] = {
            ("POST", "/v1/conversation/create"): self._create,
            ("GET", "/v1/conversation/retrieve"): self._retrieve,
            ("GET", "/v1/conversations"): self._list,
            ("PUT", "/v1/conversations/{}"): self._rename,
            ("DELETE", "/v1/conversations/{}"): self._delete,
            ("POST", "/v1/conversations/{}/clear"): self._clear,
            ("POST", "/v1/conversation/message/create"): self._add,
            ("POST", "/v1/conversation/message/list"): self._messages,
            ("GET", "/v1/conversation/message/retrieve"): self._message,
            ("POST", "/v1/conversation/message/modify"): self._modify,
            ("POST", "/v1/conversation/message/delete"): self._remove,
        }

    def of(self, session: str) -> tuple[str, ...]:
        """The IDs of a session's conversations, oldest first."""
        return tuple(one.conversation_id for one in tuple(self._kept.values()) if one.session == session)

    def used_by(self, conversation_id: str) -> frozenset[str]:
        """The sessions that used a conversation. Raises KeyError for an unknown one."""
        return frozenset(self._kept[conversation_id].sessions)

    def begin(self, holder: Holder) -> Conversation:
        """A new conversation of this session."""
        made = Conversation(self._told.new_id(), holder.session, self._told.now_s())
        self._kept[made.conversation_id] = made
        return made

    def find(self, conversation_id: str, holder: Holder) -> Conversation:
        """The conversation, whosever it is: an ID that is handed on breaks the isolation of sessions, at Coze too.

        Raises:
            Refused: 4002, there is none.
        """
        found = self._kept.get(conversation_id)
        if found is None:
            raise Refused(4002)
        found.sessions.add(holder.session)
        return found

    def put(self, conversation: Conversation, body: MessageBody, *, chat_id: str = "") -> Message:
        """Keep a message that was sent."""
        now_s = int(self._told.now_s())
        message = Message(
            id=self._told.new_id(),
            conversation_id=conversation.conversation_id,
            bot_id=conversation.bot_id,
            role=body.role,
            type=body.type or ("question" if body.role == "user" else "answer"),
            content=body.content or "",
            content_type=body.content_type or "text",
            chat_id=chat_id,
            section_id=conversation.section_id,
            created_at=now_s,
            updated_at=now_s,
            meta_data=body.meta_data or {},
        )
        self.keep(conversation, (message,))
        return message

    def keep(self, conversation: Conversation, messages: Iterable[Message]) -> None:
        """Keep messages as they are."""
        conversation.messages.extend(messages)
        conversation.updated_s = int(self._told.now_s())

    # What the paths answer

    def _create(self, ask: Ask, holder: Holder) -> Answer:
        body = ask.body(_Creation)
        if len(body.messages) > 16:
            raise Refused(4004)
        check_meta(body.meta_data)
        made = self.begin(holder)
        made.bot_id, made.name = body.bot_id or "", body.name or ""
        made.connector_id, made.meta_data = body.connector_id or "1024", body.meta_data or {}
        for message in body.messages:
            self.put(made, message)
        return granted(made.members())

    def _retrieve(self, ask: Ask, holder: Holder) -> Answer:
        return granted(self._of_query(ask, holder).members())

    def _list(self, ask: Ask, holder: Holder) -> Answer:
        bot_id = ask.needed("bot_id")
        found = [one for one in self._kept.values() if one.session == holder.session and one.bot_id == bot_id]
        if ask.query.get("sort_order", "desc").lower() == "desc":
            found.reverse()
        page, size = number(ask, "page_num", 1), number(ask, "page_size", _PAGE_MAX)
        if not 0 < size <= _PAGE_MAX or page < 1:
            raise Refused(4000)
        shown = found[(page - 1) * size : page * size]
        return granted({"conversations": [one.members() for one in shown], "has_more": page * size < len(found)})

    def _rename(self, ask: Ask, holder: Holder) -> Answer:
        found = self.find(ask.numbers()[0], holder)
        found.name = ask.body(_Naming).name
        return granted(found.members())

    def _delete(self, ask: Ask, holder: Holder) -> Answer:
        del self._kept[self.find(ask.numbers()[0], holder).conversation_id]
        return done()

    def _clear(self, ask: Ask, holder: Holder) -> Answer:
        found = self.find(ask.numbers()[0], holder)
        found.section_id = self._told.new_id()
        return granted({"id": found.section_id, "conversation_id": found.conversation_id})

    def _add(self, ask: Ask, holder: Holder) -> Answer:
        body = ask.body(MessageBody)
        if body.role not in ("user", "assistant") or not body.content or not body.content_type:
            raise Refused(4000)
        check_meta(body.meta_data)
        return granted(self.put(self._of_query(ask, holder), body))

    def _messages(self, ask: Ask, holder: Holder) -> Answer:
        conversation, body = self._of_query(ask, holder), ask.body(_Listing)
        if not 0 < body.limit <= _PAGE_MAX or body.order not in ("asc", "desc"):
            raise Refused(4000)
        found = [one for one in conversation.messages if one.type not in _UNLISTED]
        if body.chat_id:
            found = [one for one in found if one.chat_id == body.chat_id]
        if body.order == "desc":
            found.reverse()
        if body.after_id:
            found = found[_place(found, body.after_id) + 1 :]
        if body.before_id:
            found = found[: _place(found, body.before_id)]
        shown = found[: body.limit]
        first, last = (shown[0].id, shown[-1].id) if shown else ("", "")
        return granted(shown, first_id=first, last_id=last, has_more=len(found) > len(shown))

    def _message(self, ask: Ask, holder: Holder) -> Answer:
        return granted(self._one(ask, holder)[1])

    def _modify(self, ask: Ask, holder: Holder) -> Answer:
        conversation, message = self._one(ask, holder)
        body = ask.body(MessageBody)
        changed = replace(
            message,
            content=message.content if body.content is None else body.content,
            content_type=body.content_type or message.content_type,
            meta_data=message.meta_data if body.meta_data is None else body.meta_data,
            updated_at=int(self._told.now_s()),
        )
        conversation.messages[_place(conversation.messages, message.id)] = changed
        return granted(None, message=changed)

    def _remove(self, ask: Ask, holder: Holder) -> Answer:
        conversation, message = self._one(ask, holder)
        conversation.messages.remove(message)
        return granted(message)

    def _of_query(self, ask: Ask, holder: Holder) -> Conversation:
        return self.find(ask.needed("conversation_id"), holder)

    def _one(self, ask: Ask, holder: Holder) -> tuple[Conversation, Message]:
        conversation = self._of_query(ask, holder)
        return conversation, conversation.messages[_place(conversation.messages, ask.needed("message_id"))]


def check_meta(meta_data: dict[str, str] | None) -> None:
    """Raise Refused (4003) for too many pairs, or for one that is too long."""
    pairs = (meta_data or {}).items()
    if len(pairs) > _META_PAIRS or any(len(key) > _KEY_CHARS or len(value) > _VALUE_CHARS for key, value in pairs):
        raise Refused(4003)


def _place(messages: list[Message], message_id: str) -> int:
    for place, message in enumerate(messages):
        if message.id == message_id:
            return place
    raise Refused(4005)


def number(ask: Ask, name: str, default: int) -> int:
    """A query parameter that is a number. Raises Refused (4000) for one that is not."""
    text = ask.query.get(name, str(default))
    if not text.isdecimal():
        raise Refused(4000)
    return int(text)

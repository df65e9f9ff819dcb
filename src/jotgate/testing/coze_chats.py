"""The chats of Coze's stand-in (v3): streamed or looked at, stopped for tools, canceled, and the chats of workflows."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from jotgate.testing.coze_chat import RUNNING, Chat, Output, Status
from jotgate.testing.coze_conversations import Conversation, ConversationDesk, Handler, MessageBody, check_meta
from jotgate.testing.coze_tokens import Holder
from jotgate.testing.coze_told import CozeTold
from jotgate.testing.coze_values import ChatSeen, Reply
from jotgate.testing.coze_wire import Ask, Refused, Voice, granted
from jotgate.testing.upstream import Answer

_MESSAGES_MAX: Final = 100
_PART_TYPES: Final = frozenset({"text", "image", "file", "audio"})


class _ChatBody(Struct, frozen=True):
    bot_id: str = ""
    user_id: str = ""
    additional_messages: list[MessageBody] | None = None
    stream: bool = False
    auto_save_history: bool = True
    custom_variables: dict[str, str] | None = None
    meta_data: dict[str, str] | None = None


class _FlowBody(Struct, frozen=True):
    workflow_id: str = ""
    additional_messages: list[MessageBody] | None = None
    parameters: dict[str, object] | None = None
    bot_id: str | None = None
    app_id: str | None = None
    conversation_id: str | None = None


class _Named(Struct, frozen=True):
    conversation_id: str = ""
    chat_id: str = ""


class _Outputs(Struct, frozen=True):
    tool_outputs: list[Output]
    stream: bool = False


class _Part(Struct, frozen=True):
    type: str
    text: str | None = None
    file_id: str | None = None
    file_url: str | None = None


class ChatDesk:
    """Runs chats, and answers their paths."""

    def __init__(self, told: CozeTold, conversations: ConversationDesk) -> None:
        self._told = told
        self._conversations = conversations
        self._chats: dict[str, Chat] = {}
        self.routes: dict[tuple[str, str], Handler] = {
            ("POST", "/v3/chat"): self._chat,
            ("GET", "/v3/chat/retrieve"): self._look,
            ("POST", "/v3/chat/retrieve"): self._look,
            ("GET", "/v3/chat/message/list"): self._list,
            ("POST", "/v3/chat/cancel"): self._cancel,
            ("POST", "/v3/chat/submit_tool_outputs"): self._submit,
            ("POST", "/v1/workflows/chat"): self._flow,
        }

    @property
    def running(self) -> int:
        """How many have not ended."""
        return sum(1 for chat in tuple(self._chats.values()) if chat.status in RUNNING)

    def status_of(self, chat_id: str) -> Status:
        """A chat's status. Raises KeyError for an unknown one."""
        return self._chats[chat_id].status

    # Beginning

    def _chat(self, ask: Ask, holder: Holder) -> Answer:
        body = ask.body(_ChatBody)
        if not body.bot_id or not body.user_id:
            raise Refused(4000, "Request parameter error: bot_id and user_id are required")
        if not body.stream and not body.auto_save_history:
            raise Refused(4007)
        check_meta(body.meta_data)
        self._check_bot(body.bot_id, holder)
        messages = body.additional_messages or []
        conversation = self._conversation(ask.query.get("conversation_id", ""), holder)
        query = self._query(messages, conversation)
        conversation.bot_id = conversation.bot_id or body.bot_id
        seen = ChatSeen(
            chat_id=self._told.new_id(),
            conversation_id=conversation.conversation_id,
            bot_id=body.bot_id,
            user_id=body.user_id,
            session=holder.session,
            stream=body.stream,
            query=query.content or "",
            content_type=query.content_type or "text",
            body=ask.raw,
        )
        chat = self._begin(seen, conversation, messages, saved=body.auto_save_history)
        if body.stream:
            return self._voice(ask).answer(chat.lines())
        return granted(chat.members())

    def _flow(self, ask: Ask, holder: Holder) -> Answer:
        body = ask.body(_FlowBody)
        workflow = self._told.workflows.get(body.workflow_id)
        if workflow is None or not workflow.published:
            raise Refused(4200)
        if body.bot_id and body.app_id:
            raise Refused(4000)
        messages = body.additional_messages or []
        conversation = self._conversation(body.conversation_id or "", holder)
        query = self._query(messages, conversation)
        seen = ChatSeen(
            chat_id=self._told.new_id(),
            conversation_id=conversation.conversation_id,
            bot_id=body.bot_id or "",
            user_id="",
            session=holder.session,
            stream=True,
            query=query.content or "",
            content_type=query.content_type or "text",
            body=ask.raw,
            workflow_id=body.workflow_id,
        )
        chat = self._begin(seen, conversation, messages, saved=True)
        return self._voice(ask, workflow=True).answer(chat.lines())

    def _begin(
        self, seen: ChatSeen, conversation: Conversation, messages: Iterable[MessageBody], *, saved: bool
    ) -> Chat:
        if any(chat.status in RUNNING and chat.conversation is conversation for chat in tuple(self._chats.values())):
            raise Refused(4016)
        if saved:
            for message in messages:
                self._conversations.put(conversation, message, chat_id=seen.chat_id)
        reply = self._told.replies.popleft() if self._told.replies else _echo(seen)
        chat = Chat(self._told, seen, reply, conversation)
        chat.saved = saved
        self._told.looks[seen.chat_id] = 0
        self._told.chats.append(seen)
        self._chats[seen.chat_id] = chat
        return chat

    def _check_bot(self, bot_id: str, holder: Holder) -> None:
        if holder.bots is not None and bot_id not in holder.bots:
            raise Refused(4101)
        bot = self._told.bots.get(bot_id)
        if bot is None:
            raise Refused(4006)
        if not bot.published:
            raise Refused(4015)

    def _conversation(self, conversation_id: str, holder: Holder) -> Conversation:
        if conversation_id:
            return self._conversations.find(conversation_id, holder)
        return self._conversations.begin(holder)

    def _query(self, messages: list[MessageBody], conversation: Conversation) -> MessageBody:
        if len(messages) > _MESSAGES_MAX:
            raise Refused(4004)
        for message in messages:
            self._check(message)
        if messages:
            return messages[-1]
        if not conversation.messages:
            raise Refused(4000, "Request parameter error: there is no query")
        last = conversation.messages[-1]
        return MessageBody(last.role, last.type, last.content, last.content_type)

    def _check(self, message: MessageBody) -> None:
        if message.role not in ("user", "assistant") or message.content is None:
            raise Refused(4000, "Request parameter error: role or content")
        if message.type == "question" and message.role != "user":
            raise Refused(4000, "Request parameter error: a question is the user's")
        if message.content_type == "object_string":
            for part in _parts(message.content):
                if part.file_id and part.file_id not in self._told.uploads:
                    raise Refused(4300)
        elif message.content_type not in (None, "", "text", "card"):
            raise Refused(4000, "Request parameter error: content_type")

    # Going on

    def _look(self, ask: Ask, holder: Holder) -> Answer:
        if ask.method == "POST" and holder.kind != "pat" and self._told.refuse_post_retrieve:
            raise Refused(4100)
        chat = self._found(ask.query)
        self._told.looks[chat.seen.chat_id] += 1
        chat.looked += 1
        self._let_run(chat)
        return granted(chat.members())

    def _let_run(self, chat: Chat) -> None:
        """A chat without a stream is over after some looks, or stops for its tools."""
        gate = chat.reply.gate
        is_open = gate is None or not chat.answered or gate.is_open
        if not chat.seen.stream and chat.status == "in_progress" and chat.looked > self._told.poll_delay and is_open:
            for _ in chat.lines():
                pass

    def _list(self, ask: Ask, _holder: Holder) -> Answer:
        return granted(self._found(ask.query).messages)

    def _cancel(self, ask: Ask, _holder: Holder) -> Answer:
        body = ask.body(_Named)
        chat = self._found({"conversation_id": body.conversation_id, "chat_id": body.chat_id})
        if chat.status not in RUNNING:
            raise Refused(4104)
        chat.status = "canceled"
        self._told.cancels.append((body.conversation_id, body.chat_id))
        return granted(chat.members())

    def _submit(self, ask: Ask, _holder: Holder) -> Answer:
        chat, body = self._found(ask.query), ask.body(_Outputs)
        if chat.status != "requires_action":
            raise Refused(4000, "Request parameter error: the chat waits for no outputs")
        if {output.tool_call_id for output in body.tool_outputs} != {call.id for call in chat.calls}:
            raise Refused(4000, "Request parameter error: tool_call_id")
        chat.take(body.tool_outputs)
        if body.stream:
            return self._voice(ask).answer(chat.lines(resumed=True))
        chat.seen = msgspec.structs.replace(chat.seen, stream=False)
        return granted(chat.members())

    def _found(self, names: Mapping[str, str]) -> Chat:
        for name in ("conversation_id", "chat_id"):
            if not names.get(name):
                raise Refused(4000, f"Request parameter error: {name} is required")
        chat = self._chats.get(names.get("chat_id", ""))
        if chat is None:
            raise Refused(4001)
        if chat.seen.conversation_id != names.get("conversation_id"):
            raise Refused(4002)
        return chat

    def _voice(self, ask: Ask, *, workflow: bool = False) -> Voice:
        told = self._told
        return Voice(told.spaced(workflow=workflow), False, told.chunk_bytes, told.pace_s, ask.fault)


def _parts(content: str) -> list[_Part]:
    try:
        parts = msgspec.json.decode(content, type=list[_Part])
    except msgspec.DecodeError as error:
        raise Refused(4000, "Request parameter error: content is no object_string") from error
    for part in parts:
        if part.type not in _PART_TYPES or (part.type != "text" and not (part.file_id or part.file_url)):
            raise Refused(4000, "Request parameter error: a part of the object_string")
    return parts


def _echo(seen: ChatSeen) -> Reply:
    said = seen.query
    if seen.content_type == "object_string":
        parts = _parts(seen.query)
        others = sum(1 for part in parts if part.type != "text")
        said = " ".join(part.text or "" for part in parts if part.type == "text") + f" (and {others} files)"
    return Reply(pieces=("You ", "said: ", said))

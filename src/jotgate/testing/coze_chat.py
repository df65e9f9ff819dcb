"""One chat at Coze's stand-in: what it says in order, and where it stops."""

from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec
from msgspec import Struct

from jotgate.testing.coze_conversations import Conversation, Message
from jotgate.testing.coze_told import CozeTold
from jotgate.testing.coze_values import ChatSeen, Reply
from jotgate.testing.coze_wire import Line, to_text
from jotgate.testing.upstream import Gate

Status = Literal["created", "in_progress", "completed", "failed", "requires_action", "canceled"]
RUNNING: Final = frozenset({"created", "in_progress", "requires_action"})
_FINISH: Final = {
    "msg_type": "generate_answer_finish",
    "data": '{"finish_reason":0,"FinData":""}',
    "from_module": None,
    "from_unit": None,
}


class _Function(Struct, frozen=True):
    name: str
    arguments: str


class _Call(Struct, frozen=True):
    id: str
    type: str
    function: _Function


class Output(Struct, frozen=True):
    """What a tool said."""

    tool_call_id: str
    output: str


class Chat:
    """One chat: its lines say what happens in order, and change its status on the way."""

    def __init__(self, told: CozeTold, seen: ChatSeen, reply: Reply, conversation: Conversation) -> None:
        self._told = told
        self.seen = seen
        self.reply = reply
        self.conversation = conversation
        self.status: Status = "in_progress"
        self.created_s = int(told.now_s())
        self.ended_s = 0
        self.calls = [
            _Call(call.call_id or f"call_{told.new_id()}", call.kind, _Function(call.name, call.arguments))
            for call in reply.tool_calls
        ]
        self.answered = not reply.tool_calls
        self.messages: list[Message] = []
        self.looked = 0
        self.saved = True

    def members(self, status: Status | None = None) -> dict[str, object]:
        """As Coze says it, with its status or with this one."""
        now = status or self.status
        code, message = self.reply.failure if now == "failed" and self.reply.failure is not None else (0, "")
        tokens_in, tokens_out = self.reply.usage if now == "completed" else (0, 0)
        found: dict[str, object] = {"id": self.seen.chat_id, "conversation_id": self.seen.conversation_id}
        if self.seen.bot_id:
            found["bot_id"] = self.seen.bot_id
        found["created_at"] = self.created_s
        if now == "completed":
            found["completed_at"] = self.ended_s
        if now == "failed":
            found["failed_at"] = self.ended_s
        found |= {
            "last_error": {"code": code, "msg": message},
            "status": now,
            "usage": {"token_count": tokens_in + tokens_out, "output_count": tokens_out, "input_count": tokens_in},
            "section_id": self.conversation.section_id,
        }
        if now == "requires_action":
            needed = {"tool_calls": self.calls}
            found["required_action"] = {"type": "submit_tool_outputs", "submit_tool_outputs": needed}
        return found

    def lines(self, *, resumed: bool = False) -> Iterator[Line | Gate]:
        """What is said of it from here to its next stop."""
        if not resumed:
            yield Line("conversation.chat.created", self.members("created"))
        yield Line("conversation.chat.in_progress", self.members("in_progress"))
        yield from self._answered() if self.answered else self._asking()
        yield Line("done", self._goodbye())

    def _asking(self) -> Iterator[Line | Gate]:
        for call in self.calls:
            content = to_text({"name": call.function.name, "arguments": call.function.arguments})
            yield self._told_whole("function_call", content)
        if self.status != "canceled":
            self.status = "requires_action"
            yield Line("conversation.chat.requires_action", self.members())

    def _answered(self) -> Iterator[Line | Gate]:
        message = self._message("answer", "")
        for thought in self.reply.reasoning:
            yield Line("conversation.message.delta", msgspec.structs.replace(message, reasoning_content=thought), True)
        for place, piece in enumerate(self.reply.pieces):
            if self.reply.gate is not None and place == self.reply.gate_at:
                yield self.reply.gate
            if self.status == "canceled":
                return
            yield Line("conversation.message.delta", msgspec.structs.replace(message, content=piece), True)
        for sound in self.reply.audio:
            heard = msgspec.structs.replace(message, content=sound, content_type="audio")
            yield Line("conversation.audio.delta", heard, True)
        yield from self._ended(message)

    def _ended(self, message: Message) -> Iterator[Line]:
        if self.status == "canceled":
            return
        self.ended_s = int(self._told.now_s())
        if self.reply.failure is not None:
            self.status = "failed"
            yield Line("conversation.chat.failed", self.members())
            return
        whole = msgspec.structs.replace(
            message,
            content=self.reply.text,
            reasoning_content="".join(self.reply.reasoning),
            created_at=self.ended_s,
            updated_at=self.ended_s,
        )
        self.messages.append(whole)
        yield Line("conversation.message.completed", whole)
        yield self._told_whole("verbose", to_text(_FINISH))
        for question in self.reply.follow_ups:
            yield self._told_whole("follow_up", question)
        self.status = "completed"
        if self.saved:
            self.conversation.messages.extend(self.messages)
        yield Line("conversation.chat.completed", self.members())

    def _told_whole(self, kind: str, content: str) -> Line:
        now_s = int(self._told.now_s())
        message = msgspec.structs.replace(self._message(kind, content), created_at=now_s, updated_at=now_s)
        self.messages.append(message)
        return Line("conversation.message.completed", message)

    def take(self, outputs: Iterable[Output]) -> None:
        """Go on with what the tools said."""
        for output in outputs:
            self._told_whole("tool_response", output.output)
            self._told.outputs.append((self.seen.chat_id, output.tool_call_id, output.output))
        self.answered = True
        self.status = "in_progress"
        self.looked = 0

    def _message(self, kind: str, content: str) -> Message:
        return Message(
            id=self._told.new_id(),
            conversation_id=self.seen.conversation_id,
            bot_id=self.seen.bot_id,
            role="assistant",
            type=kind,
            content=content,
            content_type="text",
            chat_id=self.seen.chat_id,
            section_id=self.conversation.section_id,
        )

    def _goodbye(self) -> object:
        if not self.seen.workflow_id:
            return "[DONE]"
        return {"debug_url": f"https://www.coze.com/work_flow?workflow_id={self.seen.workflow_id}"}

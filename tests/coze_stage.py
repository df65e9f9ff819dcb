"""The run of one workflow of Coze without Coze: what its mode asks for, and what its caller is told."""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw

from jotgate.core.coze_aims import Aim
from jotgate.core.coze_asks import ChatAsk, read_ask
from jotgate.core.coze_codes import CozeFault
from jotgate.core.coze_events import CozeEvent
from jotgate.core.coze_objects import INTERRUPT
from jotgate.core.coze_replies import Envelope, Reply
from jotgate.core.owned_objects import ListObjects, ObjectAnswer, ObjectOrder, owner_of
from jotgate.core.principals import Principal
from jotgate.core.routes import Upstream
from jotgate.errors import RequestMalformed, UpstreamError
from jotgate.services.owned_objects import carry_out
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock
from jotgate.upstreams.coze_modes import CozeAnswer, CozeOrder, Hearing
from jotgate.upstreams.coze_workflow import WorkflowMode

ANN: Final = Principal("https://i.example", "ann", "cli", "jti", "kid", frozenset({"ai"}), None, 9.0, 0.0)
WORKFLOW: Final = "7400000000000000001"
AIM: Final = Aim("workflow", workflow_id=WORKFLOW, alias=f"workflow:{WORKFLOW}")
UPSTREAM: Final = Upstream("coze", "coze", "https://api.coze.com")
USAGE: Final = {"input_count": 13, "output_count": 5, "token_count": 18}
ASKED: Final = {"interrupt_data": {"event_id": "734/987", "type": 2, "data": "Your name?"}, "node_title": "Question"}


class Store:
    """What control keeps; it may be away."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.rows = MemoryStore()
        self.away = False

    def do(self, order: ObjectOrder) -> ObjectAnswer | None:
        return None if self.away else carry_out(self.rows, order, self.clock.now_s())

    def interrupts_of(self, principal: Principal) -> int:
        found = self.do(ListObjects(INTERRUPT, PLACE, owner_of(principal)))
        return 0 if found is None else len(found.objects)


class Stage:
    """The run of one call (coze_modes.Room): what its mode asks of Coze, and what its caller is told.

    Answers about owned objects come when `settle` is called, as they come in a later turn of the loop.
    """

    def __init__(self, ask: ChatAsk, store: Store, principal: Principal = ANN, aim: Aim = AIM) -> None:
        self.ask, self.aim, self.principal, self.upstream, self.clock = ask, aim, principal, UPSTREAM, store.clock
        self.store = store
        envelope = Envelope("chatcmpl-1", 7, "m")
        self.reply = Reply(envelope, streams=ask.stream, tells_usage=ask.parameters.tells_usage)
        self.orders: list[CozeOrder] = []
        self.hearing: Hearing | None = None
        self.pending: list[Callable[[], None]] = []
        self.alarm: tuple[float, Callable[[], None]] | None = None
        self.told = b""
        self.beats = 0
        self.finished = False
        self.fault: CozeFault | None = None
        self.declined: RequestMalformed | None = None
        self.error: UpstreamError | None = None
        self.mode = WorkflowMode(self)
        self.mode.start()
        self.settle()

    # coze_modes.Room

    @property
    def written(self) -> bool:
        return bool(self.orders)

    def order(self, order: CozeOrder, hearing: Hearing) -> None:
        self.orders.append(order)
        self.hearing = hearing

    def keep(self, order: ObjectOrder, then: Callable[[ObjectAnswer | None], None]) -> None:
        answer = self.store.do(order)
        self.pending.append(lambda: then(answer))

    def note(self, order: ObjectOrder) -> None:
        self.store.do(order)

    def wake(self, at_s: float, then: Callable[[], None]) -> None:
        self.alarm = (at_s, then)

    def tell(self, piece: bytes) -> None:
        assert not self.over
        self.told += piece
        self.beats += not piece

    def finish(self, piece: bytes) -> None:
        assert not self.over
        self.told += piece
        self.finished = True

    def refuse(self, fault: CozeFault) -> None:
        assert not self.over
        self.fault = fault

    def decline(self, fault: RequestMalformed) -> None:
        assert not self.over
        self.declined = fault

    def fail(self, error: UpstreamError) -> None:
        assert not self.over
        self.error = error

    # What tests do

    @property
    def over(self) -> bool:
        return self.finished or bool(self.fault or self.declined or self.error)

    def settle(self) -> None:
        while self.pending:
            self.pending.pop(0)()

    @property
    def ear(self) -> Hearing:
        assert self.hearing is not None
        return self.hearing

    def hear(self, *events: tuple[str, object]) -> None:
        self.ear.heard([CozeEvent(name, msgspec.json.encode(data)) for name, data in events])

    def answer(self, **members: object) -> None:
        body = msgspec.json.encode({"code": 0, "msg": "", **members})
        self.ear.answered(CozeAnswer(Raw(msgspec.json.encode(members.get("data"))), body))

    def advance(self, span_s: float) -> None:
        """Let time pass, and wake the mode if that is due."""
        self.clock.advance(span_s)
        if self.alarm is not None and self.clock.monotonic_s() >= self.alarm[0]:
            wake, self.alarm = self.alarm[1], None
            wake()

    @property
    def sent(self) -> tuple[str, dict[str, object]]:
        body: dict[str, object] = msgspec.json.decode(self.orders[-1].body)
        return self.orders[-1].target, body

    @property
    def whole(self) -> "Completion":
        assert self.finished
        return msgspec.json.decode(self.told, type=Completion)

    @property
    def chunks(self) -> "list[Chunk]":
        events = [one.removeprefix(b"data: ") for one in self.told.split(b"\n\n") if one]
        assert not self.finished or events.pop() == b"[DONE]"
        return [msgspec.json.decode(one, type=Chunk) for one in events]

    @property
    def text(self) -> str:
        return "".join(one.choices[0].delta.content or "" for one in self.chunks if one.choices)

    @property
    def tool_call(self) -> "Call":
        """The one tool call of the answer."""
        if self.ask.stream:
            (found,) = [call for one in self.chunks for call in one.choices[0].delta.tool_calls]
        else:
            (found,) = self.whole.choices[0].message.tool_calls
        return found


class Function(msgspec.Struct):
    name: str
    arguments: str


class Call(msgspec.Struct):
    id: str
    function: Function


class Message(msgspec.Struct):
    content: str | None = None
    tool_calls: list[Call] = []


class Choice(msgspec.Struct):
    finish_reason: str | None
    delta: Message = msgspec.field(default_factory=Message)
    message: Message = msgspec.field(default_factory=Message)


class Completion(msgspec.Struct):
    choices: list[Choice]
    usage: dict[str, int] = {}


Chunk = Completion


def ask(*messages: dict[str, object], **more: object) -> ChatAsk:
    said = messages or ({"role": "user", "content": "go"},)
    return read_ask("chat.completions", msgspec.json.encode({"model": "m", "messages": said, **more}))


def reply_to(call_id: str, said: str = "Ann", **more: object) -> ChatAsk:
    return ask({"role": "user", "content": "go"}, {"role": "tool", "tool_call_id": call_id, "content": said}, **more)


PLACE: Final = "coze/37a8eec1ce19687d"
"""The place of objects of the label that is usual."""


class Late(Stage):
    """A run whose mode begins when it is told to."""

    def settle(self) -> None:
        """Not now."""

    def begin(self) -> None:
        """The interrupt is found."""
        self.pending.pop(0)()

    def settle_all(self) -> None:
        """What was asked of the store is answered."""
        super().settle()

"""Workflows of Coze as a mode: which way a run takes, what its caller sees, and who may answer what it asks."""

from collections.abc import Callable
from typing import Final

import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from jotgate.core.coze_aims import Aim
from jotgate.core.coze_asks import ChatAsk, read_ask
from jotgate.core.coze_codes import CozeFault, fault_of
from jotgate.core.coze_events import CozeEvent
from jotgate.core.coze_replies import Envelope, Reply
from jotgate.core.coze_sessions import user_name
from jotgate.core.coze_workflows import RESUMES_MAX
from jotgate.core.owned_objects import ListObjects, ObjectAnswer, ObjectOrder, owner_of
from jotgate.core.principals import Principal
from jotgate.core.routes import Upstream
from jotgate.errors import RequestMalformed, UpstreamError, UpstreamTorn, UpstreamUnavailable
from jotgate.services.owned_objects import carry_out
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock
from jotgate.upstreams.coze_modes import CozeAnswer, CozeOrder, Hearing
from jotgate.upstreams.coze_workflow import INTERRUPT, INTERRUPT_LIFE_S, LOOK_S, MISSES_MAX, WorkflowMode

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


# Which way a run takes


def test_who_wants_no_stream_has_the_run_awaited() -> None:
    stage = Stage(ask(), Store())
    target, body = stage.sent
    assert (target, body["workflow_id"], body["parameters"]) == ("/v1/workflow/run", WORKFLOW, {"input": "go"})
    assert stage.orders[0].starts
    assert "is_async" not in body
    stage.answer(data='{"output":"\u2603"}', execute_id="741", usage=USAGE)
    choice = stage.whole.choices[0]
    assert (choice.message.content, choice.finish_reason) == ('{"output":"\u2603"}', "stop")
    assert stage.whole.usage == {"prompt_tokens": 13, "completion_tokens": 5, "total_tokens": 18}


def test_coze_knows_the_caller_by_a_name_that_says_nothing() -> None:
    _, body = Stage(ask(), Store()).sent
    _, other = Stage(ask(), Store(), replace(ANN, subject="bob")).sent
    assert body["ext"] == {"user_id": user_name(ANN)} != other["ext"]
    assert "ann" not in str(replace(ANN, subject="ann" * 9)) or len(str(body["ext"])) == len(str(other["ext"]))


def test_who_wants_a_stream_has_one_with_all_that_the_run_says() -> None:
    stage = Stage(ask(stream=True, stream_options={"include_usage": True}), Store())
    assert stage.sent[0] == "/v1/workflow/stream_run"
    stage.hear(("PING", {}), ("Message", {"content": "Wor"}))
    assert stage.text == "Wor"
    stage.hear(("Message", {"content": "king \u2603"}), ("PING", {}), ("Message", {"content": "!", "usage": USAGE}))
    stage.hear(("Done", {"debug_url": "https://www.coze.com/x"}))
    stage.ear.ended()
    assert (stage.text, stage.finished, stage.beats) == ("Working \u2603!", True, 2)
    assert [one.choices[0].finish_reason for one in stage.chunks if one.choices][-1] == "stop"
    assert stage.chunks[-1].usage["total_tokens"] == 18
    assert b"debug_url" not in stage.told


def test_what_comes_after_the_end_is_not_told() -> None:
    stage = Stage(ask(stream=True), Store())
    stage.hear(("Done", {}), ("Message", {"content": "late"}), ("Error", {"error_code": 5000}))
    stage.ear.lost(UpstreamTorn("gone"))
    assert (stage.text, stage.finished) == ("", True)


def test_a_run_cannot_be_stopped() -> None:
    mode = Stage(ask(), Store()).mode
    assert mode.farewell() is None
    assert not mode.nascent


# Looking after a run


def begun() -> Stage:
    stage = Stage(ask(coze={"is_async": True}), Store())
    assert stage.sent[1]["is_async"] is True
    stage.answer(data=None, execute_id="741")
    return stage


def looks(stage: Stage) -> int:
    return sum(one.method == b"GET" for one in stage.orders)


def test_a_run_that_goes_on_by_itself_is_looked_at_once_a_second() -> None:
    stage = begun()
    assert stage.orders[-1] == CozeOrder(b"GET", f"/v1/workflows/{WORKFLOW}/run_histories/741")
    stage.answer(data=[{"execute_status": "Running"}])
    stage.advance(LOOK_S - 0.01)
    assert looks(stage) == 1
    stage.advance(0.01)
    assert looks(stage) == 2
    stage.clock.advance(3 * LOOK_S)
    stage.answer(data=[{"execute_status": "Running"}])
    stage.advance(0)
    assert looks(stage) == 3
    stage.answer(data=[{"execute_status": "Success", "output": "done", "usage": USAGE}])
    assert (stage.whole.choices[0].message.content, stage.whole.usage["total_tokens"]) == ("done", 18)


def test_an_outcome_that_coze_has_cut_says_so() -> None:
    stage = begun()
    stage.answer(data=[{"execute_status": "Success", "output": "do", "is_output_trimmed": True}])
    assert stage.whole.choices[0].finish_reason == "length"


def test_a_run_that_fails_is_an_error_and_no_text() -> None:
    stage = begun()
    stage.answer(data=[{"execute_status": "Fail", "error_code": "6039", "error_message": "no"}])
    assert stage.fault is not None
    assert (stage.fault.number, stage.told) == (6039, b"")


def test_a_look_in_vain_is_repeated_and_the_last_one_decides() -> None:
    stage = begun()
    for _ in range(MISSES_MAX - 1):
        stage.ear.lost(UpstreamUnavailable("gone"))
        assert not stage.over
        stage.advance(LOOK_S)
    stage.answer(data=[{"execute_status": "Running"}])
    stage.advance(LOOK_S)
    for _ in range(MISSES_MAX - 1):
        stage.answer(data=[])
        stage.advance(LOOK_S)
    assert not stage.over
    stage.answer(data=[])
    assert stage.fault is not None
    assert stage.fault.number == 4314


def test_coze_is_left_alone_for_as_long_as_it_asks() -> None:
    stage = begun()
    stage.ear.refused(fault_of(4020, "", 429, 7))
    stage.advance(LOOK_S)
    assert looks(stage) == 1
    stage.advance(6)
    assert looks(stage) == 2


def test_a_run_of_which_nobody_knows_whether_it_began_is_not_begun_again() -> None:
    stage = Stage(ask(coze={"is_async": True}), Store())
    stage.ear.lost(UpstreamTorn("gone"))
    assert isinstance(stage.error, UpstreamTorn)
    assert len(stage.orders) == 1


def test_a_run_without_a_name_or_of_a_name_that_no_path_holds_is_not_looked_at() -> None:
    for members in ({}, {"execute_id": "../../v1/users/me"}, {"execute_id": "1\r\nX: y"}):
        stage = Stage(ask(coze={"is_async": True}), Store())
        stage.answer(data=None, **members)
        assert isinstance(stage.error, UpstreamTorn)
        assert looks(stage) == 0


# What goes wrong


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("number", "status"), [(4200, 404), (6003, 400), (4000, 400), (4101, 401), (5000, 502)])
def test_what_coze_refuses_is_an_error_by_its_code(number: int, status: int, stream: bool) -> None:
    stage = Stage(ask(stream=stream), Store())
    stage.ear.refused(fault_of(number, "so"))
    assert stage.fault is not None
    assert (stage.fault.number, stage.fault.meaning.status, stage.told) == (number, status, b"")


def test_an_error_event_is_an_error_and_no_text() -> None:
    stage = Stage(ask(stream=True), Store())
    stage.hear(("Error", {"error_code": 4000, "error_message": "bad"}), ("Done", {}))
    assert stage.fault is not None
    assert (stage.fault.number, stage.told) == (4000, b"")


def test_a_stream_that_ends_before_its_run_is_torn() -> None:
    stage = Stage(ask(stream=True), Store())
    stage.hear(("Message", {"content": "half"}))
    stage.ear.ended()
    assert isinstance(stage.error, UpstreamTorn)


def test_an_event_that_cannot_be_read_tears_the_stream() -> None:
    stage = Stage(ask(stream=True), Store())
    stage.ear.heard([CozeEvent("Message", b'{"content":'), CozeEvent("Done", b"{}")])
    assert isinstance(stage.error, UpstreamTorn)


def test_an_answer_in_another_form_than_was_asked_for_is_torn() -> None:
    streamed, awaited = Stage(ask(stream=True), Store()), Stage(ask(), Store())
    streamed.answer(data="x")
    awaited.hear(("Message", {"content": "x"}))
    awaited.ear.ended()
    for stage in (streamed, awaited):
        assert isinstance(stage.error, UpstreamTorn)
        assert stage.told == b""


# What a run asks


def interrupted(store: Store, *, stream: bool = True, principal: Principal = ANN) -> Stage:
    stage = Stage(ask(stream=stream), store, principal)
    if stream:
        stage.hear(("Message", {"content": "Hello. ", "usage": USAGE}), ("Interrupt", ASKED))
        stage.ear.ended()
    else:
        stage.answer(data="", execute_id="741", interrupt_data=ASKED["interrupt_data"])
    stage.settle()
    return stage


@pytest.mark.parametrize("stream", [False, True])
def test_what_a_run_asks_is_one_tool_call(stream: bool) -> None:
    stage = interrupted(Store(), stream=stream)
    call = stage.tool_call
    assert call.function.name == "coze_interrupt"
    assert msgspec.json.decode(call.function.arguments)["data"] == "Your name?"
    reasons = [one.choices[0].finish_reason for one in stage.chunks] if stream else [
        stage.whole.choices[0].finish_reason
    ]  # fmt: skip
    assert [one for one in reasons if one] == ["tool_calls"]
    assert b"734/987" not in stage.told


def test_a_question_is_not_told_before_it_is_kept() -> None:
    store = Store()
    stage = Stage(ask(stream=True), store)
    stage.hear(("Interrupt", ASKED))
    assert not stage.over
    stage.ear.ended()
    assert (stage.told, store.interrupts_of(ANN)) == (b"", 1)
    stage.settle()
    assert stage.finished


def test_a_question_that_cannot_be_kept_is_not_asked() -> None:
    store = Store()
    stage = Stage(ask(stream=True), store)
    store.away = True
    stage.hear(("Interrupt", ASKED))
    stage.settle()
    assert stage.fault is not None
    assert (stage.fault.meaning.status, stage.told) == (503, b"")


@pytest.mark.parametrize("stream", [False, True])
def test_the_answer_goes_on_with_the_run(stream: bool) -> None:
    store = Store()
    call_id = interrupted(store).tool_call.id
    stage = Stage(reply_to(call_id, "Ann \u2603", stream=stream), store)
    assert stage.sent == (
        "/v1/workflow/stream_resume",
        {"workflow_id": WORKFLOW, "event_id": "734/987", "resume_data": "Ann \u2603", "interrupt_type": 2},
    )
    assert stage.orders[0].starts
    stage.hear(("Message", {"content": "Hi "}), ("Message", {"content": "Ann", "usage": USAGE}), ("Done", {}))
    stage.ear.ended()
    said = stage.text if stream else stage.whole.choices[0].message.content
    assert (said, stage.finished) == ("Hi Ann", True)


def test_a_run_may_ask_again_and_is_answered_by_the_new_call() -> None:
    store = Store()
    first = interrupted(store).tool_call.id
    stage = Stage(reply_to(first, stream=True), store)
    again = {**ASKED, "interrupt_data": {"event_id": "734/988", "type": 5, "data": "How old?"}}
    stage.hear(("Interrupt", again))
    stage.settle()
    second = stage.tool_call.id
    assert second != first
    assert Stage(reply_to(second, "33", stream=True), store).sent[1]["event_id"] == "734/988"


def test_nobody_else_can_answer_and_is_told_what_is_told_of_an_id_that_nobody_has() -> None:
    store = Store()
    call_id = interrupted(store).tool_call.id
    refusals = []
    for principal, named, aim in (
        (replace(ANN, subject="bob"), call_id, AIM),
        (replace(ANN, tenant="acme"), call_id, AIM),
        (replace(ANN, issuer="https://other.example"), call_id, AIM),
        (ANN, call_id, replace(AIM, workflow_id="7400000000000000002")),
        (ANN, call_id, replace(AIM, label="other")),
        (ANN, "call_" + "A" * 24, AIM),
        (ANN, "call_of_another_kind\0", AIM),
        (ANN, "", AIM),
    ):
        stage = Stage(reply_to(named), store, principal, aim)
        assert stage.orders == []
        assert stage.declined is not None
        refusals.append((stage.declined.message, stage.declined.hint, stage.declined.param))
    assert len(set(refusals)) == 1
    assert refusals[0][2] == "messages[1].tool_call_id"
    assert Stage(reply_to(call_id), store).sent[0] == "/v1/workflow/stream_resume"


def test_coze_takes_three_answers_and_is_sent_no_more() -> None:
    store = Store()
    call_id = interrupted(store).tool_call.id
    for _ in range(RESUMES_MAX):
        stage = Stage(reply_to(call_id), store)
        assert len(stage.orders) == 1
        stage.ear.lost(UpstreamTorn("gone"))
    last = Stage(reply_to(call_id), store)
    assert last.orders == []
    assert last.declined is not None
    assert "3 times" in last.declined.message


def test_a_question_that_is_asked_anew_goes_on_counting_its_answers() -> None:
    store = Store()
    call_id = interrupted(store).tool_call.id
    for _ in range(RESUMES_MAX):
        stage = Stage(reply_to(call_id, stream=True), store)
        stage.hear(("Interrupt", ASKED))
        stage.settle()
        assert stage.tool_call.id == call_id
    assert Stage(reply_to(call_id), store).declined is not None


def test_of_two_answers_at_once_one_goes_on() -> None:
    store = Store()
    call_id = interrupted(store).tool_call.id
    first = Late(reply_to(call_id, "one"), store)
    second = Late(reply_to(call_id, "two"), store)
    first.begin()
    second.begin()
    first.settle_all()
    second.settle_all()
    assert [len(first.orders), len(second.orders)] == [1, 0]
    assert second.fault is not None
    assert second.fault.meaning.status == 409


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


def test_an_interrupt_is_known_for_a_day() -> None:
    store = Store()
    call_id = interrupted(store).tool_call.id
    store.clock.advance(INTERRUPT_LIFE_S - 1)
    assert len(Stage(reply_to(call_id), store).orders) == 1
    store.clock.advance(1)
    assert Stage(reply_to(call_id), store).declined is not None


def test_where_the_store_is_away_an_answer_is_refused_for_now() -> None:
    store = Store()
    call_id = interrupted(store).tool_call.id
    store.away = True
    stage = Stage(reply_to(call_id), store)
    assert stage.fault is not None
    assert (stage.fault.meaning.status, stage.fault.meaning.retry_after_s) == (503, 1)

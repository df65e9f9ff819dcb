"""Runs a workflow of Coze: as a stream, waiting for its outcome, or asking for that; and answers what it asks.

A caller who wants a stream gets `stream_run`. Another one gets `run`, which waits at Coze, or with `is_async` begins
there and is looked after, once a second. What a workflow asks its caller becomes a tool call; the tool's answer goes to
`stream_resume`, for either, since Coze has no other way. A run cannot be stopped by anybody.
"""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from jotgate.core.coze_codes import CozeFault, Meaning, fault_of
from jotgate.core.coze_events import CozeEvent
from jotgate.core.coze_objects import INTERRUPT, place_of
from jotgate.core.coze_replies import Tokens
from jotgate.core.coze_sessions import user_name
from jotgate.core.coze_workflows import (
    RESUMES_MAX,
    Alive,
    Begun,
    Done,
    Interrupt,
    OpenInterrupt,
    Outcome,
    Resume,
    Said,
    Start,
    Unread,
    is_call_id,
    read_event,
    read_history,
    read_open,
    read_run,
    read_start_or_resume,
    write_resume,
    write_start,
)
from jotgate.core.owned_objects import FindObject, ObjectAnswer, ObjectKey, OwnedObject, PutObject, owner_of
from jotgate.errors import RequestMalformed, UpstreamError, UpstreamTorn
from jotgate.upstreams.coze_chat import UNKNOWN_STORE
from jotgate.upstreams.coze_modes import CozeAnswer, CozeOrder, Room

INTERRUPT_LIFE_S: Final = 86_400
"""For so long an interrupt can be answered, by what jotgate keeps of it."""
LOOK_S: Final = 1.0
"""Coze wants to be asked for a run's outcome no more often."""
QUESTION_MAX: Final = 4_096
"""So many characters of a question stand in the tool call; all of it was told before."""
MISSES_MAX: Final = 5
"""So many looks in a row may fail before the call does."""

_RUN: Final = "/v1/workflow/run"
_STREAM_RUN: Final = "/v1/workflow/stream_run"
_STREAM_RESUME: Final = "/v1/workflow/stream_resume"
_TAKEN: Final = CozeFault(
    Meaning(409, "invalid_request_error", "coze_interrupt_taken", "another answer to this interrupt came first")
)
_NO_RECORD: Final = 4314


class WorkflowMode:
    """One run, or its going on (coze_modes.Mode). Immutable; what is heard of it is its parts'."""

    nascent = False

    def __init__(self, room: Room) -> None:
        """Raises RequestMalformed."""
        self._room = room
        self._asked = read_start_or_resume(room.ask)

    def start(self) -> None:
        """Begin or go on."""
        asked = self._asked
        if isinstance(asked, Resume):
            _Resumption(self._room, asked).start()
        else:
            self._begin(asked)

    def farewell(self) -> CozeOrder | None:
        """Nothing stops a run: it goes on at Coze, and is paid for."""
        return None

    def _begin(self, asked: Start) -> None:
        room = self._room
        body = write_start(room.aim.workflow_id, asked, user_name(room.principal))
        if room.ask.stream:
            room.order(CozeOrder(b"POST", _STREAM_RUN, body, starts=True), StreamedRun(room))
        else:
            room.order(CozeOrder(b"POST", _RUN, body, starts=True), AwaitedRun(room, is_async=asked.is_async))


class _Resumption:
    """Finds whose an interrupt is, and tells its workflow the answer. Immutable."""

    def __init__(self, room: Room, asked: Resume) -> None:
        self._room = room
        self._asked = asked

    def start(self) -> None:
        """Look for the interrupt among those of the caller."""
        if is_call_id(self._asked.call_id):
            self._room.keep(FindObject(_key(self._room, self._asked.call_id)), self._found)
        else:
            self._decline_unknown()

    def _found(self, answer: ObjectAnswer | None) -> None:
        if answer is None:
            self._room.refuse(UNKNOWN_STORE)
            return
        kept = answer.objects[0] if answer.done else None
        interrupt = None if kept is None else read_open(kept.data)
        if kept is None or interrupt is None or interrupt.workflow_id != self._room.aim.workflow_id:
            self._decline_unknown()
        elif interrupt.answers >= RESUMES_MAX:
            self._decline(f"this was answered {RESUMES_MAX} times, and Coze takes no further answer")
        else:
            self._take(kept, interrupt)

    def _take(self, kept: OwnedObject, interrupt: OpenInterrupt) -> None:
        """Count the answer before it is sent: nobody sends more of them than Coze takes."""
        counted = OpenInterrupt(interrupt.workflow_id, interrupt.event_id, interrupt.kind, interrupt.answers + 1)
        left_s = kept.expires_s - int(self._room.clock.now_s())
        put = PutObject(kept.key, counted.write(), max(left_s, 1), kept.version)
        self._room.keep(put, lambda answer: self._counted(interrupt, answer))

    def _counted(self, interrupt: OpenInterrupt, answer: ObjectAnswer | None) -> None:
        if answer is None:
            self._room.refuse(UNKNOWN_STORE)
        elif not answer.done:
            self._room.refuse(_TAKEN)
        else:
            body = write_resume(interrupt, self._asked.told)
            self._room.order(CozeOrder(b"POST", _STREAM_RESUME, body, starts=True), StreamedRun(self._room))

    def _decline_unknown(self) -> None:
        self._decline("no workflow waits for the answer to a tool call of this id")

    def _decline(self, message: str) -> None:
        hint = "Run the workflow anew, and answer the tool call that it makes then"
        self._room.decline(RequestMalformed(message, param=self._asked.where, hint=hint))


class _Following:
    """What the ways in which a run is followed have in common (coze_modes.Hearing)."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def answered(self, answer: CozeAnswer) -> None:  # noqa: ARG002 - whatever it says
        """It is answered with no stream."""
        self._tear("Coze answered without the stream that was asked for")

    def heard(self, events: Sequence[CozeEvent]) -> None:
        """It is answered with a stream, although none was asked for."""

    def ended(self) -> None:
        """The stream has ended, or was none that was asked for."""
        self._tear("the stream of the run ended before the run did")

    def refused(self, fault: CozeFault) -> None:
        """Coze refuses it."""
        self._room.refuse(fault)

    def lost(self, error: UpstreamError) -> None:
        """Nobody knows what came of it."""
        self._room.fail(error)

    def _tear(self, what: str) -> None:
        self._room.fail(UpstreamTorn(what))

    def _end(self, outcome: Outcome) -> None:
        """Tell the whole outcome."""
        reply = self._room.reply
        told = reply.text(outcome.text)
        self._room.finish(told + reply.end("length" if outcome.is_cut else "stop", outcome.tokens))

    def _ask_caller(self, interrupt: Interrupt) -> None:
        """Tell what the workflow asks, once it is kept for its caller and nobody else."""
        room = self._room
        workflow_id = room.aim.workflow_id
        call = interrupt.tool_call(workflow_id)
        opened = OpenInterrupt(workflow_id, interrupt.event_id, interrupt.kind)

        def kept(answer: ObjectAnswer | None) -> None:
            # One that is kept already is asked again: the answers to it are counted on.
            if answer is None or not answer.objects:
                room.refuse(UNKNOWN_STORE)
                return
            reply = room.reply
            room.finish(reply.tools([call]) + reply.end("tool_calls", interrupt.tokens))

        room.keep(PutObject(_key(room, call.call_id), opened.write(), INTERRUPT_LIFE_S), kept)


class StreamedRun(_Following):
    """Follows the events of a run. Mutable: what was used and said so far, and whether that was all."""

    def __init__(self, room: Room) -> None:
        super().__init__(room)
        self._tokens: Tokens | None = None
        self._node = ""
        self._words = ""
        self._over = False

    def heard(self, events: Sequence[CozeEvent]) -> None:
        """Events have come."""
        for event in events:
            if not self._over:
                self._take(event)

    def ended(self) -> None:
        """The stream has ended; after an interrupt that is as it should be."""
        if not self._over:
            super().ended()

    def lost(self, error: UpstreamError) -> None:
        """The stream broke off."""
        if not self._over:
            super().lost(error)

    def _take(self, event: CozeEvent) -> None:
        room = self._room
        try:
            said = read_event(event)
        except Unread as unread:
            self._over = True
            self._tear(str(unread))
            return
        self._over = not isinstance(said, Said | Alive)
        match said:
            case Said():
                self._say(said)
            case Alive():
                room.tell(b"")
            case Interrupt():
                words = self._words if said.node == self._node else ""
                self._ask_caller(replace(said, question=words, tokens=self._tokens))
            case Done():
                room.finish(room.reply.end("stop", self._tokens))
            case CozeFault():
                room.refuse(said)

    def _say(self, said: Said) -> None:
        room = self._room
        self._tokens = said.tokens or self._tokens
        before = self._words if said.node == self._node else ""
        self._node, self._words = said.node, (before + said.text)[:QUESTION_MAX]
        room.tell(room.reply.text(said.text))
        if room.reply.overlong:
            self._over = True
            self._tear("the run says more than a whole answer has room for; ask for a stream")


class AwaitedRun(_Following):
    """Takes the outcome of a run, or looks after one that goes on by itself. Mutable: its name, and looks in vain."""

    def __init__(self, room: Room, *, is_async: bool) -> None:
        super().__init__(room)
        self._is_async = is_async
        self._target = ""
        self._looked_s = 0.0
        self._misses = 0

    def answered(self, answer: CozeAnswer) -> None:
        """Coze has answered: to the run, or to a look."""
        try:
            if self._target:
                self._take_history(read_history(answer.data))
            else:
                self._take_run(read_run(answer.body, is_async=self._is_async))
        except Unread as unread:
            self._tear(str(unread))

    def refused(self, fault: CozeFault) -> None:
        """Coze refuses the run, or to be looked at."""
        if self._target:
            self._miss(lambda: self._room.refuse(fault), fault.meaning.retry_after_s)
        else:
            super().refused(fault)

    def lost(self, error: UpstreamError) -> None:
        """Nobody knows what came of the run, or of the look."""
        if self._target:
            self._miss(lambda: self._room.fail(error))
        else:
            super().lost(error)

    def _take_run(self, run: Outcome | Interrupt | Begun) -> None:
        match run:
            case Outcome():
                self._end(run)
            case Interrupt():
                self._ask_caller(run)
            case Begun(execute_id):
                self._target = f"/v1/workflows/{self._room.aim.workflow_id}/run_histories/{_plain(execute_id)}"
                self._look()

    def _take_history(self, history: Outcome | CozeFault | Alive | None) -> None:
        match history:
            case Outcome():
                self._end(history)
            case CozeFault():
                self._room.refuse(history)
            case Alive():
                self._misses = 0
                self._look_later()
            case None:
                self._miss(lambda: self._room.refuse(fault_of(_NO_RECORD, "")))

    def _look(self) -> None:
        self._looked_s = self._room.clock.monotonic_s()
        self._room.order(CozeOrder(b"GET", self._target), self)

    def _look_later(self, least_s: float = LOOK_S) -> None:
        self._room.wake(self._looked_s + max(least_s, LOOK_S), self._look)

    def _miss(self, give_up: Callable[[], None], least_s: float = LOOK_S) -> None:
        """A look was in vain; the run goes on all the same."""
        self._misses += 1
        if self._misses >= MISSES_MAX:
            give_up()
        else:
            self._look_later(least_s)


def _key(room: Room, call_id: str) -> ObjectKey:
    return ObjectKey(INTERRUPT, place_of(room.upstream.name, room.aim.label), owner_of(room.principal), call_id)


def _plain(execute_id: str) -> str:
    """A name that Coze made, where it can stand in a path as it is. Raises Unread."""
    if not (execute_id.isascii() and execute_id.replace("_", "").replace("-", "").isalnum() and len(execute_id) <= 128):
        raise Unread("the run has a name that no path can hold")
    return execute_id

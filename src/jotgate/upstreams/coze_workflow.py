"""Runs a workflow of Coze: as a stream, waiting for its outcome, or asking for that; and answers what it asks.

A caller who wants a stream gets `stream_run`. Another one gets `run`, which waits at Coze, or with `is_async` begins
there and is looked after. What a workflow asks its caller becomes a tool call; the tool's answer goes to
`stream_resume`, for either, since Coze has no other way. A run cannot be stopped by anybody.
"""

from math import ceil
from typing import Final

from msgspec.structs import replace

from jotgate.core.coze_codes import CozeFault, Meaning
from jotgate.core.coze_sessions import user_name
from jotgate.core.coze_workflows import (
    RESUMES_MAX,
    Alive,
    Done,
    Interrupt,
    OpenInterrupt,
    Resume,
    Said,
    Start,
    is_call_id,
    read_open,
    read_start_or_resume,
    write_resume,
    write_start,
)
from jotgate.core.owned_objects import DropObject, FindObject, ObjectAnswer, OwnedObject, PutObject
from jotgate.errors import RequestMalformed, UpstreamError
from jotgate.upstreams.coze_chat import UNKNOWN_STORE
from jotgate.upstreams.coze_modes import CozeOrder, Room
from jotgate.upstreams.coze_workflow_runs import AwaitedRun, StreamedRun, interrupt_key

ON_ITS_WAY_S: Final = 30
"""For so long, beside the first-byte deadline, an answer keeps others back of which nothing is heard: it wants a token
before it is sent, and its worker may be gone."""

_RUN: Final = "/v1/workflow/run"
_STREAM_RUN: Final = "/v1/workflow/stream_run"
_STREAM_RESUME: Final = "/v1/workflow/stream_resume"
_TAKEN: Final = CozeFault(
    Meaning(409, "invalid_request_error", "coze_interrupt_taken", "another answer to this interrupt came first")
)


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
            self._room.keep(FindObject(interrupt_key(self._room, self._asked.call_id)), self._found)
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
        elif interrupt.busy_until_s > self._room.clock.now_s():
            self._room.refuse(_TAKEN)
        else:
            self._take(kept, interrupt)

    def _take(self, kept: OwnedObject, interrupt: OpenInterrupt) -> None:
        """Count the answer before it is sent: nobody sends more of them than Coze takes, or two at once."""
        now_s = int(self._room.clock.now_s())
        until_s = now_s + ceil(self._room.upstream.first_byte_timeout_s) + ON_ITS_WAY_S
        counted = replace(interrupt, answers=interrupt.answers + 1, busy_until_s=until_s)
        put = PutObject(kept.key, counted.write(), max(kept.expires_s - now_s, 1), kept.version)
        self._room.keep(put, lambda answer: self._counted(counted, answer))

    def _counted(self, interrupt: OpenInterrupt, answer: ObjectAnswer | None) -> None:
        if answer is None:
            self._room.refuse(UNKNOWN_STORE)
        elif not answer.done:
            self._room.refuse(_TAKEN)
        else:
            body = write_resume(interrupt, self._asked.told)
            run = ResumedRun(self._room, interrupt, answer.objects[0])
            self._room.order(CozeOrder(b"POST", _STREAM_RESUME, body, starts=True), run)

    def _decline_unknown(self) -> None:
        self._decline("no workflow waits for the answer to a tool call of this id")

    def _decline(self, message: str) -> None:
        hint = "Run the workflow anew, and answer the tool call that it makes then"
        self._room.decline(RequestMalformed(message, param=self._asked.where, hint=hint))


class ResumedRun(StreamedRun):
    """Follows a run that was told an answer. Mutable: whether it is known what became of that.

    Once the run goes on, what it had asked is answered, and is there no more; an answer that did not get through may be
    given again.
    """

    def __init__(self, room: Room, answered: OpenInterrupt, kept: OwnedObject) -> None:
        super().__init__(room)
        self._answered = answered
        self._kept = kept
        self._known = False

    def refused(self, fault: CozeFault) -> None:
        """Coze does not take the answer."""
        self._let_answer_again()
        super().refused(fault)

    def lost(self, error: UpstreamError) -> None:
        """Nobody knows whether Coze took it."""
        self._let_answer_again()
        super().lost(error)

    def _tear(self, what: str) -> None:
        self._let_answer_again()
        super()._tear(what)

    def _hear(self, said: Said | Interrupt | CozeFault | Done | Alive) -> None:
        if isinstance(said, CozeFault):
            self._let_answer_again()
        elif not self._known and not isinstance(said, Alive):
            self._known = True
            self._room.note(DropObject(self._kept.key, self._kept.version))
        super()._hear(said)

    def _let_answer_again(self) -> None:
        if self._known:
            return
        self._known = True
        kept = self._kept
        left_s = max(kept.expires_s - int(self._room.clock.now_s()), 1)
        self._room.note(PutObject(kept.key, replace(self._answered, busy_until_s=0).write(), left_s, kept.version))

    def _ask_caller(self, interrupt: Interrupt) -> None:
        """Coze may ask the same anew. What was kept of it goes first, and the answers to it are counted on."""
        if interrupt.event_id != self._answered.event_id:
            super()._ask_caller(interrupt)
            return

        def gone(answer: ObjectAnswer | None) -> None:
            if answer is None:
                self._room.refuse(UNKNOWN_STORE)
            else:
                super(ResumedRun, self)._ask_caller(interrupt)

        self._room.keep(DropObject(self._kept.key), gone)

    def _opened(self, interrupt: OpenInterrupt) -> OpenInterrupt:
        same = interrupt.event_id == self._answered.event_id
        return replace(interrupt, answers=self._answered.answers) if same else interrupt

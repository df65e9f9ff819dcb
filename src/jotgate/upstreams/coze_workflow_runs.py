"""Follows the runs of Coze's workflows: as a stream, waiting for their outcome, or looking after them, once a second.

What a workflow asks its caller becomes a tool call, once it is kept for that caller and nobody else.
"""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from jotgate.core.coze_codes import CozeFault, fault_of
from jotgate.core.coze_events import CozeEvent
from jotgate.core.coze_objects import INTERRUPT, place_of
from jotgate.core.coze_replies import Tokens
from jotgate.core.coze_workflows import (
    Alive,
    Begun,
    Done,
    Interrupt,
    OpenInterrupt,
    Outcome,
    Said,
    Unread,
    read_event,
    read_history,
    read_run,
)
from jotgate.core.owned_objects import ObjectAnswer, ObjectKey, PutObject, owner_of
from jotgate.errors import UpstreamError, UpstreamTorn
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

_NO_RECORD: Final = 4314


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

        room.keep(PutObject(interrupt_key(room, call.call_id), self._opened(opened).write(), INTERRUPT_LIFE_S), kept)

    def _opened(self, interrupt: OpenInterrupt) -> OpenInterrupt:
        """An interrupt as it is kept: nobody has answered it."""
        return interrupt


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
        try:
            said = read_event(event)
        except Unread as unread:
            self._over = True
            self._tear(str(unread))
            return
        self._over = not isinstance(said, Said | Alive)
        self._hear(said)

    def _hear(self, said: Said | Interrupt | CozeFault | Done | Alive) -> None:
        room = self._room
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


def interrupt_key(room: Room, call_id: str) -> ObjectKey:
    """What names the interrupt of the caller that this tool call asks about."""
    return ObjectKey(INTERRUPT, place_of(room.upstream.name, room.aim.label), owner_of(room.principal), call_id)


def _plain(execute_id: str) -> str:
    """A name that Coze made, where it can stand in a path as it is. Raises Unread."""
    if not (execute_id.isascii() and execute_id.replace("_", "").replace("-", "").isalnum() and len(execute_id) <= 128):
        raise Unread("the run has a name that no path can hold")
    return execute_id

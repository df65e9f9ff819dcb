"""Requests that wait in a worker for an answer of control, and are decided anew when it is there.

There is one question for each key under way, however many requests raise it; who waits is bounded in number and in the
size of the bodies announced.
"""

import math
from collections import deque
from collections.abc import Callable, Hashable
from functools import partial
from typing import Final, Generic, Protocol, TypeVar, cast

from jotgate.core.calls import Request
from jotgate.errors import JotgateError
from jotgate.ports import Answer, Caller, Clock, Running
from jotgate.socket_ports import Socket, SocketBounds, SocketCaller, SocketEvents

WAITING_MAX: Final = 256
WAITING_BYTES_MAX: Final = 67_108_864
_NO_LENGTH_BYTES: Final = 1_048_576  # what a body of unknown length counts for

Soon = Callable[[Callable[[], None]], object]
"""Does one thing in a coming turn of the event loop, so that many who are answered at once do not hold it up."""

Key = TypeVar("Key", bound=Hashable)
Outcome = TypeVar("Outcome")
Heard_contra = TypeVar("Heard_contra", contravariant=True)


class Desk(Protocol):
    """Where requests are opened, refused and recorded: the gateway."""

    def open(self, request: Request) -> Answer:
        """Decide a head. Raises JotgateError."""

    def refuse(self, request: Request, refusal: JotgateError, caller: Caller) -> None:
        """Tell the caller no, and record it."""

    def left(self, request: Request, refusal: JotgateError) -> None:
        """Record that the caller left while the request waited."""

    def failed(self, request: Request, caller: Caller, *, begun: bool) -> None:
        """End a request that met a fault which nobody foresaw; `begun`: the caller has had some of an answer."""


class Judge(Protocol[Heard_contra]):
    """Says what becomes of a request that is still refused."""

    def __call__(self, refusal: JotgateError, outcome: Heard_contra | None, asks: int) -> JotgateError | None:
        """What its caller is told; None: it waits for one more answer, after so many questions.

        `outcome` None: no answer came in time, or it may not wait; then it is told something.
        """


class Waiting(Generic[Key]):
    """One request that waits (ports.Running). Mutable: its caller once its body is read, and what becomes of it.

    `gone` is told when the caller is, before that.
    """

    __slots__ = (
        "_answer",
        "_caller",
        "_failed",
        "_gone",
        "_paused",
        "_running",
        "asks",
        "deadline_s",
        "key",
        "request",
        "size",
    )

    def __init__(
        self,
        request: Request,
        key: Key,
        deadline_s: float,
        *,
        gone: "Callable[[Waiting[Key]], None]",
        failed: "Failed",
    ) -> None:
        self.request = request
        self.key = key
        self.deadline_s = deadline_s
        self.size = _size(request)
        self.asks = 0
        self._gone = gone
        self._failed = failed
        self._answer: Answer | None = None
        self._caller: Caller | None = None
        self._running: Running | None = None
        self._paused = False

    def answer(self, caller: Caller) -> Running | None:
        """The body is read (ports.Answer)."""
        if self._answer is not None:
            return self._answer(caller)
        self._caller = caller
        return self

    def settle(self, answer: Answer) -> None:
        """It is decided what answers the request."""
        self._answer = answer
        caller, self._caller = self._caller, None
        if caller is not None:
            self._running = self._run(answer, _Noted(caller))
            if self._paused and self._running is not None:
                self._running.caller_paused()

    def _run(self, answer: Answer, caller: "_Noted") -> Running | None:
        """Answer. Nothing above this turn of the event loop would tell the caller of a fault that nobody foresaw."""
        foreseen = False
        try:
            running = answer(caller)
            foreseen = True
        finally:
            if not foreseen:
                self._failed(self.request, caller, begun=caller.begun)
        return running

    def caller_gone(self) -> None:
        """Nobody reads the answer (ports.Running)."""
        if self._running is not None:
            self._running.caller_gone()
        elif self._answer is None:
            self._caller = None
            self._gone(self)

    def caller_paused(self) -> None:
        """Pass it on (ports.Running)."""
        self._paused = True
        if self._running is not None:
            self._running.caller_paused()

    def caller_resumed(self) -> None:
        """Pass it on (ports.Running)."""
        self._paused = False
        if self._running is not None:
            self._running.caller_resumed()


class Failed(Protocol):
    """Ends a request that met a fault which nobody foresaw; `begun`: the caller has had some of an answer."""

    def __call__(self, request: Request, caller: Caller, *, begun: bool) -> None: ...


class _Noted:
    """A caller of whom it is known whether its answer has begun (socket_ports.SocketCaller)."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.begun = False
        self.write = caller.write
        self.end = caller.end
        self.abort = caller.abort

    def respond(self, status: int, lines: bytes, body: bytes) -> None:
        self.begun = True
        self._caller.respond(status, lines, body)

    def start(self, status: int, lines: bytes, length: int | None, piece: bytes) -> None:
        self.begun = True
        self._caller.start(status, lines, length, piece)

    def switch(self, lines: bytes, bounds: SocketBounds, talk: Callable[[Socket], SocketEvents]) -> None:
        self.begun = True
        cast("SocketCaller", self._caller).switch(lines, bounds, talk)


class _Question(Generic[Key]):
    """What control is being asked about one key. Mutable: who waits for the answer."""

    __slots__ = ("deadline_s", "waiting")

    def __init__(self, deadline_s: float) -> None:
        self.deadline_s = deadline_s
        self.waiting: dict[Waiting[Key], None] = {}


class Waits(Generic[Key, Outcome]):
    """All that wait in one worker for answers of one kind. Mutable: who waits for which answer.

    `desk` is the gateway, in the things that are done with a request. `ask` puts the question to control, if there is
    one. A request waits for at most `patience_s`.
    """

    def __init__(
        self,
        clock: Clock,
        desk: Desk,
        *,
        ask: Callable[[Key], object],
        judge: Judge[Outcome],
        soon: Soon,
        patience_s: float,
    ) -> None:
        self._clock = clock
        self._open = desk.open
        self._refuse = desk.refuse
        self._gone = desk.left
        self._failed = desk.failed
        self._ask = ask
        self._judge = judge
        self._soon = soon
        self._patience_s = patience_s
        self._live: set[Waiting[Key]] = set()
        self._questions: dict[Key, _Question[Key]] = {}
        self._reopened: Request | None = None
        self._answered: deque[tuple[Waiting[Key], Outcome]] = deque()

    def __len__(self) -> int:
        return len(self._live)

    def is_asked(self, key: Key) -> bool:
        """Whether a question about this is under way."""
        return key in self._questions

    def is_reopened(self, request: Request) -> bool:
        """Whether a request is being decided anew right now, and may not wait inside of that."""
        return request is self._reopened

    def join(self, request: Request, refusal: JotgateError, key: Key) -> Answer:
        """Let a request wait; what is returned answers it, once its body is read.

        Raises:
            JotgateError: what the judge has for it, when too many wait.
        """
        try:
            now_s = self._clock.monotonic_s()
            gone = partial(self._left, refusal.with_traceback(None))
            waiting = Waiting(request, key, now_s + self._patience_s, gone=gone, failed=self._failed)
            if len(self._live) >= WAITING_MAX or sum(one.size for one in self._live) + waiting.size > WAITING_BYTES_MAX:
                raise self._judge(refusal, None, 0) or refusal
            self._live.add(waiting)
            self._enqueue(waiting)
            return waiting.answer
        finally:
            del refusal  # Its traceback names this frame: what names one another, only the collector can take away.

    def answered(self, key: Key, outcome: Outcome) -> None:
        """Control's answer; what it brings is in use."""
        question = self._questions.pop(key, None)
        for waiting in () if question is None else question.waiting:
            self._answered.append((waiting, outcome))
            self._soon(self._look_again)

    def ask_again(self) -> None:
        """Put all open questions to another control process."""
        for key in self._questions:
            self._ask(key)

    def check_deadlines(self, now_s: float) -> None:
        """Refuse those that have waited for long enough. Called a few times a second."""
        for waiting in [one for one in self._live if one.deadline_s <= now_s]:
            self._decide(waiting, None)
        for key, question in tuple(self._questions.items()):
            if question.deadline_s <= now_s and not question.waiting:
                del self._questions[key]  # An answer that comes all the same does no harm.

    def cancel_all(self) -> None:
        """Refuse all that wait: jotgate stops."""
        self.check_deadlines(math.inf)

    def _enqueue(self, waiting: Waiting[Key]) -> None:
        waiting.asks += 1
        question = self._questions.get(waiting.key)
        if question is not None:
            question.waiting[waiting] = None
            return
        question = self._questions[waiting.key] = _Question(self._clock.monotonic_s() + self._patience_s)
        question.waiting[waiting] = None
        self._ask(waiting.key)

    def _look_again(self) -> None:
        waiting, outcome = self._answered.popleft()
        if waiting in self._live:
            self._decide(waiting, outcome)

    def _decide(self, waiting: Waiting[Key], outcome: Outcome | None) -> None:
        """Let the request go on, or be refused, unless it waits for another answer.

        A fault that nobody foresaw goes on to the event loop, which tells of it; the caller has its answer by then.
        """
        answer: Answer | None = partial(self._failed, waiting.request, begun=False)
        try:
            answer = self._find_answer(waiting, outcome)
        finally:
            if answer is not None:
                self._forget(waiting)
                waiting.settle(answer)

    def _find_answer(self, waiting: Waiting[Key], outcome: Outcome | None) -> Answer | None:
        """Open the request anew: with what has come it goes on, or is refused for what it is."""
        try:
            return self._open_again(waiting.request)
        except JotgateError as refusal:
            final = self._judge(refusal, outcome, waiting.asks)
            if final is None:
                self._enqueue(waiting)
                return None
            return partial(self._refuse, waiting.request, final.with_traceback(None))

    def _open_again(self, request: Request) -> Answer:
        self._reopened = request
        try:
            return self._open(request)
        finally:
            self._reopened = None

    def _left(self, refusal: JotgateError, waiting: Waiting[Key]) -> None:
        if waiting in self._live:
            self._forget(waiting)
            self._gone(waiting.request, refusal)

    def _forget(self, waiting: Waiting[Key]) -> None:
        self._live.discard(waiting)
        question = self._questions.get(waiting.key)
        if question is not None:
            question.waiting.pop(waiting, None)


def _size(request: Request) -> int:
    """What the body of a request counts for, in bytes."""
    length = request.headers.get(b"content-length")
    if length is not None:
        return int(length)
    return _NO_LENGTH_BYTES if b"transfer-encoding" in request.headers else 0

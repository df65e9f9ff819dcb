"""Requests whose token names a key that is not held, while control fetches the keys of the token's issuer.

There is one question for each issuer under way, however many tokens raise it; who waits is bounded in number and in the
size of the bodies announced. When the answer is there, each token is verified anew, in the newest world. For as long as
control says that asking is of no use, nobody waits: an issuer that was reached and does not publish the key makes it a
401, one that was not reached a 503, for then the answer cannot be known.
"""

import math
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from jotgate.core.calls import Request
from jotgate.core.key_fetches import KeysOutcome
from jotgate.errors import JotgateError, KeyUnpublished
from jotgate.ports import Answer, Caller, Clock, Running
from jotgate.services.key_seeking import may_ask_again, refusal_for

PATIENCE_S: Final = 12.0
"""How long a request waits at most: two fetches of the usual time, and a moment."""

WAITING_MAX: Final = 256
WAITING_BYTES_MAX: Final = 67_108_864
_NO_LENGTH_BYTES: Final = 1_048_576  # what a body of unknown length counts for

_UNREACHED: Final = KeysOutcome(reached=False, useless_s=1.0)

Soon = Callable[[Callable[[], None]], object]


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


class Waiting:
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
        "issuer",
        "request",
        "size",
    )

    def __init__(self, request: Request, issuer: str, deadline_s: float, *, gone: "_Gone", failed: "_Failed") -> None:
        self.request = request
        self.issuer = issuer
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


_Gone = Callable[[Waiting], None]


class _Failed(Protocol):
    def __call__(self, request: Request, caller: Caller, *, begun: bool) -> None: ...


class _Noted:
    """A caller of whom it is known whether its answer has begun (ports.Caller)."""

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


class _Question:
    """What control is being asked of one issuer. Mutable: who waits for the answer."""

    __slots__ = ("deadline_s", "waiting")

    def __init__(self, deadline_s: float) -> None:
        self.deadline_s = deadline_s
        self.waiting: dict[Waiting, None] = {}


class KeyWaits:
    """All that wait in one worker. Mutable: who waits for which issuer, and until when asking is of no use.

    `desk` is the gateway, in the three things that are done with a request. `ask` puts the question to control, if
    there is one; `soon` does one thing in a coming turn of the event loop, so that many who are answered at once do
    not hold it up.
    """

    def __init__(self, clock: Clock, desk: Desk, *, ask: Callable[[str], object], soon: Soon) -> None:
        self._clock = clock
        self._open = desk.open
        self._refuse = desk.refuse
        self._gone = desk.left
        self._failed = desk.failed
        self._ask = ask
        self._soon = soon
        self._live: set[Waiting] = set()
        self._questions: dict[str, _Question] = {}
        self._reopened: Request | None = None
        self._known: dict[str, tuple[float, KeysOutcome]] = {}
        self._answered: deque[tuple[Waiting, KeysOutcome]] = deque()

    def __len__(self) -> int:
        return len(self._live)

    def join(self, request: Request, refusal: KeyUnpublished) -> Answer:
        """Let a request wait; what is returned answers it, once its body is read.

        Raises:
            KeyUnpublished: its issuer does not publish the key, as far as may be known now.
            IssuerUnavailable: that cannot be known now, or too many wait.
        """
        try:
            if request is self._reopened:
                raise refusal
            now_s = self._clock.monotonic_s()
            until_s, known = self._known.get(refusal.issuer, (-math.inf, _UNREACHED))
            if now_s < until_s:
                raise refusal_for(refusal, KeysOutcome(known.reached, until_s - now_s))
            gone = partial(self._left, refusal.with_traceback(None))
            waiting = Waiting(request, refusal.issuer, now_s + PATIENCE_S, gone=gone, failed=self._failed)
            if len(self._live) >= WAITING_MAX or sum(one.size for one in self._live) + waiting.size > WAITING_BYTES_MAX:
                raise refusal_for(refusal, _UNREACHED)
            self._live.add(waiting)
            self._enqueue(waiting)
            return waiting.answer
        finally:
            del refusal  # Its traceback names this frame: what names one another, only the collector can take away.

    def answered(self, issuer: str, outcome: KeysOutcome) -> None:
        """Control's answer; the keys that it speaks of are in the newest world."""
        self._known[issuer] = self._clock.monotonic_s() + outcome.useless_s, outcome
        question = self._questions.pop(issuer, None)
        for waiting in () if question is None else question.waiting:
            self._answered.append((waiting, outcome))
            self._soon(self._look_again)

    def ask_again(self) -> None:
        """Put all open questions to another control process."""
        for issuer in self._questions:
            self._ask(issuer)

    def check_deadlines(self, now_s: float) -> None:
        """Refuse those that have waited for long enough. Called a few times a second."""
        for waiting in [one for one in self._live if one.deadline_s <= now_s]:
            self._decide(waiting, _UNREACHED)
        for issuer, question in tuple(self._questions.items()):
            if question.deadline_s <= now_s and not question.waiting:
                del self._questions[issuer]  # An answer that comes all the same does no harm.

    def cancel_all(self) -> None:
        """Refuse all that wait: jotgate stops."""
        self.check_deadlines(math.inf)

    def _enqueue(self, waiting: Waiting) -> None:
        waiting.asks += 1
        question = self._questions.get(waiting.issuer)
        if question is not None:
            question.waiting[waiting] = None
            return
        question = self._questions[waiting.issuer] = _Question(self._clock.monotonic_s() + PATIENCE_S)
        question.waiting[waiting] = None
        self._ask(waiting.issuer)

    def _look_again(self) -> None:
        waiting, outcome = self._answered.popleft()
        if waiting in self._live:
            self._decide(waiting, outcome)

    def _decide(self, waiting: Waiting, outcome: KeysOutcome) -> None:
        """Let the request go on, or be refused, unless it waits for another fetch.

        A fault that nobody foresaw goes on to the event loop, which tells of it; the caller has its answer by then.
        """
        answer: Answer | None = partial(self._failed, waiting.request, begun=False)
        try:
            answer = self._find_answer(waiting, outcome)
        finally:
            if answer is not None:
                self._forget(waiting)
                waiting.settle(answer)

    def _find_answer(self, waiting: Waiting, outcome: KeysOutcome) -> Answer | None:
        """Open the request anew: with the keys that have come it goes on, or is refused for what it is."""
        try:
            return self._open_again(waiting.request)
        except KeyUnpublished as refusal:
            if may_ask_again(outcome, waiting.asks):
                self._enqueue(waiting)  # The fetch that has ended may have begun before the key was there.
                return None
            return partial(self._refuse, waiting.request, refusal_for(refusal, outcome).with_traceback(None))
        except JotgateError as refusal:
            return partial(self._refuse, waiting.request, refusal.with_traceback(None))

    def _open_again(self, request: Request) -> Answer:
        self._reopened = request
        try:
            return self._open(request)
        finally:
            self._reopened = None

    def _left(self, refusal: KeyUnpublished, waiting: Waiting) -> None:
        if waiting in self._live:
            self._forget(waiting)
            self._gone(waiting.request, refusal)

    def _forget(self, waiting: Waiting) -> None:
        self._live.discard(waiting)
        question = self._questions.get(waiting.issuer)
        if question is not None:
            question.waiting.pop(waiting, None)


def _size(request: Request) -> int:
    """What the body of a request counts for, in bytes."""
    length = request.headers.get(b"content-length")
    if length is not None:
        return int(length)
    return _NO_LENGTH_BYTES if b"transfer-encoding" in request.headers else 0

"""One call at Coze, from what its caller asks to the end of the answer: what all modes of Coze have in common.

Nothing is told to the caller before there is something of the answer, so that whatever fails until then has a status
of its own. When nobody wants the answer any more, Coze is asked to stop; where it is not known yet what of, the run
listens until it is, for a moment.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.calls import Request, ResponseHead
from jotgate.core.coze_aims import aim_of
from jotgate.core.coze_asks import ChatAsk
from jotgate.core.coze_codes import CozeFault
from jotgate.core.coze_events import CozeEvent
from jotgate.core.coze_replies import Envelope, Reply
from jotgate.core.coze_sessions import session_of
from jotgate.core.owned_objects import ObjectAnswer, ObjectOrder
from jotgate.core.principals import Principal
from jotgate.core.problems import render
from jotgate.core.routes import Upstream
from jotgate.errors import RequestMalformed, UpstreamError, UpstreamFailed
from jotgate.ports import Stopping, UpstreamEvents
from jotgate.upstreams.coze_call import CozeCall, Line
from jotgate.upstreams.coze_modes import CozeAnswer, CozeOrder, Hearing, MakeMode, Mode
from jotgate.upstreams.coze_runs import FAREWELL_S, CozeRuns

_JSON: Final = [(b"content-type", b"application/json")]
_EVENTS: Final = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
_ID_BYTES: Final = 12


class _Named(Struct, frozen=True):
    model: str = ""


_decode_named: Final = msgspec.json.Decoder(_Named).decode


class Matter(Struct, frozen=True):
    """What one run is about: where it goes, who makes its mode, what its caller asks."""

    upstream: Upstream
    line: Line
    make: MakeMode
    ask: ChatAsk
    principal: Principal
    request: Request


class CozeRun:
    """One call (ports.UpstreamExchange, coze_modes.Room and Hearing). Mutable: its mode, and what is under way of it.

    It is over when its caller has been told the end, or wants to know nothing more and Coze was asked to stop.
    """

    def __init__(self, matter: Matter, events: UpstreamEvents, runs: CozeRuns) -> None:
        self.upstream: Final = matter.upstream
        self.ask: Final = matter.ask
        self.principal: Final = matter.principal
        self.aim: Final = aim_of(matter.request.aim, matter.ask.model)
        self.clock: Final = runs.clock
        name = f"chatcmpl-{runs.entropy.random_bytes(_ID_BYTES).hex()}"
        envelope = Envelope(name, int(runs.clock.now_s()), _named_by_caller(matter.request) or self.aim.alias)
        self.reply: Final = Reply(envelope, streams=matter.ask.stream, tells_usage=matter.ask.parameters.tells_usage)
        self._session = session_of(matter.principal, self.aim.label)
        self._matter = matter
        self._events: UpstreamEvents | None = events
        self._runs = runs
        self._mode: Mode | None = None
        self._call: CozeCall | None = None
        self._hearing: Hearing | None = None
        self._waiting: Callable[[], None] | None = None
        self._wake: tuple[float, Callable[[], None]] | None = None
        self._started = False
        self._begun = False
        self._paused = False
        self._stops = False  # nobody wants more of the answer
        self._told_to_stop = False
        self._until_s = 0.0  # until when it listens for what is to be stopped

    def start(self) -> None:
        """Make the mode, and begin."""
        if self._events is None:
            return
        try:
            self._mode = self._matter.make(self)
        except RequestMalformed as fault:
            self.decline(fault)
            return
        self._mode.start()

    # What the one who asked does (ports.UpstreamExchange)

    @property
    def written(self) -> bool:
        """Whether something was begun at Coze, or may have been."""
        call = self._call
        return self._started or (call is not None and call.order.starts and call.written)

    def abort(self) -> None:
        """Give up: Coze is asked to stop what it has begun."""
        self._events = None
        self._stops = True
        self._runs.live.discard(self)
        self._runs.leaving.add(self)
        self._until_s = self.clock.monotonic_s() + FAREWELL_S
        self._part()
        if self in self._runs.leaving:
            self.resume()

    def stop(self) -> Stopping:
        """Ask Coze to stop, and go on telling until it does."""
        if self._events is None or not self.written:
            self.abort()
            return "over"
        self._stops = True
        self.resume()
        self._part()
        return "asked"

    def pause(self) -> None:
        """Stop reading the answer until `resume`."""
        self._paused = True
        if self._call is not None:
            self._call.pause()

    def resume(self) -> None:
        """Read on."""
        self._paused = False
        if self._call is not None:
            self._call.resume()

    def check(self, now_s: float) -> None:
        """See what time it is. Called a few times a second."""
        if self._events is None and now_s > self._until_s:
            self._close()
            return
        if self._call is not None:
            self._call.check(now_s)
        wake = self._wake
        if wake is not None and now_s >= wake[0]:
            self._wake = None
            wake[1]()

    # What the mode asks for (coze_modes.Room)

    def order(self, order: CozeOrder, hearing: Hearing) -> None:
        """Ask something of Coze."""
        if self._events is None:
            self._close()  # Nobody wants what comes of it.
            return
        matter = self._matter
        if self._call is not None:
            self._call.drop()
        self._hearing = hearing
        self._call = CozeCall(order, self._session, matter.line, self.clock, self)
        if self._paused:
            self._call.pause()
        self._call.begin()

    def keep(self, order: ObjectOrder, then: Callable[[ObjectAnswer | None], None]) -> None:
        """Ask something of the owned objects; what is asked is done also where nobody waits for the answer."""

        def take(answer: ObjectAnswer | None) -> None:
            self._waiting = None
            then(answer)
            self._part()

        self._waiting = self._runs.keep(order, take)

    def note(self, order: ObjectOrder) -> None:
        """Change an owned object; nobody waits for what comes of it."""
        self._runs.keep(order, _ignore)

    def wake(self, at_s: float, then: Callable[[], None]) -> None:
        """Have `then` called at a time of the monotonic clock."""
        self._wake = (at_s, then)

    def tell(self, piece: bytes) -> None:
        """Pass on a piece; nothing, once the answer has begun: Coze is at work still."""
        events = self._events
        if events is None or not (piece or (self._begun and not self._paused)):
            return
        head = None if self._begun else ResponseHead(200, _EVENTS, None)
        self._begun = True
        events.received(head, piece, False)

    def finish(self, piece: bytes) -> None:
        """Pass on the rest, which completes the answer."""
        if self.reply.streams:
            self._end_with(None if self._begun else ResponseHead(200, _EVENTS, None), piece)
        else:
            self._end_with(ResponseHead(200, _JSON, len(piece)), piece)

    def refuse(self, fault: CozeFault) -> None:
        """End the call with what Coze has refused: with a status, or with an error in the stream."""
        if self._begun:
            self.fail(UpstreamFailed(fault.message.rstrip(".")))  # A full stop is set where it is told.
            return
        body, headers = fault.body(), list(_JSON)
        if fault.meaning.retry_after_s:
            headers.append((b"retry-after", b"%d" % fault.meaning.retry_after_s))
        self._end_with(ResponseHead(fault.meaning.status, headers, len(body)), body)

    def decline(self, fault: RequestMalformed) -> None:
        """End the call with what its caller has asked wrongly."""
        self._end_with(*declined(fault))

    def fail(self, error: UpstreamError) -> None:
        """End the call, as it cannot be done."""
        written = self.written
        events = self._end()
        if events is not None:
            events.failed(error, written)

    # What comes of an order (coze_modes.Hearing)

    def answered(self, answer: CozeAnswer) -> None:
        """Coze has answered."""
        self._let_go().answered(answer)
        self._part()

    def heard(self, events: Sequence[CozeEvent]) -> None:
        """Events have come."""
        if self._hearing is not None:
            self._hearing.heard(events)
            self._part()

    def ended(self) -> None:
        """The stream has ended."""
        self._let_go().ended()
        self._part()

    def refused(self, fault: CozeFault) -> None:
        """Coze has refused it: nothing runs there by this order."""
        self._let_go(begun=False).refused(fault)
        self._part()

    def lost(self, error: UpstreamError) -> None:
        """Nobody knows what came of it."""
        self._let_go().lost(error)
        self._part()

    # How it ends

    def _let_go(self, *, begun: bool = True) -> Hearing:
        """Forget the order that is over; whoever asked it."""
        call, hearing = self._call, self._hearing
        assert call is not None
        assert hearing is not None
        self._started = self._started or (begun and call.order.starts and call.written)
        self._call = self._hearing = None
        return hearing

    def _part(self) -> None:
        """Ask Coze to stop, once, when nobody wants more and it is known of what; end where nobody listens."""
        mode, call = self._mode, self._call
        if not self._stops or (mode is not None and mode.nascent and call is not None and call.written):
            return
        order = self._last_order()
        if self._events is None:
            self._close()
        if order is not None:
            self._runs.take_leave(order, self._session, self._matter.line)

    def _last_order(self) -> CozeOrder | None:
        """What stops what runs at Coze, if anything was begun there; said once."""
        mode = self._mode
        if mode is None or self._told_to_stop or not self.written:
            return None
        self._told_to_stop = True
        return mode.farewell()

    def _end_with(self, head: ResponseHead | None, piece: bytes) -> None:
        events = self._end()
        if events is not None:
            events.received(head, piece, True)

    def _end(self) -> UpstreamEvents | None:
        """Close, and ask Coze to stop what runs there still; who is to be told the end."""
        events, order = self._events, self._last_order()
        self._close()
        if order is not None:
            self._runs.take_leave(order, self._session, self._matter.line)
        return events

    def _close(self) -> None:
        call, waiting = self._call, self._waiting
        self._events = self._mode = self._call = self._hearing = self._waiting = self._wake = None
        self._runs.live.discard(self)
        self._runs.leaving.discard(self)
        if call is not None:
            call.drop()
        if waiting is not None:
            waiting()


def declined(fault: RequestMalformed) -> tuple[ResponseHead, bytes]:
    """How a call is answered whose caller has asked wrongly."""
    body = render(fault).body
    return ResponseHead(fault.status, _JSON, len(body)), body


def _ignore(answer: ObjectAnswer | None) -> None:
    """Whatever it is."""


def _named_by_caller(request: Request) -> str:
    """The model as the caller wrote it."""
    try:
        return _decode_named(request.body).model
    except (msgspec.DecodeError, RecursionError):
        return ""

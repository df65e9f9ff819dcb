"""The life of a call: authenticate → admit → forward → relay → settle.

The edge calls `open` when a request's head is read, and what that returns when its body is. Every request that gets
this far ends in one audit record: settled calls by their relay, refusals here.
"""

import math
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from jotgate.core.calls import Request
from jotgate.core.dialects import render_for
from jotgate.core.principals import NOBODY, Principal
from jotgate.core.proof_times import Sight
from jotgate.core.socket_tickets import ShownTicket
from jotgate.core.status_references import StatusQuestion
from jotgate.core.values import Secret
from jotgate.errors import (
    AuditUnavailable,
    ControlStale,
    InternalError,
    JotgateError,
    NotReady,
)
from jotgate.gateway.admission import Call, admit, authenticate
from jotgate.gateway.cuts import Cuts
from jotgate.gateway.decision_answers import DecisionAnswers
from jotgate.gateway.finding import Answerers
from jotgate.gateway.forward import find_attempt, look_again, send_attempt, send_call
from jotgate.gateway.identities import Identities
from jotgate.gateway.key_waits import KeyWaits
from jotgate.gateway.lacks import LACKS, Lacks
from jotgate.gateway.mcp_door import McpDoor
from jotgate.gateway.metered_calls import MeteredCalls
from jotgate.gateway.metered_plain import Answering, MeteredPlain
from jotgate.gateway.passage import ControlDoor
from jotgate.gateway.plain_answers import CALLER_GONE, FaceOperation, Opened, PlainAnswers
from jotgate.gateway.proof_waits import ProofWaits
from jotgate.gateway.records import CallRecorder
from jotgate.gateway.relay import Relay
from jotgate.gateway.seats import OwnMarks, Seats
from jotgate.gateway.sockets import Sockets
from jotgate.gateway.statuses import Statuses
from jotgate.gateway.throttle import FailedAttempts
from jotgate.gateway.ticket_waits import TicketWaits
from jotgate.gateway.token_waits import TokenWaits
from jotgate.gateway.waits import Soon
from jotgate.gateway.world import World
from jotgate.ports import Answer, Caller, Clock, Running

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_AUDIT_FULL: Final = "the audit buffer is full, and no call is let through unrecorded"
_STALE: Final = "the control process or its store has been silent for too long"
_JUDGED_FOR_S: Final = 0.5
"""A token is looked at again when its call begins so much later than its head came."""
_CHECKED_AT_ONCE: Final = 1_000


def _begun_s(relay: Relay) -> float:
    return relay.call.request.begun_s


class Gateway:
    """All calls of one worker. Mutable: the world, the live calls and those that wait, when control spoke."""

    def __init__(
        self,
        *,
        clock: Clock,
        recorder: CallRecorder,
        instance: str,
        soon: Soon,
        control: ControlDoor | None = None,
    ) -> None:
        self.clock: Final = clock
        self._clock = clock
        self._recorder = recorder
        self.attempts: Final = FailedAttempts(clock) if control is None else control.attempts
        self._instance = instance
        self._world: World | None = None
        self._control_seen_s = self._known_until_s = -math.inf
        self._requests = 0
        self._soon = soon
        self.live: set[Relay] = set()
        self.cuts: Final = Cuts(self.live, clock, soon)
        self.seats = Seats(OwnMarks())
        self._lacks: Final = Lacks()
        self.metered: Final = MeteredCalls(clock, self, recorder.trail, soon)
        counted = MeteredPlain(clock, self, recorder.trail, self.metered)
        plain = PlainAnswers(recorder, control)
        self._decisions: Final = DecisionAnswers(recorder)
        sockets = Sockets(clock, self, self.metered, plain)
        self._answerers: Final = Answerers(plain, counted, self._decisions, self._forward, sockets.by_path)
        self._mcp: McpDoor | None = None

    def fetch_keys_by(self, ask: Callable[[str], object], soon: Soon) -> KeyWaits:
        """Let requests wait for keys that are not held: `ask` has those of an issuer fetched; see `KeyWaits`."""
        waits = self._lacks.keys = KeyWaits(self._clock, self, ask=ask, soon=soon)
        return waits

    def find_tokens_by(self, ask: Callable[[bytes], object], soon: Soon) -> TokenWaits:
        """Let requests wait for what control says of a personal token: `ask` asks it; see `TokenWaits`."""
        waits = self._lacks.tokens = TokenWaits(self._clock, self, ask=ask, soon=soon)
        self.cuts.ask = ask
        return waits

    def judge_proofs_by(self, ask: Callable[[int, Sight], object], soon: Soon) -> ProofWaits:
        """Let requests wait for what control says of their DPoP proofs: `ask` asks it; see `ProofWaits`."""
        waits = self._lacks.proofs = ProofWaits(self._clock, self, ask=ask, soon=soon, instance=self._instance)
        return waits

    def redeem_tickets_by(self, ask: Callable[[int, ShownTicket], object], soon: Soon) -> TicketWaits:
        """Let handshakes wait for what control says of their tickets: `ask` asks it; see `TicketWaits`."""
        waits = self._lacks.tickets = TicketWaits(self._clock, self, ask=ask, soon=soon, instance=self._instance)
        return waits

    def tell_identities_by(self, ask: Callable[[bytes, Secret], object], soon: Soon) -> Identities:
        """Let upstreams of decisions be told by tokens who calls: `ask` has control make them; see `Identities`."""
        waits = self._lacks.identities = self._decisions.identities = Identities(self._clock, self, ask=ask, soon=soon)
        return waits

    def look_up_statuses_by(self, ask: Callable[[StatusQuestion], object], soon: Soon) -> Statuses:
        """Let requests wait for what issuers say in status lists: `ask` asks control; see `Statuses`."""
        waits = self._lacks.statuses = Statuses(self._clock, self, ask=ask, soon=soon)
        return waits

    def serve_mcp(self, door: McpDoor) -> None:
        """Have requests for MCP servers answered by this."""
        self._mcp = door
        self._answerers.mcp = door.answer

    @property
    def world(self) -> World | None:
        """The current world; None before the first snapshot."""
        return self._world

    def swap(self, world: World) -> None:
        """Let calls that begin from now on see this world; running calls keep theirs while their token counts in it.

        It is no fresher than control says that it is; where control has said nothing yet, it is fresh.
        """
        self._world = world
        self.attempts.limit(world.limits)
        self.cuts.swap(world)
        if self._lacks.identities is not None:
            self._lacks.identities.enter(world)
        self.metered.enter(world)
        if self._control_seen_s == -math.inf:
            self._control_seen_s = self._clock.monotonic_s()
        self._known_until(world)

    def control_seen(self, age_s: float = 0.0) -> None:
        """Control has just said that its picture, which the worlds are made of, was right `age_s` seconds ago."""
        self._control_seen_s = self._clock.monotonic_s() - age_s
        if self._world is not None:
            self._known_until(self._world)

    def _known_until(self, world: World) -> None:
        self._known_until_s = self._control_seen_s + world.limits.max_staleness_s
        self.cuts.know_until(self._known_until_s)

    @property
    def control_age_s(self) -> float:
        """Seconds for which nothing has been heard of control that would confirm what is held."""
        return 0.0 if self._control_seen_s == -math.inf else self._clock.monotonic_s() - self._control_seen_s

    def age_s(self, request: Request) -> float:
        """Seconds since a request began."""
        return self._clock.monotonic_s() - request.begun_s

    def fresh_world(self) -> World:
        """The current world.

        Raises:
            NotReady: there is none yet.
            ControlStale: control, or the store towards control, has been silent for longer than
                `limits.max_staleness_s`.
            AuditUnavailable: the audit buffer is full.
        """
        world = self._world
        if world is None:
            raise NotReady("this worker has no snapshot yet", hint="Try again in a moment")
        if self._clock.monotonic_s() > self._known_until_s:
            raise ControlStale(_STALE)
        if self._recorder.trail.full:
            raise AuditUnavailable(_AUDIT_FULL)
        return world

    def serve(self, face: str, operations: Iterable[FaceOperation]) -> None:
        """Let a face have these operations beside those of the table; said again, they take the place of the same."""
        self._answerers.serve(face, operations)

    def name(self, request: Request) -> str:
        """The caller's request id if it is one, else the next of this worker's own."""
        given = request.headers.get(b"x-request-id")
        if given is not None and _REQUEST_ID.fullmatch(given):
            return given.decode("ascii")
        self._requests += 1
        return f"req-{self._instance}-{self._requests:x}"

    def open(self, request: Request) -> Answer:
        """Name the request, find its operation and authenticate it; what answers it once its body is read.

        Raises:
            RequestError, TokenError, Unavailable: the request goes no further; hand the error to `refuse`.
        """
        request.request_id = self.name(request)
        if self.attempts.blocked:
            self.attempts.require(request, self._world)
        return self.judge(request, request.begun_s)

    def judge(self, request: Request, since_s: float) -> Answer:
        """Decide a head by what is known now; until half a second after `since_s` it need not be decided again."""
        try:
            world = self.fresh_world()
        except ControlStale:
            world = self._stale_world(request)
        anyone = None
        world = world.of_request(request)
        if request.face:
            operation, answer = self._answerers.find_at_face(request)
            anyone = request.vouched or (NOBODY if request.asked is not None and request.asked.public else world.anyone)
        else:
            operation, answer = self._answerers.find(request)
        request.operation = operation.name
        if not operation.socket:
            request.handshake = None  # It is read as the request that it is without its wish.
        now_s, fresh_s = self._clock.now_s(), since_s + _JUDGED_FOR_S
        if anyone is not None:  # No credential is looked at.
            return partial(self._answer, answer, Opened(request, world, operation, anyone, now_s, fresh_s))
        try:
            principal = authenticate(request, operation, world, now_s)
            if principal.status is not None or request.asked is not None:
                self._lacks.require(request, principal, world, now_s)
        except LACKS as refusal:
            return self._lacks.join(request, refusal)
        return partial(self._answer, answer, Opened(request, world, operation, principal, now_s, fresh_s))

    def _stale_world(self, request: Request) -> World:
        """The world for a request that goes on only if a policy lets it although what was revoked is not known.

        Raises:
            ControlStale: no policy lets anything.
            AuditUnavailable: the audit buffer is full.
        """
        world = self._world
        if world is None or world.desk is None or not world.desk.policies.stale:
            raise ControlStale(_STALE)
        if self._recorder.trail.full:
            raise AuditUnavailable(_AUDIT_FULL)
        request.stale = True
        return world

    def refuse(self, request: Request, refusal: JotgateError, caller: Caller) -> None:
        """Tell the caller no, and record it."""
        self.attempts.note(request, refusal)
        self._refuse(request, refusal, caller, None)

    def refuse_call(self, call: Call, refusal: JotgateError, caller: Caller) -> None:
        """Tell the caller of an admitted call no, and record it."""
        self._refuse(call.request, refusal, caller, call.principal)

    def left_call(self, call: Call, refusal: JotgateError) -> None:
        """Record that the caller of an admitted call left before it was sent; `refusal` is what stood against it."""
        self._recorder.refused(call.request, call.principal, refusal, status=CALLER_GONE)

    def refuse_opened(self, opened: Opened, refusal: JotgateError, caller: Caller) -> None:
        """Tell the caller of a request that is decided no, and record it."""
        self._refuse(opened.request, refusal, caller, opened.principal)

    def left_opened(self, opened: Opened, refusal: JotgateError) -> None:
        """Record that the caller of such a request left before it was answered."""
        self._recorder.refused(opened.request, opened.principal, refusal, status=CALLER_GONE)

    def left(self, request: Request, refusal: JotgateError) -> None:
        """Record that the caller of a request left before it was decided; `refusal` is what stood against it."""
        self.attempts.note(request, refusal)
        self._recorder.refused(request, None, refusal, status=CALLER_GONE)

    def failed(self, request: Request, caller: Caller, *, begun: bool) -> None:
        """End a request that met a fault which nobody foresaw; `begun`: the caller has had some of an answer."""
        error = InternalError("jotgate failed to answer this request")
        relay = next((one for one in self.live if one.call.request is request), None)
        if relay is not None:
            relay.refuse(error)
        elif begun:
            caller.abort()
        else:
            self.refuse(request, error, caller)

    def check_deadlines(self) -> None:
        """Give up the live calls whose upstream has exceeded a deadline, and send those that need wait no longer.

        Called a few times a second.
        """
        now_s = self._clock.monotonic_s()
        self._lacks.check_deadlines(now_s)
        self.metered.tick(now_s)
        self.cuts.tick()
        if self._mcp is not None:
            self._mcp.news.look()
        self._check_some(list(self.live), [], now_s)

    def _check_some(self, left: list[Relay], waiting: list[Relay], now_s: float) -> None:
        """Check so many of the calls that are left as hold up no other; behind the last, those that wait are sent."""
        young: list[Relay] = []
        for relay in left[-_CHECKED_AT_ONCE:]:
            relay.check_deadlines(now_s)
            if relay.watch is None:
                young.append(relay)
            if relay.waits:
                waiting.append(relay)
        self.cuts.look_at(young)
        del left[-_CHECKED_AT_ONCE:]
        if left:
            self._soon(partial(self._check_some, left, waiting, now_s))
            return
        for relay in sorted(waiting, key=_begun_s):
            if relay.waits:
                look_again(relay, self._clock)

    def cancel_all(self) -> None:
        """Settle every live call: jotgate stops, and their time to end by themselves is over."""
        self._lacks.cancel_all()
        self.metered.waits.cancel_all()
        if self._mcp is not None:
            self._mcp.close()
        for relay in tuple(self.live):
            relay.cancel()

    def _answer(self, answer: Answering, opened: Opened, caller: Caller) -> Running | None:
        try:
            now_s = self._clock.monotonic_s()
            if now_s > opened.fresh_s:
                # The body came late, or others were answered first: what was good may have ended or been revoked.
                opened.request.stale = False
                return self.judge(opened.request, now_s)(caller)
            if self._recorder.trail.full:
                raise AuditUnavailable(_AUDIT_FULL)
            return answer(opened, caller)
        except JotgateError as refusal:
            self._refuse(opened.request, refusal, caller, opened.principal)
            return None

    def _forward(self, opened: Opened, caller: Caller) -> Running | None:
        world, principal = opened.world, opened.principal
        call = admit(opened.request, opened.operation, principal, world, opened.now_s)
        if world.metered or principal.limits:
            return self.metered.forward(call, caller, opened.fresh_s)
        return self.start(Relay(call, caller, self._clock, next_attempt=self.attempt_next, settle=self.settle))

    def take(self, relay: Relay) -> None:
        """Take a call among those that run, which is not to be sent."""
        self.live.add(relay)

    def start(self, relay: Relay) -> Relay:
        """Take a call among those that run, and send it."""
        self.take(relay)
        send_call(relay, self._clock)
        return relay

    def attempt_next(self, relay: Relay) -> bool:
        """Send a call to its next upstream; whether there is one."""
        index = find_attempt(relay, self._clock)
        if index is None:
            return False
        self._recorder.passed_over(relay)
        send_attempt(relay, index, self._clock)
        return True

    def _refuse(self, request: Request, refusal: JotgateError, caller: Caller, principal: Principal | None) -> None:
        request.request_id = request.request_id or self.name(request)
        world = self._world
        about = ("", "") if world is None else world.told_of(request.path)
        problem = render_for(request, refusal, *about)
        lines = b"X-Request-Id: %b\r\n" % request.request_id.encode("ascii") + problem.lines
        caller.respond(problem.status, lines, problem.body)
        self._recorder.refused(request, principal, refusal, status=problem.status)

    def settle(self, relay: Relay) -> None:
        """Record a call that has ended."""
        self.live.discard(relay)
        if relay.watch is not None:
            self.cuts.settled(relay)
        self._recorder.settled(relay)

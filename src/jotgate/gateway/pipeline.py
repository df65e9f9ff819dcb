"""The life of a call: authenticate → admit → forward → relay → settle.

The edge calls `open` when a request's head is read and `run` when its body is. Every request that gets this far ends
in one audit record: settled calls by their relay, refusals here.
"""

import re
from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.calls import Request
from jotgate.core.operations import Operation, find_operation
from jotgate.core.principals import Principal
from jotgate.core.problems import render
from jotgate.errors import AuditUnavailable, ControlStale, JotgateError, NotReady
from jotgate.gateway.admission import Call, admit, authenticate, find_alias, permitted_aliases
from jotgate.gateway.forward import send_attempt, send_next_attempt
from jotgate.gateway.records import Recorder
from jotgate.gateway.relay import Relay
from jotgate.gateway.world import World
from jotgate.ports import Caller, Clock, Running

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_JSON_LINES: Final = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
_encode_json: Final = msgspec.json.Encoder().encode


class _Model(Struct, frozen=True):
    id: str
    owned_by: str
    object: str = "model"
    created: int = 0


class _ModelList(Struct, frozen=True):
    data: list[_Model]
    object: str = "list"


class Gateway:
    """All calls of one worker. Mutable: the current world, the live calls, the time of control's last word."""

    def __init__(self, *, clock: Clock, recorder: Recorder, instance: str) -> None:
        self._clock = clock
        self._recorder = recorder
        self._instance = instance
        self._world: World | None = None
        self._control_seen_s = 0.0
        self._requests = 0
        self.live: set[Relay] = set()

    @property
    def world(self) -> World | None:
        """The current world; None before the first snapshot."""
        return self._world

    def swap(self, world: World) -> None:
        """Let calls that begin from now on see this world; running calls keep theirs."""
        self._world = world
        self.control_seen()

    def control_seen(self) -> None:
        """Control has just spoken: what is held is fresh."""
        self._control_seen_s = self._clock.monotonic_s()

    def fresh_world(self) -> World:
        """The current world.

        Raises:
            NotReady: there is none yet.
            ControlStale: control has been silent for longer than `limits.max_staleness_s`.
            AuditUnavailable: the audit buffer is full.
        """
        world = self._world
        if world is None:
            raise NotReady("this worker has no snapshot yet", hint="Try again in a moment")
        if self._clock.monotonic_s() - self._control_seen_s > world.limits.max_staleness_s:
            raise ControlStale("the control process has been silent for too long")
        if self._recorder.full:
            raise AuditUnavailable("the audit buffer is full, and no call is let through unrecorded")
        return world

    def open(self, request: Request) -> None:
        """Name the request, find its operation and authenticate it; a refusal is kept in the request."""
        request.request_id = self._name(request.headers.get(b"x-request-id"))
        try:
            world = self.fresh_world()
            request.operation = find_operation(request.method, request.path)
            request.principal = authenticate(request, world, self._clock.now_s())
        except JotgateError as refusal:
            request.refusal = refusal

    def run(self, request: Request, caller: Caller) -> Running | None:
        """Answer an opened request; what runs on after this returns is told of the caller's fate."""
        try:
            if request.refusal is not None:
                raise request.refusal
            operation, principal = request.operation, request.principal
            if operation is None or principal is None:
                raise NotReady("the request was never opened")
            world = self.fresh_world()
            if not operation.forwarded:
                self._answer_models(request, operation, principal, world, caller)
                return None
            call = admit(request, operation, principal, world)
        except JotgateError as refusal:
            self._refuse(request, refusal, caller)
            return None
        return self._forward(call, world, caller)

    def check_deadlines(self) -> None:
        """Give up the live calls whose upstream has exceeded a deadline. Called a few times a second."""
        now_s = self._clock.monotonic_s()
        for relay in tuple(self.live):
            relay.check_deadlines(now_s)

    def _forward(self, call: Call, world: World, caller: Caller) -> Relay:
        def next_attempt(relay: Relay) -> None:
            send_next_attempt(relay, world)

        relay = Relay(call, caller, self._clock, next_attempt=next_attempt, settle=self._settle)
        self.live.add(relay)
        send_attempt(relay, world)
        return relay

    def _name(self, given: bytes | None) -> str:
        if given is not None and _REQUEST_ID.fullmatch(given):
            return given.decode("ascii")
        self._requests += 1
        return f"req-{self._instance}-{self._requests:x}"

    def _answer_models(
        self, request: Request, operation: Operation, principal: Principal, world: World, caller: Caller
    ) -> None:
        alias = find_alias(request, principal, operation, world)
        aliases = [alias] if alias else permitted_aliases(principal, world)
        rows = [_Model(name, world.routes[name].attempts[0].upstream) for name in aliases]
        body = _encode_json(rows[0] if alias else _ModelList(rows))
        lines = b"X-Request-Id: %b\r\n" % request.request_id.encode("ascii") + _JSON_LINES
        caller.respond(200, lines, body)
        self._recorder.answered(request, principal, model=alias, bytes_out=len(body))

    def _refuse(self, request: Request, refusal: JotgateError, caller: Caller) -> None:
        problem = render(refusal)
        if not request.request_id:
            request.request_id = self._name(request.headers.get(b"x-request-id"))
        lines = b"X-Request-Id: %b\r\n" % request.request_id.encode("ascii") + problem.lines
        caller.respond(problem.status, lines, problem.body)
        self._recorder.refused(request, problem.status, refusal.code)

    def _settle(self, relay: Relay) -> None:
        self.live.discard(relay)
        self._recorder.settled(relay)

"""Opens WebSockets: admits what a handshake asks for, and has it sent to the upstreams of its route as a call is."""

from collections.abc import Mapping
from functools import partial
from typing import Final, Protocol
from urllib.parse import parse_qsl

from msgspec import structs

from jotgate.core.calls import Body, Request
from jotgate.core.operations import CLIENT_SECRETS_PATH, RESPONSES, SOCKET_PATHS, TICKETS_PATH, find_operation
from jotgate.core.policies import Allow
from jotgate.core.realtime_secrets import read_secret_order
from jotgate.core.routes import Route
from jotgate.core.snapshot import Limits
from jotgate.core.socket_tickets import read_ticket_ask
from jotgate.errors import (
    ControlStale,
    JotgateError,
    QuotaUnavailable,
    RequestMalformed,
    TokenBound,
    UnitsUnresolved,
    UnknownModel,
    UnknownOperation,
    UpgradeRequired,
)
from jotgate.gateway.admission import Call, admitted, expect, permit, permit_unnamed
from jotgate.gateway.credentials import require_place
from jotgate.gateway.cuts import Cuts
from jotgate.gateway.metered_calls import NO_METERING, MeteredCalls
from jotgate.gateway.metered_plain import Answering
from jotgate.gateway.plain_answers import Opened, PlainAnswers
from jotgate.gateway.realtime import RealtimeTalk
from jotgate.gateway.relay import Relay
from jotgate.gateway.reserving import Quotas
from jotgate.gateway.responses_talk import ResponsesTalk
from jotgate.gateway.socket_relay import SocketRelay
from jotgate.gateway.unit_waits import Trial
from jotgate.gateway.world import World
from jotgate.ports import Answer, Caller, Clock, Running
from jotgate.services.meter_reservations import Need
from jotgate.socket_ports import SocketBounds

_PROTOCOL: Final = b"realtime"
_ONE_RESPONSE: Final = Need(output_tokens=1, output_least=1)


class Hub(Protocol):
    """The gateway, in the things that are done with sockets."""

    @property
    def cuts(self) -> Cuts:
        """What ends calls whose token has ended."""

    def judge(self, request: Request, since_s: float) -> Answer:
        """Decide a head anew. Raises JotgateError."""

    def fresh_world(self) -> World:
        """The newest world. Raises where none may be used."""

    def start(self, relay: Relay) -> Relay:
        """Take a call among those that run, and send it."""

    def attempt_next(self, relay: Relay) -> bool:
        """Send a call to its next upstream; whether there is one."""

    def settle(self, relay: Relay) -> None:
        """Record a call that has ended."""

    def refuse_call(self, call: Call, refusal: JotgateError, caller: Caller) -> None:
        """Tell the caller of an admitted call no, and record it."""

    def left_call(self, call: Call, refusal: JotgateError) -> None:
        """Record that the caller of an admitted call left before it was sent."""


class Sockets:
    """Those of one worker."""

    def __init__(self, clock: Clock, hub: Hub, calls: MeteredCalls, plain: PlainAnswers) -> None:
        self._clock = clock
        self._hub = hub
        self._calls = calls
        self._plain = plain
        self.by_path: Final[Mapping[bytes, Answering]] = {
            b"/v1/realtime": self.relayed,
            b"/v1/responses": self.relayed,
            CLIENT_SECRETS_PATH: self.mint,
            TICKETS_PATH: self.issue_ticket,
        }
        """What answers what asks for a WebSocket, or for what opens one."""

    def relayed(self, opened: Opened, caller: Caller) -> Running | None:
        """Open one to the upstream of a model, or let it wait for units of its quotas. Raises as `admit_socket`."""
        call = admit_socket(opened)
        try:
            answer = self._reserve(call)
        except UnitsUnresolved as refusal:
            trial = Trial(
                partial(self._try_again, call, opened.fresh_s),
                partial(self._refuse, call),
                partial(self._hub.left_call, call),
            )
            try:
                return self._calls.waits.join(call.request, trial, refusal, caller)
            except JotgateError as verdict:
                return self._refuse(call, verdict.with_traceback(None), caller)
        return answer(caller)

    def mint(self, opened: Opened, caller: Caller) -> Running:
        """Have control mint a secret for a model. Raises as `admit_named`, RequestMalformed, ControlUnreachable.

        A secret is a token of this installation's, which no face takes: there are none at faces.
        """
        if opened.request.face:
            raise UnknownOperation(
                "secrets for pages are made at the gateway's own listener, and are good there",
                hint="Get the page a ticket here: POST /v1/ws-tickets",
            )
        _require_bearer(opened)
        order = read_secret_order(opened.request.body)
        _, allowed = admit_named(opened, order.model)
        policy = allowed.policy if opened.request.stale else ""
        return self._plain.hand_on(opened, caller, policy=policy, model=order.model)

    def issue_ticket(self, opened: Opened, caller: Caller) -> Running:
        """Have control issue a ticket for a WebSocket that the caller may open, as far as no model is known.

        Where a face opens WebSockets of its own, what is said on one is decided message by message.
        Raises as `permit_unnamed`, RequestMalformed, TokenBound, ControlUnreachable.
        """
        request, policy = opened.request, ""
        _require_bearer(opened)
        asked = read_ticket_ask(request.body, request.face)
        path = asked.path.encode()
        if path in SOCKET_PATHS:
            operation = find_operation(b"GET", path)
            allowed = permit_unnamed(request, opened.principal, operation, opened.world, opened.now_s)
            policy = allowed.policy if allowed is not None and request.stale else ""
        elif request.stale:
            raise ControlStale("what was revoked is not known, and no policy lets this call go on without")
        return self._plain.hand_on(opened, caller, policy=policy, whom=opened.principal if request.face else None)

    def _try_again(self, call: Call, fresh_s: float) -> Answer:
        now_s = self._clock.monotonic_s()
        return self._reserve(call) if now_s <= fresh_s else self._hub.judge(call.request, now_s)

    def _reserve(self, call: Call) -> Answer:
        """See that a response could be had at all; what opens the connection then. Raises JotgateError."""
        quotas = self._quotas_of(call)
        if quotas is not None:
            now_s = self._clock.monotonic_s()
            probe = quotas.metering.reserve(call.principal, call.route.alias, call.operation.name, _ONE_RESPONSE, now_s)
            if probe is not None:
                probe.void()
        return partial(self._open, call)

    def _open(self, call: Call, caller: Caller) -> Running:
        hub = self._hub
        relay = SocketRelay(call, caller, self._clock, next_attempt=hub.attempt_next, settle=hub.settle)
        kind = ResponsesTalk if call.operation.name == RESPONSES else RealtimeTalk
        talk = kind(
            relay, self._clock, self._quotas_of, listen=self._calls.listen, world=hub.fresh_world, renewed=self._renewed
        )
        handshake = call.request.handshake
        spoken = _PROTOCOL if handshake is not None and _PROTOCOL in handshake.protocols else b""
        relay.begin(talk, bounds_of(call.world.limits), spoken)
        return hub.start(relay)

    def _quotas_of(self, call: Call) -> Quotas | None:
        """Where a call reserves that quotas may meet, by the newest world and the token that it goes on with.

        Raises:
            QuotaUnavailable, ControlStale: nobody can say.
        """
        if not (call.principal.limits or self._hub.fresh_world().of_request(call.request).metered):
            return None
        if self._calls.quotas is None:
            raise QuotaUnavailable(NO_METERING)
        return self._calls.quotas

    def _renewed(self, relay: SocketRelay) -> None:
        self._hub.cuts.look_at([relay])

    def _refuse(self, call: Call, refusal: JotgateError, caller: Caller) -> Running | None:
        self._hub.refuse_call(call, refusal, caller)
        return None


def _require_bearer(opened: Opened) -> None:
    """Refuse a token that is bound to a key: whoever holds what is got for it could prove nothing. Raises TokenBound.

    One that is bound to a certificate is proven by each connection, so that what stands for it is too.
    """
    if opened.request.possession is not None:
        raise TokenBound(
            "the token is bound to a key, and what a page is given in its place could not be proven by one",
            by_key=True,
            hint="Open the WebSocket as its holder, with 'Authorization: DPoP TOKEN' and a proof",
        )


def bounds_of(limits: Limits) -> SocketBounds:
    """What a client may do on a WebSocket."""
    return SocketBounds(limits.message_bytes, limits.messages_per_s, limits.messages_at_once)


def admit_socket(opened: Opened) -> Call:
    """Authorize a WebSocket for the model that its query names, and find its route.

    Raises:
        UpgradeRequired: the request asks for none.
        RequestMalformed: it does not name one model, or one that is not had over a WebSocket.
        TokenMissing, ClaimRefused, PermissionRefused, UnknownModel, ControlStale: as for a call.
    """
    request, world, principal = opened.request, opened.world, opened.principal
    if request.handshake is None:
        raise UpgradeRequired("this path is a WebSocket, and the request asks for none as RFC 6455 has it")
    named = [value for name, value in parse_qsl(request.query.decode("latin-1"), True) if name == "model"]
    if len(named) != 1 or not named[0]:
        raise RequestMalformed("the query names no 'model', or more than one", param="model")
    route, allowed = admit_named(opened, named[0])
    body = Body({}, b"", named[0], True)
    attempts = tuple(one for one in route.attempts if world.places[one.upstream].upstream.kind == "openai")
    if not attempts:
        raise RequestMalformed(
            "this model is not had over a WebSocket", hint="Ask it at /v1/chat/completions", param="model"
        )
    if len(attempts) < len(route.attempts):
        route = structs.replace(route, attempts=attempts)
    return admitted(Call(request, opened.operation, principal, body, route, world, route.ended_tokens), allowed)


def admit_named(opened: Opened, model: str) -> tuple[Route, Allow]:
    """Authorize what is asked about a model, and find its route.

    Raises:
        TokenMissing, ClaimRefused, PermissionRefused, UnknownModel, ControlStale: as for a call.
    """
    request, world, now_s = opened.request, opened.world, opened.now_s
    route = world.routes.get(model)
    if request.credential_place:
        require_place(request, route)
    if route is not None and route.expects is not None:
        expect(request, opened.principal, route.expects, world, now_s)
    allowed = permit(request, opened.principal, opened.operation, world, now_s, model=model)
    if route is None:
        raise UnknownModel("no route carries this model")
    return route, allowed

"""What all who answer MCP clients share: the gateway behind them, how a message is started, how a result is told."""

from collections.abc import Callable, Collection
from typing import Final, Protocol

import msgspec
from msgspec import Raw, Struct

from jotgate.core.calls import Body, Outbound
from jotgate.core.mcp_messages import SESSION_FIELD, Message
from jotgate.core.mcp_operations import TOOLS_CALL
from jotgate.core.mcp_reader import Members
from jotgate.core.mcp_servers import McpServer
from jotgate.core.operations import Operation
from jotgate.core.payloads import Payload
from jotgate.core.policies import Allow
from jotgate.errors import JotgateError, NotReady, UpstreamError
from jotgate.gateway.admission import Call
from jotgate.gateway.headers import request_id_line
from jotgate.gateway.mcp_asking import Asker, ask
from jotgate.gateway.mcp_book import ToolBook
from jotgate.gateway.mcp_metering import McpMetering, settle
from jotgate.gateway.mcp_peers import Peers
from jotgate.gateway.mcp_pending import Pending, Work
from jotgate.gateway.mcp_relay import McpRelay, Plan
from jotgate.gateway.mcp_talk import Talk
from jotgate.gateway.plain_answers import Opened
from jotgate.gateway.records import CallRecorder
from jotgate.gateway.relay import Relay
from jotgate.gateway.world import Place, World
from jotgate.ports import Caller, Clock, Entropy, Running
from jotgate.services.meter_reservations import Reservation

JSON_LINES: Final = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
_POST: Final = b"POST"
_ACCEPTED: Final = 202
_ACCEPT: Final = b"Accept: application/json, text/event-stream\r\n"
_encode: Final = msgspec.json.Encoder().encode


class Hub(Protocol):
    """The gateway, in the things that are done with messages."""

    @property
    def live(self) -> Collection[Relay]:
        """The calls that run."""

    def start(self, relay: Relay) -> Relay:
        """Take a call among those that run, and send it."""

    def take(self, relay: Relay) -> None:
        """Take a call among those that run, which is not to be sent."""

    def settle(self, relay: Relay) -> None:
        """Record a call that has ended."""

    def refuse_opened(self, opened: Opened, refusal: JotgateError, caller: Caller) -> None:
        """Tell the caller of a request that is decided no, and record it."""

    def left_opened(self, opened: Opened, refusal: JotgateError) -> None:
        """Record that the caller of such a request left before it was answered."""


class Means(Struct, frozen=True):
    """Those of one worker. `pending` are the requests that wait for what servers are asked first."""

    clock: Clock
    hub: Hub
    recorder: CallRecorder
    metering: McpMetering
    peers: Peers
    book: ToolBook
    entropy: Entropy
    pending: set[Pending]
    spawn: Callable[[Work], object]


def place_of(world: World, server: McpServer) -> Place:
    """How a server is reached."""
    return world.places[server.upstream]


def call_of(opened: Opened, server: McpServer, allowed: Allow) -> Call:
    """A message as a call of the gateway."""
    request = opened.request
    operation = Operation(request.operation, request.method, request.path, True)
    if_blind = allowed.policy if allowed.stale else ""
    return Call(
        request,
        operation,
        opened.principal,
        Body({}, b"", "", False),
        server.route,
        opened.world,
        allowed.ended_tokens or "cut",
        if_blind if request.stale else "",
        if_blind,
    )


def start(means: Means, talk: Talk, plan: Plan) -> Running | None:
    """Send a message to its server, as soon as the quotas that meet it let it. Raises as `McpMetering.start`."""
    opened = talk.opened
    if talk.allowed.payloads and opened.request.operation == TOOLS_CALL:
        opened.request.payload = Payload(bytes(talk.message.params.get("arguments", b"")))

    def run(reservation: Reservation | None, caller: Caller) -> Running:
        call, hub = call_of(opened, talk.server, talk.allowed), means.hub
        if reservation is None:
            return hub.start(McpRelay(call, caller, means.clock, settle=hub.settle, plan=plan))

        def settled(relay: Relay) -> None:
            reached = relay.place is not None and isinstance(relay, McpRelay) and relay.reached
            settle(reservation, call.operation.name, reached=reached)
            hub.settle(relay)

        relay = McpRelay(call, caller, means.clock, settle=settled, plan=plan)
        reservation.on_slot_lost(relay.cancel)
        return hub.start(relay)

    return means.metering.start(run, opened, talk.server.name, talk.caller)


def later(means: Means, opened: Opened, caller: Caller, work: Work) -> Running:
    """Answer a request once a server was asked something first."""
    pending = Pending(
        opened,
        caller,
        means.hub.refuse_opened,
        lambda one: means.hub.left_opened(one, NotReady("the server was still being asked what it is")),
    )
    means.pending.add(pending)
    pending.begin(work, means.pending.discard)
    return pending


def tell(means: Means, opened: Opened, caller: Caller, identity: Raw | None, result: Members) -> None:
    """Answer a request with a result that jotgate itself has."""
    tell_body(means, opened, caller, _encode({"jsonrpc": "2.0", "id": identity, "result": result}))


def tell_body(means: Means, opened: Opened, caller: Caller, body: bytes, lines: bytes = b"") -> None:
    """Answer with this message."""
    request = opened.request
    caller.respond(200, request_id_line(request.request_id) + JSON_LINES + lines, body)
    means.recorder.answered(request, opened.principal, status=200, bytes_out=len(body))


def accept(means: Means, opened: Opened, caller: Caller) -> None:
    """Take a notification that needs no answer."""
    request = opened.request
    caller.respond(_ACCEPTED, request_id_line(request.request_id), b"")
    means.recorder.answered(request, opened.principal, status=_ACCEPTED, bytes_out=0)


def withdraw(means: Means, opened: Opened, message: Message) -> None:
    """Cancel what a client of the older era wants no more, in a session that is jotgate's own.

    It is known by its id and the text of its session; one that another worker has goes on there.
    """
    wanted = bytes(message.params.get("requestId", b""))
    session = opened.request.headers.get(SESSION_FIELD)
    for relay in tuple(means.hub.live):
        request = relay.call.request
        same = request.message_id == wanted and request.path == opened.request.path
        if same and isinstance(relay, McpRelay) and session and request.headers.get(SESSION_FIELD) == session:
            relay.withdraw()


def say(means: Means, place: Place, asker: Asker, lines: bytes, body: bytes) -> None:
    """Say something to a server of which no answer is waited for."""

    async def post() -> None:
        try:
            await ask(place, asker, Outbound("mcp", _POST, b"", _ACCEPT + lines, body), 65_536)
        except UpstreamError:
            return  # What was to be said is of no use to a server that is not there.

    means.spawn(post())

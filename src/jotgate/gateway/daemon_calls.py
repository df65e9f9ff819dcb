"""Has the tools of the MCP daemon called: each call is a request of its own, decided and counted as any other is.

So a token that has ended, a policy or a quota meets the next call of a connection that is open, and no answer is ever
anybody's but the caller's.
"""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from msgspec import Struct, structs

from jotgate.core.calls import Request
from jotgate.core.config import ECHO
from jotgate.core.mcp_daemon import CHAT, MCP_DAEMON, McpDaemonRules, may_call, role_of
from jotgate.core.mcp_daemon_frames import Frame
from jotgate.core.mcp_daemon_tools import CHAT_TOOL, Asked, Outcome, ask_tool, ask_tools, read_answer, read_list
from jotgate.core.mcp_events import EventCutter, data_of
from jotgate.core.mcp_operations import TOOLS_CALL
from jotgate.core.principals import Principal
from jotgate.errors import JotgateError, McpMalformed, NotReady, PolicyDenied, UpstreamTorn
from jotgate.gateway.plain_answers import Opened
from jotgate.gateway.relay import EVENT_STREAM
from jotgate.gateway.world import World
from jotgate.mcp_refusals import RPC_INVALID_PARAMS
from jotgate.ports import Answer, Caller, Clock, Running

ANSWER_BYTES_MAX: Final = 33_554_432
_FIELDS: Final[tuple[bytes, ...]] = (b"authorization", b"dpop")
_BAD_GATEWAY: Final = 502

Done = Callable[[Outcome, bytes], None]
"""Told once what came of a call, with the header lines of a refusal (empty: it is none of the gateway's)."""


class Hub(Protocol):
    """The gateway, in the things that are done with calls of tools."""

    @property
    def world(self) -> World | None:
        """The current one."""

    def open(self, request: Request) -> Answer:
        """Name a request and decide its head. Raises JotgateError."""

    def refuse(self, request: Request, refusal: JotgateError, caller: Caller) -> None:
        """Tell the caller no, and record it."""

    def refuse_opened(self, opened: Opened, refusal: JotgateError, caller: Caller) -> None:
        """The same of a request that is decided."""


class Origin(Struct, frozen=True):
    """What the requests of a client have in common: whence it calls, and what it is let in by."""

    peer: str
    headers: Mapping[bytes, bytes]
    certificate: bytes = b""
    forwarded: bool = False
    vouched: Principal | None = None


def origin_of(request: Request) -> Origin:
    """That of a request which is decided: its credential stands in the Authorization header of those that follow."""
    fields = {name: request.headers[name] for name in _FIELDS if name in request.headers}
    return Origin(request.peer, fields, request.certificate, request.forwarded, request.vouched)


def rules_in(world: World | None) -> McpDaemonRules:
    """The rules of the face as they are now. Raises NotReady."""
    for face in () if world is None else world.snapshot.faces:
        if isinstance(face.rules, McpDaemonRules):
            return face.rules
    raise NotReady("this worker has no snapshot with this listener yet", hint="Try again in a moment")


class DaemonCalls:
    """Those of one worker; it holds nothing that changes."""

    def __init__(self, hub: Hub, clock: Clock) -> None:
        self._hub = hub
        self._clock = clock

    @property
    def world(self) -> World | None:
        """The current one."""
        return self._hub.world

    def call(self, opened: Opened, origin: Origin, frame: Frame, done: Done, name: str = "") -> Running | None:
        """Have a tool called; `name` is the id of the request, if it has one already. What it returns can be left."""
        request = self._request(origin, Asked(b"/call", {}, b""), name)
        taker = _Taker(lambda status, lines, body: done(read_answer(frame.tool, status, body), lines))
        try:
            rules, world = rules_in(self._hub.world), _world(self._hub)
            _require_tool(rules, world, opened.principal, frame.tool)
            asked = ask_tool(frame.tool, frame.arguments, rules.model or first_model(world))
        except JotgateError as refusal:
            request.operation, request.request_id = TOOLS_CALL, name or opened.request.request_id
            request.tool = frame.tool[:256]
            self._hub.refuse_opened(structs.replace(opened, request=request), refusal, taker)
            return None
        return self._ask(self._request(origin, asked, name), taker)

    def tools(self, opened: Opened, origin: Origin, done: Callable[[list[object]], None]) -> Running | None:
        """Tell of the tools that the caller may call; a server that does not answer has none."""
        rules, roles = rules_in(self._hub.world), opened.principal.roles
        known: list[object] = [CHAT_TOOL] if may_call(rules, roles, CHAT) else []
        if not opened.world.mcp_servers:
            done(known)
            return None

        def add(status: int, lines: bytes, body: bytes) -> None:  # noqa: ARG001 - as all answers
            found = read_list(status, body)
            listed = found if isinstance(found, tuple) else ()
            done(known + [one for one in listed if may_call(rules, roles, str(one.get("name", "")))])

        return self._ask(self._request(origin, ask_tools(), ""), _Taker(add))

    def _request(self, origin: Origin, asked: Asked, name: str) -> Request:
        named = {b"x-request-id": name.encode("ascii")} if name else {}
        return Request(
            method=b"POST",
            path=asked.path,
            query=b"",
            headers={**asked.headers, **origin.headers, **named},
            peer=origin.peer,
            begun_s=self._clock.monotonic_s(),
            body=asked.body,
            certificate=origin.certificate,
            face=MCP_DAEMON,
            forwarded=origin.forwarded,
            vouched=origin.vouched,
        )

    def _ask(self, request: Request, taker: "_Taker") -> Running | None:
        try:
            answer = self._hub.open(request)
        except JotgateError as refusal:
            self._hub.refuse(request, refusal, taker)
            return None
        return answer(taker)


def first_model(world: World) -> str:
    """The model that is asked where nobody says which: the first that is no echo, if there is one."""
    return next((alias for alias in world.routes if alias != ECHO), ECHO)


def _require_tool(rules: McpDaemonRules, world: World, principal: Principal, tool: str) -> None:
    """Refuse what there cannot be, and what the caller's role has not. Raises McpMalformed, PolicyDenied."""
    if tool != CHAT and tool.partition("_")[0] not in world.mcp_servers:
        raise McpMalformed(RPC_INVALID_PARAMS, "there is no tool of this name", param="params.name")
    if not may_call(rules, principal.roles, tool):
        hint = "Ask the operator: mcp_daemon.roles says which role has which tools"
        raise PolicyDenied("mcp_daemon.roles", f"the role '{role_of(principal)}' does not have this tool", hint=hint)


def _world(hub: Hub) -> World:
    world = hub.world
    if world is None:
        raise NotReady("this worker has no snapshot yet", hint="Try again in a moment")
    return world.of(MCP_DAEMON)


class _Taker:
    """Takes an answer whole (ports.Caller). Mutable: what has come of it, and whether it is told."""

    def __init__(self, told: Callable[[int, bytes, bytes], None]) -> None:
        self._told: Callable[[int, bytes, bytes], None] | None = told
        self._status = 0
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._is_stream = False

    def respond(self, status: int, lines: bytes, body: bytes) -> None:
        self._tell(status, lines if status >= 300 else b"", body)

    def start(self, status: int, lines: bytes, length: int | None, piece: bytes) -> None:  # noqa: ARG002 - the port has it
        self._status = status
        self._is_stream = EVENT_STREAM in lines.lower()
        self.write(piece)

    def write(self, piece: bytes) -> None:
        self._bytes += len(piece)
        if self._bytes <= ANSWER_BYTES_MAX:
            self._pieces.append(piece)

    def end(self, piece: bytes) -> None:
        self.write(piece)
        if self._bytes > ANSWER_BYTES_MAX:
            self.abort()
            return
        whole = b"".join(self._pieces)
        self._tell(self._status, b"", _last_message(whole) if self._is_stream else whole)

    def abort(self) -> None:
        self._tell(_BAD_GATEWAY, b"", b"")

    def _tell(self, status: int, lines: bytes, body: bytes) -> None:
        told, self._told = self._told, None
        if told is not None:
            self._pieces.clear()
            told(status, lines, body)


def _last_message(stream: bytes) -> bytes:
    """The response in a stream of events of MCP: what comes before it only tells how far it has come."""
    try:
        found = [data for event in EventCutter(ANSWER_BYTES_MAX).feed(stream) if (data := data_of(event))]
    except UpstreamTorn:
        return b""
    return found[-1] if found else b""

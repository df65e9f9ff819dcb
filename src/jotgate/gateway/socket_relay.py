"""A WebSocket through the gateway: asked for at the upstream first, granted to the client when that has granted it.

It is a call of its route like any other: sent, failed over, counted and recorded as such, and cut when its token ends.
What is said on it is the matter of its talk. Whoever closes it, both ends are closed, and the call settles once.
"""

from collections.abc import Callable
from typing import Final, Protocol, cast

from msgspec import structs

from jotgate.core.audit import Charge, Outcome
from jotgate.core.calls import Outbound, Request
from jotgate.core.websocket_frames import (
    ABNORMAL,
    GOING_AWAY,
    INTERNAL_ERROR,
    NO_STATUS,
    NORMAL,
    may_be_sent,
)
from jotgate.core.websocket_handshake import grant_lines
from jotgate.errors import (
    ControlStale,
    JotgateError,
    NotReady,
    QuotaExceeded,
    TokenError,
    TokenExpired,
    UpstreamTorn,
)
from jotgate.gateway.admission import Call
from jotgate.gateway.headers import lines_to_upstream, request_id_line
from jotgate.gateway.relay import Relay
from jotgate.ports import Caller, Clock
from jotgate.socket_ports import Socket, SocketBounds, SocketCaller, SocketEvents

EXPIRED: Final = 4401
REVOKED: Final = 4403
SPENT: Final = 4429
WARNING_S: Final = 60.0
"""So long before its token ends a client is told."""
_SWITCHED: Final = 101


class Talk(Protocol):
    """What is said on one WebSocket, by the one who knows its language."""

    def client_said(self, message: bytes, *, text: bool) -> None:
        """The client has sent a message."""

    def upstream_said(self, message: bytes, *, text: bool) -> None:
        """The upstream has."""

    def refused(self, error: JotgateError) -> bytes:
        """What the client is told of an error before it is closed for it; empty: nothing."""

    def expiring(self, expires_at_s: float, left_s: float) -> bytes:
        """What the client is told when its token is about to end; empty: nothing."""

    def look(self, now_s: float) -> None:
        """Called a few times a second; monotonic."""

    def ended(self) -> None:
        """It is over: settle what was reserved."""


class SocketRelay(Relay):
    """Mutable, as every Relay: the two ends, what is said, which token it was warned of, who has to wait."""

    __slots__ = (
        "_bounds",
        "_client",
        "_held",
        "_outrun",
        "_protocol",
        "_talk",
        "_upstream",
        "_warned_s",
        "charged",
    )

    def __init__(
        self,
        call: Call,
        caller: Caller,
        clock: Clock,
        *,
        next_attempt: Callable[[Relay], bool],
        settle: Callable[[Relay], None],
    ) -> None:
        super().__init__(call, caller, clock, next_attempt=next_attempt, settle=settle)
        self.charged: Charge | None = None
        self._client: Socket | None = None
        self._upstream: Socket | None = None
        self._talk: Talk | None = None
        self._bounds = SocketBounds(16_777_216, 200.0, 400)
        self._protocol = b""
        self._warned_s = 0.0
        self._held = False
        self._outrun = False

    def begin(self, talk: Talk, bounds: SocketBounds, protocol: bytes) -> None:
        """Before it is sent: by what it is talked, within which bounds, and the subprotocol that is spoken."""
        self._talk, self._bounds, self._protocol = talk, bounds, protocol

    def outbound(self, index: int) -> Outbound:
        """The handshake as the upstream of this attempt is sent it; `target` is its model."""
        call, request = self.call, self.call.request
        return Outbound(
            operation=call.operation.name,
            method=request.method,
            target=call.route.attempts[index].model.encode(),
            lines=lines_to_upstream(request.headers, request.request_id),
            body=b"",
        )

    def grant(self) -> None:
        """Open the client's end."""
        self._begun = True
        self.status, self.streams = _SWITCHED, True
        handshake = self.call.request.handshake
        lines = request_id_line(self.call.request.request_id)
        lines += grant_lines(handshake, self._protocol) if handshake is not None else b""
        cast("SocketCaller", self._caller).switch(lines, self._bounds, self._meet)

    # socket_ports.SocketAsker

    def opened(self, socket: Socket) -> SocketEvents:
        """The upstream has granted it: so does the gateway."""
        self._upstream = socket
        if self._settled:
            socket.close(GOING_AWAY, "the caller has gone")
        else:
            self.grant()
        return _UpstreamEnd(self)

    def _meet(self, socket: Socket) -> SocketEvents:
        self._client = socket
        return _ClientEnd(self)

    # The two ends

    def say(self, message: bytes, *, text: bool = True) -> None:
        """Send the client a message."""
        if self._client is not None:
            self.bytes_out += len(message)
            self._client.send(message, text=text)

    def say_upstream(self, message: bytes, *, text: bool = True) -> None:
        """Send the upstream a message."""
        if self._upstream is not None:
            self._upstream.send(message, text=text)

    def hold(self, *, held: bool) -> None:
        """Hear nothing more of the client, or hear on, unless the upstream is to catch up with it yet."""
        self._held = held
        self._pace_client()

    def end(self, error: JotgateError) -> None:
        """Close both ends for what is wrong, and say what."""
        if not self._settled:
            self._fail(error, "cut")

    def go_on_with(self, request: Request, call: Call) -> None:
        """Another token of the same subject stands for it from now on."""
        self.call = structs.replace(call, request=request)
        self._warned_s = 0.0

    def heard_of_client(self, message: bytes, *, text: bool) -> None:
        """The client has sent a message."""
        if self._talk is not None and not self._settled:
            self._touched_s = self._clock.monotonic_s()
            self._talk.client_said(message, text=text)

    def heard_of_upstream(self, message: bytes, *, text: bool) -> None:
        """The upstream has sent a message."""
        if self._talk is not None and not self._settled:
            self._touched_s = self._clock.monotonic_s()
            self._talk.upstream_said(message, text=text)

    def client_ended(self, code: int) -> None:
        """The client has closed it, or is gone."""
        self._client = None
        if self._settled:
            return
        if self._upstream is not None:
            self._upstream.close(code if may_be_sent(code) else NORMAL, "")
        self._finish("caller_gone" if code == ABNORMAL else "complete")

    def upstream_ended(self, code: int) -> None:
        """The upstream has closed it, or is gone."""
        self._upstream = None
        if self._settled:
            return
        if code == ABNORMAL:
            self._fail(UpstreamTorn("the upstream broke the connection off"), "torn")
            return
        if self._client is not None:
            self._client.close(NORMAL if code == NO_STATUS else code, "")
        self._finish("complete")

    def paced(self, *, client: bool, slow: bool) -> None:
        """One end reads more slowly than the other one writes, or has caught up."""
        if not client:
            self._outrun = slow
            self._pace_client()
        elif self._upstream is not None:
            (self._upstream.pause if slow else self._upstream.resume)()

    def _pace_client(self) -> None:
        if self._client is not None:
            (self._client.pause if self._held or self._outrun else self._client.resume)()

    # What becomes of it

    def cut(self, refusal: TokenError | ControlStale) -> None:
        """Close it, as its token has ended or may have."""
        if not self._settled and self._begun:
            self.evidence = refusal.evidence
            self._fail(refusal, "cut")
            return
        super().cut(refusal)

    def check_deadlines(self, now_s: float) -> None:
        """Before it is open the upstream's deadlines count; then its token's end, and whatever its talk waits for."""
        if not self._begun:
            super().check_deadlines(now_s)
        elif not self._settled and self._talk is not None:
            self._warn(self._talk)
            self._talk.look(now_s)

    def _warn(self, talk: Talk) -> None:
        ends_s = self.call.principal.expires_at_s
        left_s = ends_s - self._clock.now_s()
        if left_s <= WARNING_S and self._warned_s != ends_s:
            self._warned_s = ends_s
            told = talk.expiring(ends_s, left_s)
            if told:
                self.say(told)

    def leaving(self) -> None:
        """Jotgate is about to stop."""
        if not self._settled:
            self._fail(NotReady("jotgate is stopping", hint="Connect again in a moment"), "cancelled")

    def _fail(self, error: JotgateError, outcome: Outcome) -> None:
        if not self._begun:
            super()._fail(error, outcome)
            return
        self.code, self.debug = error.code, error.debug
        if self._talk is not None:
            told = self._talk.refused(error)
            if told:
                self.say(told)
        if self._client is not None:
            self._client.close(*self._farewell(error))
        if self._upstream is not None:
            self._upstream.close(GOING_AWAY, "")
        self._client = self._upstream = None
        self._finish(outcome)

    def _farewell(self, error: JotgateError) -> tuple[int, str]:
        """The code and the reason with which the client is closed for an error."""
        return close_code(error), error.message

    def _finish(self, outcome: Outcome) -> None:
        if self._talk is not None and not self._settled:
            self._talk.ended()
        super()._finish(outcome)


def close_code(error: JotgateError) -> int:
    """The code with which a client is closed for an error."""
    if isinstance(error, TokenExpired):
        return EXPIRED
    if isinstance(error, QuotaExceeded):
        return SPENT
    if isinstance(error, NotReady):
        return GOING_AWAY
    return REVOKED if error.status in (401, 403) else INTERNAL_ERROR


class _ClientEnd:
    """The client's end of one (socket_ports.SocketEvents)."""

    __slots__ = ("_relay", "ended", "leaving", "said")

    def __init__(self, relay: SocketRelay) -> None:
        self._relay = relay
        self.said = relay.heard_of_client
        self.ended = relay.client_ended
        self.leaving = relay.leaving

    def slowed(self) -> None:
        self._relay.paced(client=True, slow=True)

    def hastened(self) -> None:
        self._relay.paced(client=True, slow=False)


class _UpstreamEnd:
    """The upstream's end of one (socket_ports.SocketEvents)."""

    __slots__ = ("_relay", "ended", "said")

    def __init__(self, relay: SocketRelay) -> None:
        self._relay = relay
        self.said = relay.heard_of_upstream
        self.ended = relay.upstream_ended

    def slowed(self) -> None:
        self._relay.paced(client=False, slow=True)

    def hastened(self) -> None:
        self._relay.paced(client=False, slow=False)

    def leaving(self) -> None:
        """An upstream's connection is told nothing of that."""

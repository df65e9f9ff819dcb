"""The server's end of a WebSocket, once its handshake is granted: frames in and out, keep-alives, bounds, the close."""

import asyncio
from collections.abc import Callable
from typing import Final, cast

from jotgate.core.websocket_frames import (
    ABNORMAL,
    NO_STATUS,
    NORMAL,
    POLICY_VIOLATION,
    FrameReader,
    FrameRefused,
    write_close,
    write_frame,
)
from jotgate.edge.http1.listener import OpenConnection, Surroundings
from jotgate.socket_ports import Socket, SocketBounds, SocketEvents

PING_S: Final = 30.0
"""A client that is silent for so long is asked whether it is there."""
PONG_S: Final = 20.0
"""And so long it has to answer."""
_FAREWELL_S: Final = 1.0
"""So long a client has to answer a close frame, and to read what it was sent before: a cut is one within 1.5 s."""
_SMALL_SHARE: Final = 0.1
"""Of a message, in what a client may send: a control frame, and a fragment of less than 1 KiB."""
_PONGS_BYTES: Final = 4_096
"""A client that does not read has so much waiting at the most, and its pings go unanswered then."""

Talk = Callable[[Socket], SocketEvents]


class ServerSocket(asyncio.Protocol):
    """One client's WebSocket (socket_ports.Socket, http1.listener.OpenConnection).

    Mutable: the frames that are not whole, who listens, what was heard when, what the client may send yet.
    """

    __slots__ = (
        "__weakref__",
        "_allowed",
        "_around",
        "_bounds",
        "_closing",
        "_events",
        "_heard_s",
        "_leave",
        "_pinged_s",
        "_reader",
        "_stalled",
        "_stalled_s",
        "_transport",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        around: Surroundings,
        bounds: SocketBounds,
        leave: Callable[[OpenConnection], None],
    ) -> None:
        """`leave` is asked once, when the connection is gone."""
        self._transport = transport
        self._around = around
        self._bounds = bounds
        self._leave = leave
        self._reader = FrameReader(bounds.message_bytes, masked=True)
        self._events: SocketEvents | None = None
        self._closing = False
        self._heard_s = around.clock.monotonic_s()
        self._pinged_s = 0.0
        self._allowed = float(bounds.messages_at_once)
        self._stalled = -1
        self._stalled_s = 0.0

    def begin(self, talk: Talk) -> None:
        """Let it be talked with; what the client says is heard from a coming turn of the loop on."""
        self._events = talk(self)

    # socket_ports.Socket

    def send(self, message: bytes, *, text: bool = True) -> None:
        """Send a whole message."""
        if not self._closing:
            self._transport.write(write_frame("text" if text else "binary", message))

    def close(self, code: int, reason: str) -> None:
        """Say why it ends, and end it; nothing more is told of it."""
        self._events = None
        self._close(code, reason)

    def pause(self) -> None:
        """Read no further messages until `resume`."""
        if not self._closing:
            self._pinged_s = 0.0  # Its answer would not be heard.
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if not self._closing:
            self._transport.resume_reading()

    def widen(self, bounds: SocketBounds) -> None:
        """Let the client do so much from now on."""
        self._bounds = bounds
        self._reader.widen(bounds.message_bytes)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called where the loop tells a protocol that takes over so."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._take_heart()
        try:
            heard = self._reader.feed(data)
        except FrameRefused as refusal:
            self._end(refusal.code, refusal.reason)
            return
        self._allowed -= self._reader.small * _SMALL_SHARE
        self._reader.small = 0
        if self._allowed < -1:  # A few are forgiven: a client may ask whether we are there at any time.
            self._end(POLICY_VIOLATION, f"more than {self._bounds.messages_per_s:g} messages a second, in small frames")
            return
        for one in heard:
            if one.kind == "ping":
                self._pong(one.data)
            elif one.kind == "close":
                self._answer_close(one.code)
                return
            elif one.kind != "pong" and self._events is not None:
                self._say(self._events, one.data, text=one.kind == "text")

    def eof_received(self) -> bool | None:
        return None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio calls it so
        events, self._events = self._events, None
        self._closing = True
        self._leave(self)
        if events is not None:
            events.ended(ABNORMAL)

    def pause_writing(self) -> None:
        if self._events is not None:
            self._events.slowed()

    def resume_writing(self) -> None:
        if self._events is not None:
            self._events.hastened()

    # http1.listener.OpenConnection

    def close_when_idle(self) -> None:
        """Jotgate is about to stop."""
        if self._events is not None:
            self._events.leaving()

    def announce_end(self) -> None:
        """There is no other message in which that could be said."""

    def check_patience(self, now_s: float) -> None:
        """Ask a silent client whether it is there; let go of one that is not, and of one that reads nothing."""
        if self._closing:
            return
        unsent = self._transport.get_write_buffer_size()
        if not unsent or unsent != self._stalled:
            self._stalled, self._stalled_s = unsent, now_s
        elif now_s - self._stalled_s > self._around.limits.stall_s:
            self._drop()
            return
        if self._pinged_s:
            if now_s - self._pinged_s > PONG_S:
                self._drop()
        elif now_s - self._heard_s > PING_S and self._transport.is_reading():
            self._pinged_s = now_s
            self._transport.write(write_frame("ping", b""))

    # What is heard

    def _take_heart(self) -> None:
        """The client is there, and may send what it may in the time that has passed."""
        now_s = self._around.clock.monotonic_s()
        bounds = self._bounds
        earned = (now_s - self._heard_s) * bounds.messages_per_s
        self._allowed = min(float(bounds.messages_at_once), self._allowed + earned)
        self._heard_s, self._pinged_s = now_s, 0.0

    def _say(self, events: SocketEvents, message: bytes, *, text: bool) -> None:
        """Tell of a message, if the client may send one more."""
        if self._allowed < 1:
            self._end(POLICY_VIOLATION, f"more than {self._bounds.messages_per_s:g} messages a second")
            return
        self._allowed -= 1
        events.said(message, text=text)

    def _pong(self, payload: bytes) -> None:
        if self._transport.get_write_buffer_size() <= _PONGS_BYTES and not self._closing:
            self._transport.write(write_frame("pong", payload))

    # The end

    def _answer_close(self, code: int) -> None:
        """The client has closed it, or answers that we have."""
        events, self._events = self._events, None
        if not self._closing:
            self._closing = True
            self._transport.write(write_close(NORMAL if code == NO_STATUS else code))
        self._transport.close()
        if self._transport.get_write_buffer_size():  # It may never be read.
            asyncio.get_running_loop().call_later(_FAREWELL_S, self._transport.abort)
        if events is not None:
            events.ended(code)

    def _end(self, code: int, reason: str) -> None:
        """Close it for what the client has done, and tell of that."""
        events, self._events = self._events, None
        self._close(code, reason)
        if events is not None:
            events.ended(code)

    def _close(self, code: int, reason: str) -> None:
        if self._closing:
            return
        self._closing = True
        self._transport.write(write_close(code, reason))
        self._transport.resume_reading()  # for the answer to it
        asyncio.get_running_loop().call_later(_FAREWELL_S, self._part)

    def _part(self) -> None:
        """The client has not answered in time."""
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    def _drop(self) -> None:
        """Break it off: nobody is there to be told."""
        self._closing = True
        self._transport.abort()

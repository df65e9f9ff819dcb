"""The seams at which WebSockets are handed on: by the edge, and by upstreams, to whoever talks on them."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from msgspec import Struct

from jotgate.ports import Caller, UpstreamEvents


class Socket(Protocol):
    """A WebSocket while it is open, a client's or an upstream's. Nothing that is done to it raises."""

    def send(self, message: bytes, *, text: bool = True) -> None:
        """Send a whole message."""

    def close(self, code: int, reason: str) -> None:
        """Say why it ends (RFC 6455 s7.4), and end it; nothing more is told of it. The reason is for whoever reads."""

    def pause(self) -> None:
        """Read no further messages until `resume`."""

    def resume(self) -> None:
        """Read on."""


class ClientSocketPort(Socket, Protocol):
    """A client's, whose bounds may change once it is known whose it is."""

    def widen(self, bounds: "SocketBounds") -> None:
        """Let the client do so much from now on."""


class SocketEvents(Protocol):
    """Whoever talks with a WebSocket. After `ended` nothing more comes."""

    def said(self, message: bytes, *, text: bool) -> None:
        """The other end has sent a whole message; a text is UTF-8."""

    def slowed(self) -> None:
        """The other end reads more slowly than it is written to."""

    def hastened(self) -> None:
        """It has caught up."""

    def leaving(self) -> None:
        """Jotgate is about to stop: end it when it can be ended, soon."""

    def ended(self, code: int) -> None:
        """It is over: the other end has closed it with this code, or is gone (`websocket_frames.ABNORMAL`)."""


class SocketBounds(Struct, frozen=True):
    """What a client may do on a WebSocket: the bytes of a message, and how many it may send, on end and at once."""

    message_bytes: int
    messages_per_s: float
    messages_at_once: int


class SocketCaller(Caller, Protocol):
    """The connection of a request that asks for a WebSocket, while that request is the one being answered."""

    def switch(self, lines: bytes, bounds: SocketBounds, talk: Callable[[Socket], SocketEvents]) -> None:
        """Grant it by a 101 with these lines, in place of a response; `talk` is asked once, with the open socket."""


@runtime_checkable
class SocketAsker(UpstreamEvents, Protocol):
    """Who asks an upstream for a WebSocket: `received` and `failed` tell of one that is not granted."""

    def opened(self, socket: Socket) -> SocketEvents:
        """It is granted, once; from now on nothing but what is said on it is told, to whom this returns."""

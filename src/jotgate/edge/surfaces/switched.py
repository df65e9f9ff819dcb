"""WebSockets of callers whom something stands before: granted through it, and told of when they have ended."""

from collections.abc import Callable
from functools import partial
from typing import cast

from jotgate.ports import Caller
from jotgate.socket_ports import ClientSocketPort, Socket, SocketBounds, SocketCaller, SocketEvents

Talk = Callable[[Socket], SocketEvents]


def switch(caller: Caller, lines: bytes, bounds: SocketBounds, talk: Talk) -> None:
    """Grant a WebSocket through whatever stands before its caller."""
    cast("SocketCaller", caller).switch(lines, bounds, talk)


def followed(talk: Talk, ended: Callable[[], None]) -> Talk:
    """The same, of which `ended` is told when it is over, whoever has ended it; it may be told twice."""
    return partial(_follow, talk, ended)


def _follow(talk: Talk, ended: Callable[[], None], socket: Socket) -> SocketEvents:
    return _Events(talk(_Followed(socket, ended)), ended)


class _Followed:
    """A client's WebSocket (socket_ports.ClientSocketPort)."""

    def __init__(self, socket: Socket, ended: Callable[[], None]) -> None:
        self._socket = socket
        self._ended = ended
        self.send = socket.send
        self.pause = socket.pause
        self.resume = socket.resume

    def close(self, code: int, reason: str) -> None:
        self._ended()
        self._socket.close(code, reason)

    def widen(self, bounds: SocketBounds) -> None:
        cast("ClientSocketPort", self._socket).widen(bounds)


class _Events:
    """Who talks with it (socket_ports.SocketEvents)."""

    def __init__(self, events: SocketEvents, ended: Callable[[], None]) -> None:
        self._events = events
        self._ended = ended
        self.said = events.said
        self.slowed = events.slowed
        self.hastened = events.hastened
        self.leaving = events.leaving

    def ended(self, code: int) -> None:
        self._ended()
        self._events.ended(code)

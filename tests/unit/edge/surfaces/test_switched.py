"""Whoever stands before the caller of a WebSocket passes it on, and is told when it is over, whoever has ended it."""

import pytest

from jotgate.edge.surfaces.switched import followed
from jotgate.socket_ports import Socket, SocketBounds, SocketEvents


class Line:
    """Both a WebSocket and whoever talks with it; it keeps what is done to it."""

    def __init__(self) -> None:
        self.done: list[object] = []

    def send(self, message: bytes, *, text: bool = True) -> None:
        self.done.append((message, text))

    said = send

    def close(self, code: int, reason: str) -> None:
        self.done.append((code, reason))

    def ended(self, code: int) -> None:
        self.done.append(code)

    def widen(self, bounds: SocketBounds) -> None:
        self.done.append(bounds)

    def pause(self) -> None:
        self.done.append("pause")

    resume = slowed = hastened = leaving = pause


@pytest.mark.parametrize("by_client", [True, False])
def test_its_end_is_told_and_all_else_passes(by_client: bool) -> None:
    line = Line()
    ends: list[str] = []
    met: list[Socket] = []

    def talk(socket: Socket) -> SocketEvents:
        met.append(socket)
        return line

    events = followed(talk, lambda: ends.append("over"))(line)
    events.said(b"hello", text=True)
    met[0].send(b"you", text=False)
    assert (line.done, ends) == ([(b"hello", True), (b"you", False)], [])
    if by_client:
        events.ended(1000)
    else:
        met[0].close(4403, "revoked")
    assert ends == ["over"]
    assert line.done[-1] == (1000 if by_client else (4403, "revoked"))

"""One exchange of raw bytes with a server, and what its answer may look like."""

import re
import socket
import time
from dataclasses import dataclass
from typing import Final

HANG_S: Final = 10.0
SILENCE_S: Final = 0.02
_STATUS: Final = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding: *chunked\r\n", re.IGNORECASE)
_EVENT_BREAK: Final = b"\r\n\r\n"


class Harm(AssertionError):
    """The server did what it must never do; the text says what, and to which bytes."""


@dataclass(frozen=True, slots=True)
class Told:
    """What came back: the statuses in order, and the seconds until the connection was closed."""

    statuses: tuple[int, ...]
    seconds: float


def exchange(port: int, data: bytes) -> Told:
    """Send bytes on a connection of their own, read, say that no more come when all is silent, and read to the end.

    Raises:
        Harm: the server did not close within HANG_S, said 5xx, or said something that is not HTTP/1.1.
    """
    began_s = time.monotonic()
    received = bytearray()
    with socket.create_connection(("127.0.0.1", port), HANG_S) as connection:
        try:
            connection.sendall(data)
            ended = _read(connection, received, SILENCE_S)
            if not ended:
                connection.shutdown(socket.SHUT_WR)
                ended = _read(connection, received, HANG_S)
        except OSError:
            ended = True  # It closed with bytes of ours unread; what it said before that has been read.
    if not ended:
        raise Harm(f"a connection was still open after {HANG_S:.0f} s; sent {_shown(data)}")
    return Told(_judged(bytes(received), data), time.monotonic() - began_s)


def _read(connection: socket.socket, received: bytearray, patience_s: float) -> bool:
    """Read until the end, True, or until nothing has come for so long, False.

    A client that says at once that nothing more comes seems to be gone: so the first call is short, and then it says.
    """
    connection.settimeout(patience_s)
    try:
        while piece := connection.recv(65_536):
            received += piece
    except TimeoutError:
        return False
    return True


def read_responses(received: bytes) -> list[int] | None:
    """The statuses of a sequence of whole responses, the last of which may break off; None when it is none."""
    statuses = []
    while received:
        found = _STATUS.match(received)
        head, end, rest = received.partition(_EVENT_BREAK)
        if found is None:
            return None
        statuses.append(int(found[1]))
        if not end:
            return statuses
        received = _after_body(head + b"\r\n", rest, statuses[-1])
    return statuses


def _after_body(head: bytes, rest: bytes, status: int) -> bytes:
    if status < 200 or status in {204, 304} or rest.startswith(b"HTTP/1.1 "):
        return rest  # Without a body; no body of ours begins like the next response after one to HEAD.
    if length := _LENGTH.search(head):
        return rest[int(length[1]) :]
    if _CHUNKED.search(head):
        return (b"\r\n" + rest).partition(b"\r\n0\r\n\r\n")[2]
    return b""


def _judged(received: bytes, data: bytes) -> tuple[int, ...]:
    statuses = read_responses(received)
    if statuses is None:
        raise Harm(f"what came back is not HTTP/1.1: {_shown(received)}; sent {_shown(data)}")
    if any(status >= 500 for status in statuses):
        raise Harm(f"{statuses} came back; sent {_shown(data)}")
    return tuple(statuses)


def _shown(data: bytes) -> str:
    return f"{data[:600]!r}{f' and {len(data) - 600} bytes more' if len(data) > 600 else ''}"

"""Streams that are open while something happens to their tokens, and what their callers see of it."""

import json
import socket
import time
from typing import Any, Final
from urllib.parse import urlsplit

from jotgate.testing.running import Gateway
from jotgate.testing.upstream import Gate, Step, chunked
from tests.integration.exchanges import chat_body

EVENT: Final = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
PATIENCE_S: Final = 20.0


def endless() -> list[Step]:
    """An upstream's answer: one event, and then silence."""
    return chunked(EVENT, Gate())


class Stream:
    """One streamed call on a connection of its own, whose first event has come. Mutable: what has been read."""

    def __init__(self, gateway: Gateway, token: str, model: str = "m") -> None:
        port = urlsplit(gateway.url).port
        self._connection = socket.create_connection(("127.0.0.1", port or 0), PATIENCE_S)
        self._connection.settimeout(PATIENCE_S)
        body = json.dumps(chat_body(model, stream=True)).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        self._connection.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.received = b""
        while EVENT not in self.received:
            assert self._read(), self.received
            assert self.received.startswith(b"HTTP/1.1 200 "), self.received

    @property
    def request_id(self) -> str:
        """The id that the gateway gave the request."""
        return self.received.lower().partition(b"x-request-id: ")[2].partition(b"\r\n")[0].decode()

    @property
    def runs(self) -> bool:
        """Whether nothing has come behind the first event, and the connection is open."""
        self._connection.setblocking(False)
        try:
            return not (self.received.partition(EVENT)[2].strip() or self._peek())
        finally:
            self._connection.settimeout(PATIENCE_S)

    def _peek(self) -> bool:
        """Whether there is something to read: bytes, or the end."""
        try:
            self._connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        return True

    def read_end(self) -> tuple[dict[str, Any], float]:
        """Wait until the connection ends; the error event that was the last, and when (monotonic seconds).

        The body must not have the end that chunks have: nobody may take the answer for a whole one.
        """
        try:
            while self._read():
                pass
        except TimeoutError:
            raise AssertionError(f"the stream was not cut within {PATIENCE_S:g} s") from None
        ended_s = time.monotonic()
        assert not self.received.endswith(b"\r\n0\r\n\r\n"), "the answer looks whole"
        last = self.received.rpartition(b"\n\ndata: ")[2]
        error: dict[str, Any] = json.loads(last.strip())["error"]
        return error, ended_s

    def close(self) -> None:
        self._connection.close()

    def _read(self) -> bool:
        piece = self._connection.recv(65_536)
        self.received += piece
        return bool(piece)

"""A small HTTP proxy on loopback: CONNECT and absolute URLs, with or without a password, and what it was told."""

import asyncio
from contextlib import AbstractContextManager, suppress
from typing import Final, Self
from urllib.parse import urlsplit

from jotgate.testing.threads import in_thread

_OPEN: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"


class ProxyServer:
    """Use it with `async with`. `heads` are those that it was sent, `piped` all bytes that went through a tunnel.

    `authorization` is what Proxy-Authorization must be, if anything. `answer` is given to each CONNECT in place of an
    open tunnel, if it is not empty.
    """

    def __init__(self, authorization: str = "", answer: bytes = b"") -> None:
        self.heads: list[bytes] = []
        self.piped = b""
        self.port = 0
        self._authorization = authorization.encode()
        self._answer = answer
        self._running: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await self._answer_request(reader, writer)
        finally:
            self._running.discard(task)
            writer.close()

    async def _answer_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        if self._authorization and b"\r\nProxy-Authorization: %b\r\n" % self._authorization not in head:
            writer.write(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        method, target, _ = head.split(b" ", 2)
        if method == b"CONNECT" and self._answer:
            writer.write(self._answer)
            await reader.read()
            return
        address = urlsplit(f"//{target.decode()}" if method == b"CONNECT" else target.decode())
        behind_reader, behind = await asyncio.open_connection(address.hostname, address.port)
        if method == b"CONNECT":
            writer.write(_OPEN)
        else:
            behind.write(head)
        try:
            await asyncio.gather(self._pipe(reader, behind, keep=True), self._pipe(behind_reader, writer, keep=False))
        finally:
            behind.close()

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, keep: bool) -> None:
        while piece := await source.read(65_536):
            if keep:
                self.piped += piece
            sink.write(piece)
        sink.close()


def proxy_in_thread(authorization: str = "") -> AbstractContextManager[ProxyServer]:
    """The same proxy with a loop and a thread of its own, for tests that have no loop."""
    return in_thread(ProxyServer(authorization))

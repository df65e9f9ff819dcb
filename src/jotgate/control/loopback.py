"""Waits on 127.0.0.1 for the browser that comes back from a login: one answer, bounded in size, number and time.

Whoever else on this machine, or any page in a browser, may come too: a request counts only if it names this very
address as its Host and brings what the login was begun with. Nothing of a request is repeated or logged.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from jotgate.core.coze_login import Code
from jotgate.core.login_answers import Refused
from jotgate.errors import CommandError

_ADDRESS: Final = "127.0.0.1"
_HTTP_PORT: Final = 80  # which no browser writes
_HEAD_BYTES_MAX: Final = 16_384
_HEAD_S: Final = 10.0
_AT_ONCE: Final = 16
_DONE: Final = "You are logged in. This window can be closed."
_DENIED: Final = "The login was refused. This window can be closed."
_UNKNOWN: Final = "There is nothing here."

Read = Callable[[str], Code | Refused | None]


class LoopbackListener:
    """Listens once (services.upstream_login.Listener). Mutable: its socket, who is connected, and what has come."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._host = ""
        self._read: Read = lambda _: None
        self._found: asyncio.Future[Code | Refused] | None = None
        self._busy = 0

    async def open(self, port: int) -> int:
        """Listen. Raises CommandError: the port is in use, or may not be."""
        self._found = asyncio.get_running_loop().create_future()
        try:
            listening = socket.create_server((_ADDRESS, port))
            self._server = await asyncio.start_server(self._serve, sock=listening, limit=_HEAD_BYTES_MAX)
        except OSError as error:
            raise CommandError(
                f"nothing can listen on {_ADDRESS}:{port}: {error.strerror or error}",
                hint="Name another address with --redirect, which the settings of the OAuth app must have too",
            ) from None
        bound = int(listening.getsockname()[1])
        self._host = _ADDRESS if bound == _HTTP_PORT else f"{_ADDRESS}:{bound}"
        return bound

    async def wait(self, read: Read, patience_s: float) -> Code | Refused | None:
        """What `read` makes of the first target that it knows."""
        self._read = read
        assert self._found is not None, "it listens"
        try:
            async with asyncio.timeout(patience_s):
                return await asyncio.shield(self._found)
        except TimeoutError:
            return None
        finally:
            self.close()

    def close(self) -> None:
        """Listen no more; an answer that is being sent still goes out."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._busy += 1
        try:
            if self._busy <= _AT_ONCE:
                async with asyncio.timeout(_HEAD_S):
                    writer.write(self._answer(await reader.readuntil(b"\r\n\r\n")))
                    await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # Whoever does not finish a request, or sends a huge one, gets no answer.
        finally:
            self._busy -= 1
            writer.close()

    def _answer(self, head: bytes) -> bytes:
        """The response to one request; the first that is the answer to the login settles it."""
        line, *fields = head.decode("latin-1").split("\r\n")
        method, _, rest = line.partition(" ")
        target, _, version = rest.rpartition(" ")
        hosts = [value.strip() for name, _, value in (one.partition(":") for one in fields) if name.lower() == "host"]
        found = self._found
        if method != "GET" or not version.startswith("HTTP/1.") or hosts != [self._host] or found is None:
            return _response(400, _UNKNOWN)
        came = None if found.done() else self._read(target)
        if came is None:
            return _response(404, _UNKNOWN)
        found.set_result(came)
        return _response(200, _DONE if isinstance(came, Code) else _DENIED)


def _response(status: int, text: str) -> bytes:
    body = f"{text}\n".encode()
    lines = (
        f"HTTP/1.1 {status} {'OK' if status == 200 else 'No'}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Referrer-Policy: no-referrer",
        "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

"""A wire to a PostgreSQL on a Unix socket, which a test can cut and mend: one machine's way to the store."""

import asyncio
import tempfile
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote, unquote, urlsplit

from jotgate.testing.threads import in_thread

_SOCKET: Final = ".s.PGSQL.5432"
_CHUNK: Final = 65_536


class Wire:
    """Use it with `async with`. Mutable: whether it is cut, and what runs over it."""

    def __init__(self, url: str) -> None:
        self._far = Path(unquote(urlsplit(url).query.removeprefix("host="))) / _SOCKET
        self._folder = tempfile.TemporaryDirectory(prefix="jg-")
        self._writers: set[asyncio.StreamWriter] = set()
        self._cut = False
        self.url: Final = f"{url.partition('?')[0]}?host={quote(self._folder.name, safe='')}"

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._server = await asyncio.start_unix_server(self._serve, Path(self._folder.name) / _SOCKET)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        self._end_all()
        self._folder.cleanup()

    def cut(self) -> None:
        """End all connections, and let no new one through; from any thread."""
        self._cut = True
        self._loop.call_soon_threadsafe(self._end_all)

    def mend(self) -> None:
        """Let connections through again."""
        self._cut = False

    def _end_all(self) -> None:
        for writer in tuple(self._writers):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.close()
            return
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_unix_connection(self._far)
            self._writers |= {writer, far_writer}
            await asyncio.gather(_pass(reader, far_writer), _pass(far_reader, writer))
            self._writers -= {writer, far_writer}
        writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()


def wire_in_thread(url: str) -> AbstractContextManager[Wire]:
    """A wire on a thread of its own."""
    return in_thread(Wire(url))

"""The worker's end of the bus: stays connected to whichever control process there is.

Frames are those of `messages`. When control goes, the link asks for it again until it is back: the listening socket is
the supervisor's, so a connection waits there for the next control process.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final, cast

import msgspec

from jotgate.processes.frames import FrameReader, FrameWriter
from jotgate.processes.messages import (
    FRAME_BYTES_MAX,
    FromControl,
    FromWorker,
    frame,
    read_from_control,
)

_RETRY_S: Final = 0.1


class Link:
    """The connection to control. Mutable: the current transport and the bytes of an unfinished frame."""

    def __init__(
        self,
        path: str,
        *,
        connected: Callable[[], None],
        received: Callable[[FromControl], None],
        lost: Callable[[], None],
    ) -> None:
        """`lost` is called when the connection is gone: what was sent over it may never be answered."""
        self._path = path
        self._lost = lost
        self._connected = connected
        self._received = received
        self._stream: _Stream | None = None
        self._longest_read_s = 0.0

    def take_longest_read_s(self) -> float:
        """The longest time that taking what came held up the loop since this was last asked, in CPU seconds."""
        longest_s, self._longest_read_s = self._longest_read_s, 0.0
        return longest_s

    def send(self, message: FromWorker) -> bool:
        """Send a message, with the others of this turn of the loop; False when there is nobody to send it to."""
        if self._stream is None:
            return False
        self._stream.writer.put(frame(message))
        return True

    def flush(self) -> None:
        """Write what was sent, for whoever does not wait until this turn of the loop is over."""
        if self._stream is not None:
            self._stream.writer.flush()

    async def keep(self) -> None:
        """Connect, and connect again whenever the connection is lost. Runs until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                _, stream = await loop.create_unix_connection(self._make, self._path)
            except OSError:
                await asyncio.sleep(_RETRY_S)
                continue
            self._stream = stream
            self._connected()
            await stream.lost
            self._stream = None
            self._lost()

    def _make(self) -> "_Stream":
        return _Stream(self._received, self._took)

    def _took(self, spent_s: float) -> None:
        self._longest_read_s = max(self._longest_read_s, spent_s)


class _Stream(asyncio.Protocol):
    transport: asyncio.Transport
    writer: FrameWriter

    def __init__(self, received: Callable[[FromControl], None], took: Callable[[float], None]) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._received = received
        self._took = took
        self._frames = FrameReader(FRAME_BYTES_MAX)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are ones without saying so
        self.writer = FrameWriter(self._write)

    def data_received(self, data: bytes) -> None:
        begun_s = time.thread_time()
        self._take(data)
        self._took(time.thread_time() - begun_s)

    def _take(self, data: bytes) -> None:
        try:
            for payload in self._frames.feed(data):
                self._received(read_from_control(payload))
        except (ValueError, msgspec.DecodeError):  # UnicodeDecodeError is a ValueError
            self.transport.abort()

    def _write(self, data: bytes) -> None:
        """Whatever is to be answered, or confirmed, goes to the next control process once more."""
        if not self.transport.is_closing():  # uvloop's raise RuntimeError when they are closed
            self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio calls it so
        if not self.lost.done():
            self.lost.set_result(None)

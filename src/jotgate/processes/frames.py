"""Cuts a stream of bytes into the frames of the bus, and writes frames that come together at one go."""

import asyncio
from collections.abc import Callable
from typing import Final

_LENGTH_BYTES: Final = 4


class FrameReader:
    """Gathers the bytes of one connection. Mutable: those of a frame that is not whole."""

    def __init__(self, frame_bytes_max: int) -> None:
        self._frame_bytes_max = frame_bytes_max
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes | bytearray]:
        """The payloads of the frames that are whole now, in order.

        Raises:
            ValueError: a frame is longer than may be.
        """
        rest = self._rest
        held: bytes | bytearray = data
        if rest:
            rest += data
            held = rest
        start, payloads = 0, []
        while start + _LENGTH_BYTES <= len(held):
            length = int.from_bytes(held[start : start + _LENGTH_BYTES], "big")
            if length > self._frame_bytes_max:
                raise ValueError(f"a frame of {length} bytes")
            end = start + _LENGTH_BYTES + length
            if end > len(held):
                break
            payloads.append(held[start + _LENGTH_BYTES : end])
            start = end
        if held is rest:
            del rest[:start]
        else:
            rest += data[start:]
        return payloads


class FrameWriter:
    """Gathers the frames of one turn of the event loop for one connection. Mutable: those.

    A system call and the waking of the other process cost more than most frames do.
    """

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._loop = asyncio.get_running_loop()
        self._gathered: list[bytes] = []

    def put(self, frame: bytes) -> None:
        """Have a frame written behind those before it, when this turn of the loop is over."""
        if not self._gathered:
            self._loop.call_soon(self.flush)
        self._gathered.append(frame)

    def flush(self) -> None:
        """Write now what was gathered."""
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            self._write(b"".join(gathered))

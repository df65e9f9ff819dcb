"""Cuts a stream of bytes into the frames of the bus."""

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

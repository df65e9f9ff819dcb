"""Reads on for a moment what an upstream has sent of a stream that has ended before it, to count it and throw it away.

Somebody has paid for it: what stands in the buffers on the way when a caller leaves, or a stream is cut, was made.
"""

from typing import Final

from jotgate.ports import Stopping, UpstreamExchange

ASKED_S: Final = 1.0
"""So long an upstream that was told to stop is listened to, if it does not end by itself."""
UNASKED_S: Final = 0.1
"""So long one that cannot be told: over TLS a connection ends both ways at once."""
BYTES_MAX: Final = 16 * 1024 * 1024
"""So much is read at most: more than connections usually hold."""


class Drain:
    """That of one stream. Mutable: how much may still be read. `seen` is by how much the stream had grown before."""

    __slots__ = ("_exchange", "_left", "_until_s", "seen")

    def __init__(self, exchange: UpstreamExchange, stopping: Stopping, now_s: float, seen: int) -> None:
        self._exchange = exchange
        self._left = BYTES_MAX
        self._until_s = now_s + (ASKED_S if stopping == "asked" else UNASKED_S)
        self.seen = seen

    def take(self, size: int) -> bool:
        """So many bytes came; whether no more are to be read."""
        self._left -= size
        return self._left <= 0

    def is_over(self, now_s: float) -> bool:
        """Whether it was listened to for long enough. `now_s` is monotonic."""
        return now_s >= self._until_s

    def close(self) -> None:
        """Listen no longer: the upstream has not ended."""
        self._exchange.abort()

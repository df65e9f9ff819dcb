"""The real clock and real chance."""

import os
import time


class SystemClock:
    """The clocks of this machine (ports.Clock)."""

    def now_s(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic_s(self) -> float:
        """Seconds on the monotonic clock."""
        return time.monotonic()


class SystemEntropy:
    """The kernel's random bytes (ports.Entropy)."""

    def random_bytes(self, count: int) -> bytes:
        """`count` bytes."""
        return os.urandom(count)

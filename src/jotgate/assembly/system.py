"""The real clock and real chance."""

import os
import time


class SystemClock:
    """The clocks of this machine (ports.Clock)."""

    # The functions themselves: the hot path reads the clocks several times in each call.
    now_s = staticmethod(time.time)
    monotonic_s = staticmethod(time.monotonic)


class SystemEntropy:
    """The kernel's random bytes (ports.Entropy)."""

    def random_bytes(self, count: int) -> bytes:
        """`count` bytes."""
        return os.urandom(count)

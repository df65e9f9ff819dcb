"""Tells a service manager how jotgate is doing, by the protocol of sd_notify(3): datagrams to NOTIFY_SOCKET.

Without such a manager nothing is sent. The variables are taken out of the environment, so that no child speaks for the
supervisor.
"""

import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Final

_MICRO: Final = 1_000_000


class Notifier:
    """Speaks for the supervisor. Mutable: when the watchdog was last told."""

    def __init__(self, address: str, watchdog_s: float) -> None:
        self._address = address
        self._interval_s = watchdog_s / 2  # sd_watchdog_enabled(3) asks for half of the time.
        self._due_s = 0.0

    def ready(self, status: str) -> None:
        """It serves, for the first time or again after a reload."""
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """It reads its configuration again; `ready` ends that."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}\nSTATUS=reloading")

    def stopping(self) -> None:
        """It finishes what runs."""
        self._send("STOPPING=1\nSTATUS=finishing the running calls")

    def extend(self, span_s: float) -> None:
        """Ask for this much more time to stop."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(span_s * _MICRO)}")

    def pat(self, *, well: bool) -> None:
        """Keep the watchdog quiet, if it is time and all is well."""
        if not self._interval_s or time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + self._interval_s
        if well:
            self._send("WATCHDOG=1")

    def patience_s(self) -> float | None:
        """Seconds until the next `pat` is due; None without a watchdog."""
        return max(0.0, self._due_s - time.monotonic()) if self._interval_s else None

    def _send(self, text: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            sender.sendto(text.encode(), self._address)


def take_notifier(environment: MutableMapping[str, str]) -> Notifier:
    """The notifier that the environment asks for, whose variables are taken out of it."""
    address = environment.pop("NOTIFY_SOCKET", "")
    span, owner = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
    if address[:1] not in ("/", "@"):
        return Notifier("", 0.0)
    ours = owner in ("", str(os.getpid()))
    watchdog_s = int(span) / _MICRO if ours and span.isascii() and span.isdigit() else 0.0
    return Notifier("\0" + address[1:] if address[0] == "@" else address, watchdog_s)

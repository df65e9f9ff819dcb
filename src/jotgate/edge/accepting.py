"""Accepts the connections of a listening socket, each counted for its address before its TLS handshake begins.

What it cannot accept for want of files or memory waits in the kernel's queue, and the operator is told.
"""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final

from jotgate.edge.http1.guard import GuardedConnection
from jotgate.edge.http1.listener import Surroundings

# So many that a burst is soon accepted, and so few that the calls under way are not held up by it.
_AT_ONCE: Final = 8
_BACKLOG: Final = 4096
_REST_S: Final = 0.25
_SILENCE_S: Final = 10.0
_TLS_FAREWELL_S: Final = 5.0
_log: Final = logging.getLogger(__name__)

MakeConnection = Callable[[Surroundings, str, int], GuardedConnection]


class Acceptor:
    """Accepts connections. Mutable: its socket, the connections that are being set up, when it last complained.

    `tls` may be replaced at any time: connections that come from then on get it, the others keep what they began with.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, around: Surroundings, make: MakeConnection = GuardedConnection
    ) -> None:
        self.tls: ssl.SSLContext | None = None
        self._loop = loop
        self._around = around
        self._make = make
        self._listener: socket.socket | None = None
        self._arriving: set[asyncio.Task[None]] = set()
        self._resting: asyncio.TimerHandle | None = None
        self._told_s = -_SILENCE_S

    def open(self, listener: socket.socket) -> None:
        """Begin to accept; the socket is closed by `close`."""
        listener.setblocking(False)
        listener.listen(_BACKLOG)
        self._listener = listener
        self._wake()

    def close(self) -> None:
        """Accept nothing more. Connections that are being set up go on, and are told that they end."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        if self._resting is not None:
            self._resting.cancel()
        self._loop.remove_reader(listener)
        listener.close()

    @property
    def arriving(self) -> int:
        """How many connections are being set up: under TLS, those whose handshake is not done."""
        return len(self._arriving)

    def hang_up(self) -> None:
        """End the connections that are being set up."""
        for task in self._arriving:
            task.cancel()

    def _wake(self) -> None:
        self._resting = None
        if self._listener is not None:
            self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        listener = self._listener
        if listener is None:
            return
        for _ in range(_AT_ONCE):
            try:
                arrived, peer = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return  # There is none, or it has left again; the others are seen when the loop has turned.
            except OSError as fault:
                self._rest(listener, fault)
                return
            self._admit(arrived, str(peer[0]))

    def _rest(self, listener: socket.socket, fault: OSError) -> None:
        """Let the queue be for a moment: it stays readable, and trying without a pause would take a whole processor."""
        self._loop.remove_reader(listener)
        self._resting = self._loop.call_later(_REST_S, self._wake)
        now_s = self._around.clock.monotonic_s()
        if now_s - self._told_s >= _SILENCE_S:
            self._told_s = now_s
            _log.error("new connections cannot be accepted and have to wait: %s%s", fault.strerror, _advice(fault))

    def _admit(self, arrived: socket.socket, address: str) -> None:
        """Set a connection up, unless its address has so many that it is not even told."""
        around, count = self._around, 0
        if not around.proxies.trusts(address):
            count = around.crowd.enter(address)
            if count > 2 * around.limits.connections_per_address:
                around.crowd.leave(address)
                arrived.close()
                return
        connection = self._make(around, address, count)
        task = self._loop.create_task(self._set_up(arrived, connection))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _set_up(self, arrived: socket.socket, connection: GuardedConnection) -> None:
        tls = self.tls
        try:
            await self._loop.connect_accepted_socket(
                lambda: connection,
                arrived,
                ssl=tls,
                ssl_handshake_timeout=None if tls is None else self._around.limits.first_byte_s,
                ssl_shutdown_timeout=None if tls is None else _TLS_FAREWELL_S,
            )
        except OSError:
            return  # Its handshake failed, as TLS's alert has told the caller.
        finally:
            connection.set_up_ended()
        if self._listener is None:
            connection.announce_end()


def _advice(fault: OSError) -> str:
    if fault.errno not in (errno.EMFILE, errno.ENFILE):
        return ""
    return "; raise the limit of open files (ulimit -n, LimitNOFILE), or lower limits.connections_per_address"

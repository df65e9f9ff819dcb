"""A worker's listener: the edge on the socket that it inherited, as the newest snapshot wants it."""

import asyncio
import logging
import socket
from typing import Final

from jotgate.core.snapshot import Edge, Limits, Snapshot, TlsMaterial
from jotgate.edge.accepting import Acceptor
from jotgate.edge.http1.guard import SWEEP_INTERVAL_S, sweep
from jotgate.edge.http1.listener import Application, OpenConnection, Surroundings
from jotgate.edge.http1.responses import HeadWriter
from jotgate.edge.proxies import Proxies
from jotgate.edge.surfaces.cors import CorsSurface
from jotgate.edge.surfaces.native import NativeSurface
from jotgate.edge.surfaces.proxied import ProxiedSurface
from jotgate.edge.tls import server_context
from jotgate.ports import Clock

_log: Final = logging.getLogger(__name__)


class Listener:
    """The listener. Mutable: the TLS that it shows, and what its connections find around them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, native: NativeSurface) -> None:
        self._loop = loop
        self._clock = clock
        self._native = native
        self.connections: set[OpenConnection] = set()
        self._around = Surroundings(
            application=self._native,
            clock=clock,
            heads=HeadWriter(clock),
            limits=Limits(),
            connections=self.connections,
        )
        self._acceptor = Acceptor(loop, self._around)
        self._shown: TlsMaterial | None = None
        self._newest: TlsMaterial | None = None
        self._changing = asyncio.Lock()

    async def open(self, fd: int, snapshot: Snapshot) -> None:
        """Begin to serve on this listening socket. Raises ssl.SSLError."""
        self._take(snapshot)
        await self._show_newest()
        self._acceptor.open(socket.socket(fileno=fd))

    def renew(self, snapshot: Snapshot) -> None:
        """Serve as a newer snapshot wants it: requests from now on, and TLS for connections from a moment later on."""
        self._take(snapshot)
        if self._newest != self._shown:
            task = self._loop.create_task(self._show_newest())
            task.add_done_callback(_tell)

    def close(self) -> None:
        """Take no further connection; those whose handshake is under way still come."""
        self._acceptor.close()

    @property
    def arriving(self) -> int:
        """How many connections are not set up yet: under TLS, those whose handshake is under way."""
        return self._acceptor.arriving

    def hang_up(self) -> None:
        """End the connections that are not set up yet."""
        self._acceptor.hang_up()

    async def keep_patience(self) -> None:
        """Cut off clients that take too long, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            await sweep(self.connections, self._clock)

    def _take(self, snapshot: Snapshot) -> None:
        edge, around = snapshot.edge, self._around
        around.limits = snapshot.limits
        around.heads = HeadWriter(self._clock, hsts=edge.hsts)
        around.proxies = Proxies(edge.trusted_proxies, edge.forwarded_fields, edge.certificate_field)
        around.application = ProxiedSurface(self._within(edge), around)
        self._newest = edge.tls

    def _within(self, edge: Edge) -> Application:
        if not edge.origins:
            return self._native
        return CorsSurface(self._native, edge.origins, with_cookies=edge.credential_cookie != "")

    async def _show_newest(self) -> None:
        async with self._changing:
            wanted = self._newest
            if wanted == self._shown:
                return
            # On a thread: it takes more than a millisecond, which no call should wait for.
            context = None if wanted is None else await self._loop.run_in_executor(None, server_context, wanted)
            self._acceptor.tls, self._shown = context, wanted


def _tell(task: "asyncio.Task[None]") -> None:
    fault = None if task.cancelled() else task.exception()
    if fault is not None:
        _log.error("the new certificate cannot be shown, and the old one stays: %s", fault)

"""A worker's listener: the server on the socket that it inherited, as the newest snapshot wants it.

A new certificate is shown to new connections by a second server on the same socket, which takes over from the first:
no connection that waits in the queue is lost, and running ones keep what they began with.
"""

import asyncio
import logging
import os
import socket
import ssl
from typing import Final

from jotgate.core.snapshot import Edge, Limits, Snapshot, TlsMaterial
from jotgate.edge.http1.guard import SWEEP_INTERVAL_S, GuardedConnection, sweep
from jotgate.edge.http1.listener import Application, OpenConnection, Surroundings
from jotgate.edge.http1.responses import HeadWriter
from jotgate.edge.proxies import Proxies
from jotgate.edge.surfaces.cors import CorsSurface
from jotgate.edge.surfaces.native import NativeSurface
from jotgate.edge.surfaces.proxied import ProxiedSurface
from jotgate.edge.tls import server_context
from jotgate.gateway.passage import ControlDoor
from jotgate.gateway.pipeline import Gateway
from jotgate.ports import Clock

_BACKLOG: Final = 4096
_TLS_FAREWELL_S: Final = 5.0
_log: Final = logging.getLogger(__name__)


class Listener:
    """The listener. Mutable: its server, the TLS that this shows, and what its connections find around them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, gateway: Gateway, control: ControlDoor) -> None:
        self._loop = loop
        self._clock = clock
        self._native = NativeSurface(gateway, control)
        self.connections: set[OpenConnection] = set()
        self._around = Surroundings(
            application=self._native,
            clock=clock,
            heads=HeadWriter(clock),
            limits=Limits(),
            connections=self.connections,
        )
        self._fd = -1
        self._server: asyncio.Server | None = None
        self._shown: TlsMaterial | None = None
        self._newest: TlsMaterial | None = None
        self._changing = asyncio.Lock()

    async def open(self, fd: int, snapshot: Snapshot) -> None:
        """Begin to serve on this listening socket. Raises ssl.SSLError."""
        self._fd = fd
        self._take(snapshot)
        await self._change_server()

    def renew(self, snapshot: Snapshot) -> None:
        """Serve as a newer snapshot wants it: requests from now on, and TLS for connections from a moment later on."""
        if self._fd < 0:
            return
        self._take(snapshot)
        if self._newest != self._shown:
            task = self._loop.create_task(self._change_server())
            task.add_done_callback(_tell)

    def close(self) -> None:
        """Take no further connection."""
        self._fd = -1
        if self._server is not None:
            self._server.close()

    async def keep_patience(self) -> None:
        """Cut off clients that take too long, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            await sweep(self.connections, self._clock)

    def _take(self, snapshot: Snapshot) -> None:
        edge, around = snapshot.edge, self._around
        around.limits = snapshot.limits
        around.heads = HeadWriter(self._clock, hsts=edge.hsts)
        around.proxies = Proxies(edge.trusted_proxies, edge.forwarded_fields)
        around.application = ProxiedSurface(self._within(edge), around)
        self._newest = edge.tls

    def _within(self, edge: Edge) -> Application:
        return CorsSurface(self._native, edge.origins) if edge.origins else self._native

    async def _change_server(self) -> None:
        async with self._changing:
            wanted = self._newest
            if self._fd < 0 or (self._server is not None and wanted == self._shown):
                return
            # On a thread: it takes more than a millisecond, which no call should wait for.
            context = None if wanted is None else await self._loop.run_in_executor(None, server_context, wanted)
            if self._fd < 0:
                return  # It was closed meanwhile.
            before = self._server
            self._server = await self._serve(context)
            self._shown = wanted
            if before is not None:
                before.close()

    async def _serve(self, context: ssl.SSLContext | None) -> asyncio.Server:
        around = self._around
        return await self._loop.create_server(
            lambda: GuardedConnection(around),
            sock=socket.socket(fileno=os.dup(self._fd)),
            backlog=_BACKLOG,
            ssl=context,
            ssl_handshake_timeout=None if context is None else around.limits.first_byte_s,
            ssl_shutdown_timeout=None if context is None else _TLS_FAREWELL_S,
        )


def _tell(task: "asyncio.Task[None]") -> None:
    fault = None if task.cancelled() else task.exception()
    if fault is not None:
        _log.error("the new certificate cannot be shown, and the old one stays: %s", fault)

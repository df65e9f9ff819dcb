"""A worker's listener: the edge on the socket that it inherited, as the newest snapshot wants it."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from jotgate.core.edge import Edge, TlsMaterial
from jotgate.core.snapshot import Limits
from jotgate.edge.accepting import Acceptor
from jotgate.edge.http1.listener import Application, OpenConnection, Surroundings
from jotgate.edge.http1.responses import HeadWriter
from jotgate.edge.proxies import Proxies
from jotgate.edge.surfaces.cors import CorsSurface, NamingApplication
from jotgate.edge.surfaces.faced import FacedSurface
from jotgate.edge.surfaces.proxied import ProxiedSurface
from jotgate.edge.tls import server_context
from jotgate.ports import Clock

_log: Final = logging.getLogger(__name__)


class Service(Struct, frozen=True):
    """What a listener serves by one snapshot: an application, how it treats those who connect, and its limits.

    `face` is the name of the face that it is of; empty: of none. `outermost` puts another application around all of it,
    which sees requests as they were sent; None: none is.
    """

    application: NamingApplication
    edge: Edge
    limits: Limits
    face: str = ""
    outermost: Callable[[Application], Application] | None = None


class Listener:
    """One listener of a worker. Mutable: the TLS that it shows, and what its connections find around them.

    `connections` are those of all listeners of the worker: who drains it looks at all of them.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        application: Application,
        connections: set[OpenConnection],
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._around = Surroundings(
            application=application,
            clock=clock,
            heads=HeadWriter(clock),
            limits=Limits(),
            connections=connections,
        )
        self._acceptor = Acceptor(loop, self._around)
        self._shown: TlsMaterial | None = None
        self._newest: TlsMaterial | None = None
        self._changing = asyncio.Lock()

    async def open(self, fd: int, service: Service) -> None:
        """Begin to serve on this listening socket. Raises ssl.SSLError."""
        self._take(service)
        await self._show_newest()
        self._acceptor.open(socket.socket(fileno=fd))

    def renew(self, service: Service) -> None:
        """Serve as a newer snapshot wants it: requests from now on, and TLS for connections from a moment later on."""
        self._take(service)
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

    def _take(self, service: Service) -> None:
        edge, around = service.edge, self._around
        around.limits = service.limits
        around.heads = HeadWriter(self._clock, hsts=edge.hsts)
        around.proxies = Proxies(edge.trusted_proxies, edge.forwarded_fields, edge.certificate_field)
        application: Application = ProxiedSurface(_within(service), around)
        around.application = application if service.outermost is None else service.outermost(application)
        self._newest = edge.tls

    async def _show_newest(self) -> None:
        async with self._changing:
            wanted = self._newest
            if wanted == self._shown:
                return
            # On a thread: it takes more than a millisecond, which no call should wait for.
            context = None if wanted is None else await self._loop.run_in_executor(None, server_context, wanted)
            self._acceptor.tls, self._shown = context, wanted


def _within(service: Service) -> Application:
    edge, application = service.edge, service.application
    inner: Application = application
    if edge.origins:
        inner = CorsSurface(application, edge.origins, with_cookies=edge.credential_cookie != "")
    return FacedSurface(inner, service.face) if service.face else inner


def _tell(task: "asyncio.Task[None]") -> None:
    fault = None if task.cancelled() else task.exception()
    if fault is not None:
        _log.error("the new certificate cannot be shown, and the old one stays: %s", fault)

"""All listeners of a worker: the native one, and one for each face, in the order of the sockets that it inherited."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from jotgate.assembly.faces import SURFACES
from jotgate.assembly.listening import Listener, Service
from jotgate.core.snapshot import Snapshot
from jotgate.edge.ext_authz import GrpcListener, GrpcService
from jotgate.edge.http1.guard import SWEEP_INTERVAL_S, sweep
from jotgate.edge.http1.listener import Application, OpenConnection
from jotgate.edge.proxies import Proxies
from jotgate.edge.surfaces.decisions import DecisionSurface
from jotgate.edge.surfaces.native import NativeSurface
from jotgate.gateway.decisions import DecisionDesk
from jotgate.gateway.passage import ControlDoor
from jotgate.gateway.pipeline import Gateway
from jotgate.ports import Clock


class Listeners:
    """Those of one worker, the native one first. Mutable: the listeners, once they are open.

    `connections` are those of all of them.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        native: NativeSurface,
        gateway: Gateway,
        control: ControlDoor,
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._native = native
        self._gateway = gateway
        self._control = control
        self._open: dict[str, Listener] = {}
        self._grpc = GrpcListener(loop, clock)
        self.connections: set[OpenConnection] = set()

    async def open(self, fds: Sequence[int], snapshot: Snapshot) -> None:
        """Begin to serve on these sockets. Raises ssl.SSLError."""
        for fd, (name, service) in zip(fds, self._services(snapshot), strict=True):
            listener = Listener(self._loop, self._clock, service.application, self.connections)
            await listener.open(fd, service)
            self._open[name] = listener
        self._grpc.renew(self._questions(snapshot))
        await self._grpc.settle()

    def renew(self, snapshot: Snapshot) -> None:
        """Serve as a newer snapshot wants it."""
        for name, service in self._services(snapshot):
            if name in self._open:
                self._open[name].renew(service)
        if self._open:
            self._grpc.renew(self._questions(snapshot))

    async def end_questions(self, patience_s: float) -> None:
        """Take no more of what Envoys ask over gRPC."""
        await self._grpc.close(patience_s)

    def close(self) -> None:
        """Take no further connection; those whose handshake is under way still come."""
        for one in self._open.values():
            one.close()

    @property
    def arriving(self) -> int:
        """How many connections are not set up yet: under TLS, those whose handshake is under way."""
        return sum(one.arriving for one in self._open.values())

    def hang_up(self) -> None:
        """End the connections that are not set up yet."""
        for one in self._open.values():
            one.hang_up()

    async def keep_patience(self) -> None:
        """Cut off clients that take too long, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            await sweep(self.connections, self._clock)

    def _services(self, snapshot: Snapshot) -> Iterator[tuple[str, Service]]:
        """What each listener serves by a snapshot, by the name of its face."""
        yield "", Service(self._native, snapshot.edge, snapshot.limits, "", self._decisions(snapshot))
        for face in snapshot.faces:
            surface = SURFACES[face.name](face, self._gateway, self._control)
            yield face.name, Service(surface, face.edge, snapshot.limits, face.name)

    def _questions(self, snapshot: Snapshot) -> GrpcService | None:
        """What answers Envoys that ask over gRPC; None: nothing."""
        rules = snapshot.decisions
        if rules is None or not rules.grpc:
            return None
        proxies = Proxies(rules.proxies, "x-forwarded")
        return GrpcService(rules.grpc, DecisionDesk(self._gateway, rules), proxies)

    def _decisions(self, snapshot: Snapshot) -> Callable[[Application], Application] | None:
        """What answers proxies that ask for decisions; None: nobody may."""
        rules = snapshot.decisions
        if rules is None:
            return None
        return partial(
            DecisionSurface,
            desk=DecisionDesk(self._gateway, rules),
            proxies=Proxies(rules.proxies, "x-forwarded"),
            certificate_field=snapshot.edge.certificate_field,
        )

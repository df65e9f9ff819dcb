"""Puts a worker together: the hot edge, the gateway behind it, its upstreams, and the link to control.

A worker holds verification keys and upstream credentials; it has no signing key and opens no file.
"""

import asyncio
import gc
import secrets
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

import uvloop

from jotgate.assembly.system import SystemClock
from jotgate.core.routes import Upstream
from jotgate.core.snapshot import Limits, Snapshot
from jotgate.edge.http1.listener import OpenConnection, Surroundings
from jotgate.edge.http1.protocol import Connection
from jotgate.edge.http1.responses import HeadWriter
from jotgate.edge.surfaces.native import NativeSurface
from jotgate.gateway.passage import ControlDoor
from jotgate.gateway.pipeline import Gateway
from jotgate.gateway.records import CallRecorder
from jotgate.gateway.world import Place, build_world
from jotgate.processes.child import Assignment
from jotgate.processes.console import say
from jotgate.processes.link import Link
from jotgate.processes.messages import AuditBatch, AuditWritten, Beat, FromControl, Hello, World
from jotgate.services.auditor import Auditor
from jotgate.upstreams.control import ControlUpstream
from jotgate.upstreams.echo import EchoUpstream
from jotgate.upstreams.openai import OpenAIUpstream
from jotgate.upstreams.transport import Pool

_FLUSH_INTERVAL_S: Final = 0.2
_SWEEP_INTERVAL_S: Final = 0.25
_DRAIN_S: Final = 30.0
_LAST_WORDS_S: Final = 2.0
_LIMITS: Final = Limits()
# A cyclic collection walks every live object; what the start made is frozen, and calls make few cycles.
_GC_THRESHOLD: Final = 50_000


class Worker:
    """One worker process. Mutable: its world, its upstreams, its connections."""

    def __init__(self, assignment: Assignment, loop: asyncio.AbstractEventLoop) -> None:
        self._assignment = assignment
        self._loop = loop
        self._clock = SystemClock()
        self._instance = secrets.token_hex(6)
        self._auditor = Auditor(_LIMITS.audit_rows)
        recorder = CallRecorder(clock=self._clock, trail=self._auditor, instance=self._instance)
        self._gateway = Gateway(clock=self._clock, recorder=recorder, instance=self._instance)
        directory = Path(assignment.directory)
        control = ControlUpstream(str(directory / "edge.sock"), loop)
        self._control = ControlDoor(control, self._clock)
        self._link = Link(str(directory / "bus.sock"), connected=self._greet, received=self._hear)
        self._places: dict[str, Place] = {}
        self._pools: list[Pool] = [control.pool]
        self._connections: set[OpenConnection] = set()
        self._server: asyncio.Server | None = None
        self._arrived = asyncio.Event()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Stop when the running calls are answered."""
        self._stopping.set()

    async def serve(self) -> None:
        """Serve from the first snapshot until `stop`."""
        background = [
            self._loop.create_task(self._link.keep()),
            self._loop.create_task(self._flush_for_ever()),
            self._loop.create_task(self._sweep_for_ever()),
        ]
        arrived = self._loop.create_task(self._arrived.wait())
        stopping = self._loop.create_task(self._stopping.wait())
        await asyncio.wait({arrived, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not self._stopping.is_set():
            await self._listen()
            await stopping
            await self._drain()
        for task in [*background, arrived, stopping]:
            task.cancel()

    # The bus

    def _greet(self) -> None:
        self._link.send(Hello(self._assignment.slot, self._instance))
        for number, lines in self._auditor.unwritten():
            self._link.send(AuditBatch(number, lines))

    def _hear(self, message: FromControl) -> None:
        match message:
            case Beat():
                self._gateway.control_seen()
            case World(snapshot):
                self._swap(snapshot)
            case AuditWritten(number):
                self._gateway.control_seen()
                self._auditor.written(number)

    def _swap(self, snapshot: Snapshot) -> None:
        self._places = {upstream.name: self._place(upstream) for upstream in snapshot.upstreams}
        self._auditor.limit(snapshot.limits.audit_rows)
        self._gateway.swap(build_world(snapshot, self._places, self._gateway.world))
        self._arrived.set()

    def _place(self, upstream: Upstream) -> Place:
        known = self._places.get(upstream.name)
        if known is not None and known.upstream == upstream:
            return known
        if upstream.kind == "echo":
            return Place(upstream, EchoUpstream(self._clock))
        port = OpenAIUpstream(upstream, self._loop)
        self._pools.append(port.pool)
        return Place(upstream, port)

    # The edge

    async def _listen(self) -> None:
        world = self._gateway.world
        surroundings = Surroundings(
            application=NativeSurface(self._gateway, self._control),
            clock=self._clock,
            heads=HeadWriter(self._clock),
            limits=_LIMITS if world is None else world.limits,
            connections=self._connections,
        )
        listener = socket.socket(fileno=self._assignment.listen_fds[0])
        self._server = await self._loop.create_server(lambda: Connection(surroundings), sock=listener, backlog=4096)
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD, 10, 10)
        self._assignment.report_ready()

    async def _drain(self) -> None:
        """Accept nothing more, answer what is read, tell control of the last calls."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.close_when_idle()
        await self._until(lambda: not self._connections, _DRAIN_S)
        self._gateway.cancel_all()
        self._flush()
        await self._until(lambda: not self._auditor.unwritten(), _LAST_WORDS_S)
        lost = sum(len(lines) for _, lines in self._auditor.unwritten())
        if lost:
            say(f"{lost} audit records could not be handed to control and are lost")

    async def _until(self, done: Callable[[], bool], patience_s: float) -> None:
        end_s = self._clock.monotonic_s() + patience_s
        while not done() and self._clock.monotonic_s() < end_s:  # noqa: ASYNC110 - unrelated conditions, at the end
            await asyncio.sleep(0.02)

    # What recurs

    def _flush(self) -> None:
        batch = self._auditor.take_batch()
        if batch is not None:
            self._link.send(AuditBatch(*batch))

    async def _flush_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_INTERVAL_S)
            self._flush()

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_INTERVAL_S)
            self._gateway.check_deadlines()
            self._control.check_deadlines()
            for pool in self._pools:
                pool.close_idle()


def run(assignment: Assignment) -> None:
    """Be a worker until told to stop or until the supervisor is gone."""
    uvloop.run(_serve(assignment))


async def _serve(assignment: Assignment) -> None:
    loop = asyncio.get_running_loop()
    worker = Worker(assignment, loop)
    loop.add_signal_handler(signal.SIGTERM, worker.stop)
    loop.add_signal_handler(signal.SIGINT, worker.stop)

    def orphaned() -> None:
        loop.call_soon_threadsafe(worker.stop)

    assignment.follow_supervisor(orphaned)
    await worker.serve()

"""Puts a worker together: the hot edge, the gateway behind it, its upstreams, and the link to control.

A worker holds verification keys and upstream credentials; it has no signing key and opens no file.
"""

import asyncio
import gc
import math
import secrets
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

import uvloop

from jotgate.assembly.caller_link import CallerLink
from jotgate.assembly.listeners import Listeners
from jotgate.assembly.mcp_opening import open_mcp
from jotgate.assembly.personal_link import PersonalLink
from jotgate.assembly.proof_link import ProofLink
from jotgate.assembly.system import SystemClock
from jotgate.assembly.tool_link import ToolLink
from jotgate.assembly.unit_link import UnitLink
from jotgate.assembly.upstream_token_link import UpstreamTokenLink
from jotgate.assembly.worlds import Worlds
from jotgate.core.figures import Gauges
from jotgate.core.forms import FormAnswered, FormAsked
from jotgate.core.key_fetches import KeysOutcome
from jotgate.core.owned_objects import ObjectOrder
from jotgate.core.snapshot import Limits, Snapshot
from jotgate.edge.surfaces.native import NativeSurface
from jotgate.gateway.checkups import Checkups
from jotgate.gateway.forms import FormDoor
from jotgate.gateway.passage import ControlDoor
from jotgate.gateway.pipeline import Gateway
from jotgate.gateway.records import CallRecorder
from jotgate.gateway.seats import Seats
from jotgate.gateway.world import World as ReadyWorld
from jotgate.processes.child import Assignment
from jotgate.processes.console import say
from jotgate.processes.link import Link
from jotgate.processes.marks import SharedMarks
from jotgate.processes.messages import (
    AccountsChanged,
    AuditBatch,
    AuditWritten,
    Beat,
    EndlessSeen,
    Figures,
    FromControl,
    Hello,
    IdentityAnswered,
    KeysAnswered,
    KeysWanted,
    LeasesAnswered,
    LimitsChanged,
    ObjectAnswered,
    ObjectAsked,
    PlanAnswered,
    ProofJudged,
    Revoked,
    Settled,
    StatusAnswered,
    TicketRedeemed,
    TokenAnswered,
    ToolsKnown,
    UnitsWanted,
    UpstreamTokenAnswered,
    UpstreamTokenCleared,
    World,
)
from jotgate.services.auditor import Auditor, Batch
from jotgate.services.object_desk import ObjectDesk
from jotgate.services.tally import Tally
from jotgate.services.tool_book import ToolBook, tell_nobody
from jotgate.telemetry.logs import CallJournal, learn_of, watch_loop
from jotgate.telemetry.loops import LoopWatch
from jotgate.upstreams.control import ControlUpstream

_FLUSH_INTERVAL_S: Final = 0.2
_SWEEP_INTERVAL_S: Final = 0.25
_FAREWELL_S: Final = 1.0
_LAST_WORDS_S: Final = 2.0
_LOOK_S: Final = 0.02
_LIMITS: Final = Limits()
# A cyclic collection walks every live object; what the start made is frozen, and calls make few cycles.
_GC_THRESHOLD: Final = 50_000


class Worker:
    """One worker process. Mutable: the newest snapshot of this control process, and whether it is to stop."""

    def __init__(self, assignment: Assignment, loop: asyncio.AbstractEventLoop) -> None:
        self._assignment = assignment
        self._loop = loop
        self._clock = SystemClock()
        self._instance = secrets.token_hex(6)
        self._auditor = Auditor(_LIMITS.audit_rows)
        self._tally = Tally()
        self._watch = LoopWatch(loop)
        recorder = CallRecorder(
            clock=self._clock,
            trail=self._auditor,
            instance=self._instance,
            tally=self._tally,
            journal=CallJournal(),
        )
        directory = Path(assignment.directory)
        control = ControlUpstream(str(directory / "edge.sock"), loop)
        self._control = ControlDoor(control, self._clock)
        self._gateway = Gateway(
            clock=self._clock,
            recorder=recorder,
            instance=self._instance,
            control=self._control,
            soon=loop.call_soon,
        )
        self._gateway.seats = Seats(SharedMarks(assignment.marks_fd))
        self._link = Link(str(directory / "bus.sock"), connected=self._greet, received=self._hear, lost=self._abandon)
        self._forms = FormDoor(self._clock, self._control, self._hand_in)
        book = ToolBook(self._clock, tell_nobody)
        self._tools = ToolLink(book, self._link)
        open_mcp(self._gateway, self._clock, recorder, loop, book)
        self._key_waits = self._gateway.fetch_keys_by(self._want_keys, loop.call_soon)
        self._worlds = Worlds(
            loop,
            self._clock,
            swap=self._swap,
            settled=self._settle,
            slot=assignment.slot,
            workers=assignment.workers,
        )
        self._worlds.control_path = str(directory / "edge.sock")
        self._worlds.revoked.follow(self._gateway.cuts.revoked)
        self._personal = PersonalLink(self._worlds.personal, self._gateway, self._link, self._clock, loop.call_soon)
        self._proofs = ProofLink(self._gateway, self._link, loop.call_soon)
        self._callers = CallerLink(self._gateway, self._link, loop.call_soon)
        self._units = UnitLink(self._gateway, self._link, self._clock, loop.call_soon)
        self._objects = ObjectDesk(self._clock, self._order, loop.call_soon)
        self._worlds.coze.keep_in(self._objects)
        self._tokens = UpstreamTokenLink(self._worlds.tokens, self._link)
        self._checkups = Checkups(self._clock)
        self._control_pool = control.pool
        native = NativeSurface(self._gateway, self._control, self._forms)
        self._listeners = Listeners(loop, self._clock, native, self._gateway, self._control)
        self._arrived = asyncio.Event()
        self._stopping = asyncio.Event()
        self._newest: Snapshot | None = None
        self._early: list[KeysAnswered] = []
        self._fault: BaseException | None = None

    def stop(self) -> None:
        """Stop when the running calls are answered."""
        self._stopping.set()

    async def serve(self) -> None:
        """Serve from the first snapshot until `stop`."""
        background = [
            self._loop.create_task(self._link.keep()),
            self._loop.create_task(self._worlds.keep()),
            self._loop.create_task(self._flush_for_ever()),
            self._loop.create_task(self._sweep_for_ever()),
            self._loop.create_task(self._listeners.keep_patience()),
        ]
        for recurring in background:
            recurring.add_done_callback(self._notice_end)
        arrived = self._loop.create_task(self._arrived.wait())
        stopping = self._loop.create_task(self._stopping.wait())
        await asyncio.wait({arrived, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not self._stopping.is_set():
            await self._listen()
            await stopping
            await self._drain()
        for task in [*background, arrived, stopping]:
            task.cancel()
        if self._fault is not None:
            raise self._fault

    def _notice_end(self, task: "asyncio.Task[None]") -> None:
        """Stop when what recurs has failed: this worker would go on half-dead, and another can be started."""
        if not task.cancelled() and self._fault is None:
            self._fault = task.exception()
            self.stop()

    # The bus

    def _greet(self) -> None:
        self._newest = None
        self._early = []
        held = self._worlds.personal.version
        self._link.send(Hello(self._assignment.slot, self._instance, held, self._units.mark))
        self._auditor.take_batches()  # They are among those that follow.
        self._send_batches(self._auditor.unwritten())
        self._key_waits.ask_again()
        self._personal.ask_again()
        self._proofs.ask_again()
        self._callers.ask_again()
        self._units.ask_again()
        self._tokens.ask_again()
        self._objects.ask_again()
        self._tools.ask_again()

    def _abandon(self) -> None:
        self._newest = None
        self._forms.lost()
        self._units.lost()

    def _hand_in(self, form: FormAsked) -> bool:
        """Send a form to a control that has spoken: one that is only starting would not hear it for a while."""
        return self._newest is not None and self._link.send(form)

    def _hear(self, message: FromControl) -> None:
        match message:
            case Beat(age_s):
                self._tell_figures()  # First: the silence that a beat ends is worth knowing.
                self._personal.tell_uses()
                self._tell_sights()
                self._gateway.control_seen(age_s)
            case Revoked(entries):
                self._worlds.revoked.take(entries)
            case World(snapshot):
                self._newest = snapshot
                self._worlds.offer(snapshot)
            case FormAnswered():
                self._forms.answered(message)
            case AccountsChanged() | TokenAnswered():
                self._personal.hear(message)
            case IdentityAnswered() | StatusAnswered() | TicketRedeemed():
                self._callers.hear(message)
            case ProofJudged():
                self._proofs.hear(message)
            case PlanAnswered() | LeasesAnswered() | LimitsChanged() | UnitsWanted():
                self._units.hear(message)
            case ObjectAnswered(number, answer):
                self._objects.answered(number, answer)
            case UpstreamTokenAnswered() | UpstreamTokenCleared():
                self._tokens.hear(message)
            case ToolsKnown():
                self._tools.hear(message)
            case AuditWritten(number):
                self._auditor.written(number)
            case KeysAnswered():
                self._early.append(message)
                self._pass_answers()

    def _want_keys(self, issuer: str) -> None:
        self._link.send(KeysWanted(issuer))  # If there is nobody to ask now, it is asked when there is.

    def _order(self, number: int, order: ObjectOrder) -> None:
        self._link.send(ObjectAsked(number, order))  # If there is nobody to ask now, it is asked when there is.

    def _pass_answers(self) -> None:
        """Let those who wait for keys go on, once the newest snapshot, which came before the answer, is in use."""
        world = self._gateway.world
        if world is None or world.snapshot is not self._newest:
            return
        early, self._early = self._early, []
        for one in early:
            self._key_waits.answered(one.issuer, KeysOutcome(one.reached, one.useless_s))

    def _tell_figures(self) -> None:
        rows, size = self._auditor.waiting
        world = self._gateway.world
        gauges = Gauges(
            live_calls=len(self._gateway.live),
            audit_rows=rows,
            audit_bytes=size,
            snapshot=0 if world is None else world.snapshot.version,
            control_age_s=self._gateway.control_age_s,
            block_s=self._watch.longest_s,
            units_waiting=len(self._gateway.metered.waits),
        )
        verifiers = () if world is None else world.verifiers
        self._link.send(Figures(self._tally.counts(verifiers, self._worlds.personal), gauges))

    def _tell_sights(self) -> bool:
        """Tell control of some tokens that never expire; whether there were any, and somebody to tell."""
        world = self._gateway.world
        return world is not None and world.verifier.cache.sights.tell(
            lambda tokens: self._link.send(EndlessSeen(list(tokens)))
        )

    def _swap(self, world: ReadyWorld) -> None:
        before = self._gateway.world
        for verifier in () if before is None else before.verifiers:
            if verifier not in world.verifiers:
                self._tally.retire(verifier)
        learn_of(world.snapshot.upstreams, world.snapshot.all_issuers)
        self._auditor.limit(world.limits.audit_rows)
        self._tools.swap(world)
        self._gateway.swap(world)
        self._listeners.renew(world.snapshot)
        self._arrived.set()
        self._pass_answers()

    def _settle(self, version: int, block_s: float) -> None:
        world = self._gateway.world
        if world is None or world.snapshot is not self._newest:
            return  # An earlier control's: this one's numbers mean others. Or one is waiting that it will hear of.
        self._link.send(Settled(version, max(block_s, self._link.take_longest_read_s())))

    # The edge

    async def _listen(self) -> None:
        world = self._gateway.world
        assert world is not None, "serve waits for the first one"
        await self._listeners.open(self._assignment.listen_fds, world.snapshot)
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD, 10, 10)
        self._watch.start()
        self._assignment.report_ready()

    async def _drain(self) -> None:
        """Accept nothing more, answer what is read, tell control of the last calls.

        Callers that keep a connection, or are about to have one, get a moment to ask once more, and are told then that
        it ends: one that is closed while a request is on its way to it costs that request.
        """
        self._listeners.close()
        self._assignment.report_draining()
        await self._listeners.end_questions(_FAREWELL_S)
        for connection in self._listeners.connections:
            connection.announce_end()
        end_s = self._clock.monotonic_s() + self._assignment.drain_s
        await self._until(lambda: not self._listeners.arriving, _FAREWELL_S, end_s)
        self._listeners.hang_up()
        await self._until(lambda: not self._listeners.connections, _FAREWELL_S, end_s)
        for connection in tuple(self._listeners.connections):
            connection.close_when_idle()
        await self._until(lambda: not self._listeners.connections, self._assignment.drain_s, end_s)
        self._gateway.cancel_all()
        self._units.close()
        self._flush()
        self._tell_figures()
        self._personal.tell_uses()
        while self._tell_sights():
            pass
        self._link.flush()
        await self._until(lambda: not self._auditor.unwritten(), _LAST_WORDS_S)
        if lost := sum(batch.rows for batch in self._auditor.unwritten()):
            say(f"{lost} audit records could not be handed to control and are lost")

    async def _until(self, done: Callable[[], bool], patience_s: float, end_s: float = math.inf) -> None:
        end_s = min(end_s, self._clock.monotonic_s() + patience_s)
        while not done():
            if self._clock.monotonic_s() >= end_s:
                return
            await asyncio.sleep(_LOOK_S)

    # What recurs

    def _flush(self) -> None:
        self._send_batches(self._auditor.take_batches())

    def _send_batches(self, batches: list[Batch]) -> None:
        for batch in batches:
            self._link.send(AuditBatch(batch.number, batch.text))

    async def _flush_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_INTERVAL_S)
            self._flush()

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_INTERVAL_S)
            self._gateway.check_deadlines()
            self._worlds.chains.check_deadlines()
            self._worlds.coze.check_deadlines()
            self._worlds.tokens.check_deadlines()
            self._control.check_deadlines()
            self._forms.check_deadlines()
            self._objects.check_deadlines(self._clock.monotonic_s())
            self._tools.check_deadlines(self._clock.monotonic_s())
            self._control_pool.close_idle()
            self._worlds.revoked.forget(self._clock.now_s())
            self._checkups.sweep(self._worlds.places)
            for pool in self._worlds.pools:
                pool.close_idle()


def run(assignment: Assignment) -> None:
    """Be a worker until told to stop or until the supervisor is gone."""
    uvloop.run(_serve(assignment))


async def _serve(assignment: Assignment) -> None:
    loop = asyncio.get_running_loop()
    watch_loop(loop)
    worker = Worker(assignment, loop)
    loop.add_signal_handler(signal.SIGTERM, worker.stop)
    loop.add_signal_handler(signal.SIGINT, worker.stop)

    def orphaned() -> None:
        loop.call_soon_threadsafe(worker.stop)

    assignment.follow_supervisor(orphaned)
    await worker.serve()

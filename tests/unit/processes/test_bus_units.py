"""Workers ask control about quotas over the bus, what they ask of the ledger is done, and changed limits are told."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from jotgate.assembly.system import SystemClock
from jotgate.core.ledger import LeaseAnswer, LeaseAsk
from jotgate.core.quotas import Limit, Meter, Quota, Spender
from jotgate.processes.bus import BusServer
from jotgate.processes.messages import (
    Hello,
    LeasesAnswered,
    LeasesAsked,
    LimitsChanged,
    PlanAnswered,
    PlanWanted,
    World,
    frame,
)
from jotgate.telemetry.census import Census
from tests.unit.processes.test_bus import _SNAPSHOT, ScriptedLog, Worker

_METER = Meter("account", Quota("q", Limit("requests", 5)), ("alice",))
_PLAN = PlanWanted(1, Spender("https://own", "alice", "app", "", "t"), "gpt", "chat.completions")
Script = Callable[[BusServer, "Desk", Callable[[str], Awaitable[Worker]]], Awaitable[None]]


class Desk:
    """What control knows (processes.answers.UnitDesk); leases are said when the test lets it."""

    mark = "now"

    def __init__(self) -> None:
        self.known = True
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self.done: asyncio.Queue[str] = asyncio.Queue()
        self.open = asyncio.Event()

    async def plan(self, wanted: PlanWanted) -> tuple[Meter, ...] | None:
        return (_METER,) if self.known and wanted.spender.subject == "alice" else None

    async def lease(self, asks: Sequence[LeaseAsk]) -> list[LeaseAnswer] | None:
        self.begun.put_nowait(asks[0].lease_id)
        await self.open.wait()
        self.done.put_nowait(asks[0].lease_id)
        return [LeaseAnswer(ask.lease_id, ask.want) for ask in asks] if self.known else None


def with_desk(tmp_path: Path, script: Script) -> None:
    """Run a script of workers, which greet with a mark, against a bus with a desk."""

    async def play() -> None:
        path = str(tmp_path / "bus.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        bus, desk = BusServer(_SNAPSHOT, ScriptedLog(), Census(SystemClock())), Desk()
        bus.answers.serve_units(desk)
        await bus.start(listener)

        async def greet(mark: str) -> Worker:
            worker = Worker(*await asyncio.open_unix_connection(path))
            worker.send(Hello(0, "a" * 12, limits=mark))
            return worker

        await script(bus, desk, greet)
        bus.stop()

    asyncio.run(asyncio.wait_for(play(), 20))


def test_plans_and_leases_are_answered_by_their_numbers(tmp_path: Path) -> None:
    async def script(_: BusServer, desk: Desk, greet: Callable[[str], Awaitable[Worker]]) -> None:
        desk.open.set()
        worker = await greet("now")
        assert isinstance(await worker.receive(), World)
        worker.writer.write(frame(_PLAN))
        assert await worker.receive() == PlanAnswered(1, (_METER,))
        # A number of one kind is no number of another.
        worker.writer.write(frame(LeasesAsked(1, [LeaseAsk("l1", _METER, 3), LeaseAsk("", _METER, previous="l0")])))
        assert await worker.receive() == LeasesAnswered(1, [LeaseAnswer("l1", 3), LeaseAnswer("", 0)])
        desk.known = False
        worker.writer.write(frame(_PLAN) + frame(LeasesAsked(2, [LeaseAsk("l2", _METER, 3)])))
        heard = [await worker.receive(), await worker.receive()]
        assert PlanAnswered(1, None) in heard
        assert LeasesAnswered(2, None) in heard
        worker.writer.close()

    with_desk(tmp_path, script)


def test_the_last_words_of_a_worker_reach_the_ledger(tmp_path: Path) -> None:
    async def script(_: BusServer, desk: Desk, greet: Callable[[str], Awaitable[Worker]]) -> None:
        worker = await greet("now")
        assert isinstance(await worker.receive(), World)
        worker.writer.write(frame(LeasesAsked(1, [LeaseAsk("l1", _METER, 3)])))
        assert await desk.begun.get() == "l1"
        worker.writer.write(frame(LeasesAsked(2, [LeaseAsk("", _METER, previous="l1", spent=1)])))
        worker.writer.close()
        await worker.writer.wait_closed()
        assert await desk.begun.get() == ""
        desk.open.set()
        assert {await desk.done.get(), await desk.done.get()} == {"l1", ""}

    with_desk(tmp_path, script)


def test_who_greets_with_the_mark_of_other_limits_is_told_first_that_they_changed(tmp_path: Path) -> None:
    async def script(bus: BusServer, desk: Desk, greet: Callable[[str], Awaitable[Worker]]) -> None:
        for mark in ("", "before"):
            worker = await greet(mark)
            assert await worker.receive() == LimitsChanged("now")
            assert isinstance(await worker.receive(), World)
            worker.writer.close()
        worker = await greet("now")
        assert isinstance(await worker.receive(), World), "who knows need let go of nothing"
        desk.mark = "next"
        bus.tell_limits("next")
        assert await worker.receive() == LimitsChanged("next")
        worker.writer.close()

    with_desk(tmp_path, script)


def test_without_a_desk_nothing_is_known(tmp_path: Path) -> None:
    async def script(bus: BusServer, desk: Desk, greet: Callable[[str], Awaitable[Worker]]) -> None:
        bus.answers.units = None
        worker = await greet("")
        assert isinstance(await worker.receive(), World)
        worker.writer.write(frame(_PLAN))
        assert await worker.receive() == PlanAnswered(1, None)
        worker.writer.write(frame(LeasesAsked(1, [LeaseAsk("l1", _METER, 3)])))
        assert await worker.receive() == LeasesAnswered(1, None)
        assert desk.begun.empty()
        worker.writer.close()

    with_desk(tmp_path, script)

"""Control's end of the bus, spoken to by a worker that is scripted byte by byte."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import pytest
from msgspec import structs

from jotgate.assembly.system import SystemClock
from jotgate.core.revocations import Entry
from jotgate.core.routes import Upstream
from jotgate.core.snapshot import Snapshot
from jotgate.core.values import Secret
from jotgate.errors import AuditUnavailable
from jotgate.processes.bus import BusServer
from jotgate.processes.messages import (
    FRAME_BYTES_MAX,
    AuditBatch,
    AuditWritten,
    Beat,
    FromControl,
    Hello,
    Revoked,
    Settled,
    World,
    frame,
    read_from_control,
)
from jotgate.services.revocation import PAGE, RevokedSet
from jotgate.telemetry.census import Census
from tests.callers import own_issuer

_SNAPSHOT = Snapshot(
    7,
    (own_issuer(b"{}"),),
    (Upstream("u", "openai", "", Secret("s")),),
    (),
)


class ScriptedLog:
    """An audit log whose disk can be full, or refuse to sync."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []
        self.written: list[bytes] = []
        self.syncs = 0
        self.refuses: set[str] = set()

    def append(self, lines: Iterable[bytes]) -> None:
        self._check("append")
        self.waiting += lines

    def flush(self) -> None:
        self._check("flush")
        self.written += self.waiting
        self.waiting = []

    def sync(self) -> None:
        self._check("sync")
        self.syncs += 1

    def close(self) -> None:
        raise NotImplementedError

    def _check(self, step: str) -> None:
        if step in self.refuses:
            raise AuditUnavailable(f"no {step}")


class Worker:
    """A worker's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, message: Hello | AuditBatch | Settled) -> None:
        self.writer.write(frame(message))

    async def receive(self) -> FromControl:
        length = int.from_bytes(await self.reader.readexactly(4), "big")
        return read_from_control(await self.reader.readexactly(length))

    async def receive_but_beats(self) -> FromControl:
        while isinstance(message := await self.receive(), Beat):
            pass
        return message

    async def cut_off(self) -> bool:
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True
        finally:
            self.writer.close()


Connect = Callable[[], Awaitable[Worker]]


def with_bus(
    tmp_path: Path, log: ScriptedLog, script: Callable[[Connect, "asyncio.Task[None]"], Awaitable[None]]
) -> None:
    """Run a script of worker connections against a bus server."""

    async def play() -> None:
        path = str(tmp_path / "bus.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        bus = BusServer(_SNAPSHOT, log, Census(SystemClock()))
        await bus.start(listener)
        keeping = asyncio.create_task(bus.keep_time())

        async def connect() -> Worker:
            return Worker(*await asyncio.open_unix_connection(path))

        try:
            await asyncio.wait_for(script(connect, keeping), 20)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            bus.stop()

    asyncio.run(play())


def test_a_worker_gets_its_world_and_then_beats(tmp_path: Path) -> None:
    async def script(connect: Connect, keeping: "asyncio.Task[None]") -> None:
        worker = await connect()
        worker.send(Hello(0, "a" * 12))
        world = await worker.receive()
        assert isinstance(world, World)
        assert world.snapshot == _SNAPSHOT
        assert isinstance(await worker.receive(), Beat)
        worker.writer.close()

    with_bus(tmp_path, ScriptedLog(), script)


def test_rows_are_confirmed_when_they_are_written_and_not_before(tmp_path: Path) -> None:
    log = ScriptedLog()
    log.refuses = {"flush"}

    async def script(connect: Connect, keeping: "asyncio.Task[None]") -> None:
        worker = await connect()
        worker.send(Hello(0, "a" * 12))
        assert isinstance(await worker.receive(), World)
        worker.send(AuditBatch(1, b"{1}"))
        worker.send(AuditBatch(2, b"{2}"))
        # The disk is full: control lives on and says so, and confirms nothing.
        assert isinstance(await worker.receive(), Beat)
        assert isinstance(await worker.receive(), Beat)
        log.refuses = set()
        assert await worker.receive_but_beats() == AuditWritten(2)
        assert log.written == [b"{1}", b"{2}"]
        worker.writer.close()

    with_bus(tmp_path, log, script)


def test_a_batch_that_finds_no_place_cuts_the_connection_so_that_it_comes_again(tmp_path: Path) -> None:
    log = ScriptedLog()
    log.refuses = {"append"}

    async def script(connect: Connect, keeping: "asyncio.Task[None]") -> None:
        worker = await connect()
        worker.send(Hello(0, "a" * 12))
        assert isinstance(await worker.receive(), World)
        worker.send(AuditBatch(1, b"{1}"))
        assert await worker.cut_off()
        log.refuses = set()
        again = await connect()
        again.send(Hello(0, "a" * 12))
        again.send(AuditBatch(1, b"{1}"))
        assert isinstance(await again.receive(), World)
        assert await again.receive_but_beats() == AuditWritten(1)
        assert log.written == [b"{1}"]
        again.writer.close()

    with_bus(tmp_path, log, script)


def test_a_disk_that_does_not_sync_ends_control(tmp_path: Path) -> None:
    log = ScriptedLog()
    log.refuses = {"sync"}

    async def script(connect: Connect, keeping: "asyncio.Task[None]") -> None:
        with pytest.raises(AuditUnavailable, match="no sync"):
            await keeping

    with_bus(tmp_path, log, script)


@pytest.mark.parametrize(
    "words",
    [
        frame(AuditBatch(1, b"{}")),
        (FRAME_BYTES_MAX + 1).to_bytes(4, "big"),
        (3).to_bytes(4, "big") + b"abc",
        b"\x00\x00\x00\x00",
    ],
    ids=["no hello", "too long", "no message", "empty"],
)
def test_who_breaks_the_rules_is_cut_off_and_others_are_not(tmp_path: Path, words: bytes) -> None:
    log = ScriptedLog()

    async def script(connect: Connect, keeping: "asyncio.Task[None]") -> None:
        good, bad = await connect(), await connect()
        good.send(Hello(0, "a" * 12))
        assert isinstance(await good.receive(), World)
        bad.writer.write(words)
        assert await bad.cut_off()
        good.send(AuditBatch(1, b"{1}"))
        assert await good.receive_but_beats() == AuditWritten(1)
        good.writer.close()

    with_bus(tmp_path, log, script)
    assert log.written == [b"{1}"]


async def on_bus(tmp_path: Path, bus: BusServer, script: Callable[[Connect], Awaitable[None]]) -> None:
    """Run a script against a bus server that keeps no time."""
    path = str(tmp_path / "bus.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    await bus.start(listener)

    async def connect() -> Worker:
        return Worker(*await asyncio.open_unix_connection(path))

    try:
        await asyncio.wait_for(script(connect), 20)
    finally:
        bus.stop()


def test_a_worker_knows_all_that_was_revoked_before_it_gets_its_first_world_and_what_comes_later_at_once(
    tmp_path: Path,
) -> None:
    async def play() -> None:
        bus = BusServer(_SNAPSHOT, ScriptedLog(), Census(SystemClock()))
        revoked = RevokedSet()
        revoked.take(Entry(f"token {number}", None) for number in range(2 * PAGE + 1))
        bus.follow(revoked)

        async def script(connect: Connect) -> None:
            for slot in range(2):  # The second is one that has come back: it is told everything again.
                worker = await connect()
                worker.send(Hello(slot, "a" * 12))
                known = RevokedSet()
                while isinstance(message := await worker.receive(), Revoked):
                    assert len(message.entries) <= PAGE
                    known.take(message.entries)
                assert isinstance(message, World)
                assert known.entries() == revoked.entries()
                bus.revoke([Entry(f"token new {slot}", 60)])
                assert await worker.receive() == Revoked([Entry(f"token new {slot}", 60)])
                worker.writer.close()

        await on_bus(tmp_path, bus, script)

    asyncio.run(play())


def test_what_is_revoked_and_what_is_new_reach_a_worker_that_is_being_told_all_the_rest(tmp_path: Path) -> None:
    async def play() -> None:
        bus = BusServer(_SNAPSHOT, ScriptedLog(), Census(SystemClock()))
        revoked = RevokedSet()
        revoked.take(Entry(f"token {'x' * 500} {number}", None) for number in range(20 * PAGE))
        bus.follow(revoked)

        async def script(connect: Connect) -> None:
            worker = await connect()
            worker.send(Hello(0, "a" * 12))
            known = 0
            late = False
            while isinstance(message := await worker.receive(), Revoked):
                known += len(message.entries)
                if known == PAGE:
                    bus.swap(structs.replace(_SNAPSHOT, version=8))
                    bus.revoke([Entry("token late", None)])
                late = late or Entry("token late", None) in message.entries
            assert isinstance(message, World)
            assert (message.snapshot.version, known, late) == (8, 20 * PAGE + 1, True)
            worker.writer.close()

        await on_bus(tmp_path, bus, script)

    asyncio.run(play())


def test_a_snapshot_is_acknowledged_when_every_worker_that_there_should_be_has_said_so(tmp_path: Path) -> None:
    async def play() -> None:
        bus = BusServer(_SNAPSHOT, ScriptedLog(), Census(SystemClock()), expected=2)

        async def script(connect: Connect) -> None:
            assert not await bus.acknowledged(7, 0)
            one = await connect()
            one.send(Hello(0, "a" * 12))
            assert isinstance(await one.receive(), World)
            one.send(Settled(7, 0.0))
            waiting = asyncio.create_task(bus.acknowledged(7, 20))
            assert not await bus.acknowledged(7, 0.05), "the other worker is not there, and may serve all the same"
            other = await connect()
            other.send(Hello(1, "b" * 12))
            assert isinstance(await other.receive(), World)
            other.send(Settled(6, 0.0))
            assert not await bus.acknowledged(7, 0.05), "it has an older one"
            other.send(Settled(8, 0.0))
            assert await waiting
            one.writer.close()
            assert not await bus.acknowledged(9, 0.05)
            other.writer.close()

        await on_bus(tmp_path, bus, script)

    asyncio.run(play())


def test_a_worker_is_told_how_old_the_picture_of_the_store_is(tmp_path: Path) -> None:
    async def play() -> None:
        bus = BusServer(_SNAPSHOT, ScriptedLog(), Census(SystemClock()), age_s=lambda: 61.5)

        async def script(connect: Connect) -> None:
            worker = await connect()
            worker.send(Hello(0, "a" * 12))
            assert isinstance(await worker.receive(), World)
            assert await worker.receive() == Beat(61.5)
            worker.writer.close()

        await on_bus(tmp_path, bus, script)

    asyncio.run(play())

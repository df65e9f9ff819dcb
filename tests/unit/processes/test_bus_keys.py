"""A worker asks control for keys of an issuer: one question at a time, and no answer overtakes its snapshot."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from jotgate.assembly.system import SystemClock
from jotgate.core.key_fetches import KeysOutcome
from jotgate.core.snapshot import Snapshot
from jotgate.processes.bus import BusServer
from jotgate.processes.messages import (
    FromControl,
    FromWorker,
    Hello,
    KeysAnswered,
    KeysWanted,
    World,
    frame,
    read_from_control,
)
from jotgate.telemetry.census import Census
from tests.callers import own_issuer
from tests.unit.processes.test_bus import ScriptedLog

pytestmark = pytest.mark.anyio
_SNAPSHOT = Snapshot(7, (own_issuer(b"{}"),), (), ())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Fetching:
    """What control does when it is asked: it counts, and answers when it is told to, after `before` has been called."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.came = asyncio.Event()
        self.done = asyncio.Event()
        self.gone = 0
        self.before: Callable[[], None] = lambda: None

    async def wanted(self, issuer: str) -> KeysOutcome:
        self.asked.append(issuer)
        self.came.set()
        try:
            await self.done.wait()
        except asyncio.CancelledError:
            self.gone += 1
            self.came.set()
            raise
        self.before()
        return KeysOutcome(reached=False, useless_s=2.5)


class Worker:
    """A worker's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *messages: FromWorker) -> None:
        self.writer.write(b"".join(map(frame, messages)))

    async def receive(self) -> FromControl:
        length = int.from_bytes(await self.reader.readexactly(4), "big")
        return read_from_control(await self.reader.readexactly(length))


@asynccontextmanager
async def connected(tmp_path: Path, fetching: Fetching) -> AsyncIterator[tuple[BusServer, Worker]]:
    path = str(tmp_path / "bus.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    bus = BusServer(_SNAPSHOT, ScriptedLog(), Census(SystemClock()), wanted=fetching.wanted)
    await bus.start(listener)
    worker = Worker(*await asyncio.open_unix_connection(path))
    worker.send(Hello(0, "a" * 12))
    assert isinstance(await worker.receive(), World)
    try:
        yield bus, worker
    finally:
        worker.writer.close()
        bus.stop()
        with suppress(ConnectionError):
            await worker.writer.wait_closed()


async def test_one_issuer_is_one_question_and_its_answer_comes_behind_the_snapshot(tmp_path: Path) -> None:
    fetching = Fetching()
    async with connected(tmp_path, fetching) as (bus, worker):
        fetching.before = lambda: bus.swap(replace(_SNAPSHOT, version=8))
        worker.send(*[KeysWanted("idp")] * 50, KeysWanted("other"))
        while len(fetching.asked) < 2:
            fetching.came.clear()
            await fetching.came.wait()
        assert fetching.asked == ["idp", "other"]
        fetching.done.set()
        told = [await worker.receive() for _ in range(4)]
        assert [type(one) for one in told] == [World, KeysAnswered, World, KeysAnswered]
        assert told[1] == KeysAnswered("idp", reached=False, useless_s=2.5)
        worker.send(KeysWanted("idp"))
        assert isinstance(await worker.receive(), World)
        assert fetching.asked == ["idp", "other", "idp"]


async def test_the_question_of_a_worker_that_is_gone_is_dropped(tmp_path: Path) -> None:
    fetching = Fetching()
    async with connected(tmp_path, fetching) as (_, worker):
        worker.send(KeysWanted("idp"))
        await fetching.came.wait()
        fetching.came.clear()
        worker.writer.close()
        await fetching.came.wait()
        assert fetching.gone == 1

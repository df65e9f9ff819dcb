"""Forms over the bus, and what a worker hears before it may serve."""

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path

from jotgate.assembly.system import SystemClock
from jotgate.core.accounts import TokenUse
from jotgate.core.forms import FormAnswered, FormAsked
from jotgate.core.personal_tokens import AccountNews, PersonalFinding
from jotgate.processes.bus import BusServer
from jotgate.processes.messages import AccountsChanged, Hello, World, frame
from jotgate.telemetry.census import Census
from tests.unit.processes.test_bus import _SNAPSHOT, ScriptedLog, Worker


def test_a_form_is_answered_and_one_that_meets_a_fault_gets_a_500(tmp_path: Path) -> None:
    """The caller of neither waits for ever, and the fault is told."""

    async def answer(asked: FormAsked) -> FormAnswered:
        if asked.path != "/oauth/token":
            raise RuntimeError("nobody foresaw this")
        return FormAnswered(asked.number, 200, b"", asked.body)

    async def play() -> None:
        told: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
        path = str(tmp_path / "bus.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        bus = BusServer(_SNAPSHOT, ScriptedLog(), Census(SystemClock()))
        bus.serve_forms(answer)
        await bus.start(listener)
        worker = Worker(*await asyncio.open_unix_connection(path))
        worker.send(Hello(0, "a" * 12))
        assert isinstance(await worker.receive(), World)
        worker.writer.write(frame(FormAsked(1, "/oauth/token", b"x")) + frame(FormAsked(2, "/oauth/other", b"y")))
        answers = [await worker.receive() for _ in range(2)]
        assert [(one.number, one.status) for one in answers if isinstance(one, FormAnswered)] == [(1, 200), (2, 500)]
        assert [str(fault) for fault in told] == ["nobody foresaw this"]
        worker.writer.close()
        bus.stop()

    asyncio.run(asyncio.wait_for(play(), 20))


def test_a_worker_hears_no_beat_before_it_was_told_all_that_was_revoked(tmp_path: Path) -> None:
    """A beat says that what the worker holds is right."""

    class SlowDesk:
        def __init__(self) -> None:
            self.asked, self.go_on = asyncio.Event(), asyncio.Event()

        async def since(self, version: int) -> AccountNews:
            self.asked.set()
            await self.go_on.wait()
            return AccountNews(version)

        async def find(self, digest: bytes) -> PersonalFinding | None:
            raise NotImplementedError

        def used(self, uses: Sequence[TokenUse]) -> None:
            raise NotImplementedError

    async def play() -> None:
        path = str(tmp_path / "bus.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        desk = SlowDesk()
        bus = BusServer(_SNAPSHOT, ScriptedLog(), Census(SystemClock()))
        bus.serve_records(desk)
        await bus.start(listener)
        worker = Worker(*await asyncio.open_unix_connection(path))
        worker.send(Hello(0, "a" * 12))
        await desk.asked.wait()
        bus._beat()
        desk.go_on.set()
        assert [type(await worker.receive()) for _ in range(2)] == [AccountsChanged, World]
        worker.writer.close()
        bus.stop()

    asyncio.run(asyncio.wait_for(play(), 20))

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
        bus.answers.serve_forms(answer)
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


def test_a_form_that_waits_keeps_none_of_the_others_waiting(tmp_path: Path) -> None:
    """Those that came with it are answered meanwhile, each once, and so are those that come later."""
    paths = ["/now", "/later", "/now", "/later", "/now"]

    async def play() -> None:
        asked_for: list[int] = []
        go_on = asyncio.Event()

        async def answer(asked: FormAsked) -> FormAnswered:
            asked_for.append(asked.number)
            if asked.path == "/later":
                async with asyncio.timeout(20):  # It needs a task of its own, as what control awaits may.
                    await go_on.wait()
            return FormAnswered(asked.number, 200, b"", asked.body)

        path = str(tmp_path / "bus.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        bus = BusServer(_SNAPSHOT, ScriptedLog(), Census(SystemClock()))
        bus.answers.serve_forms(answer)
        await bus.start(listener)
        worker = Worker(*await asyncio.open_unix_connection(path))
        worker.send(Hello(0, "a" * 12))
        assert isinstance(await worker.receive(), World)
        worker.writer.write(b"".join(frame(FormAsked(number, path, b"")) for number, path in enumerate(paths)))
        assert await _numbers(worker, 3) == [0, 2, 4]
        worker.writer.write(frame(FormAsked(5, "/now", b"")))
        assert await _numbers(worker, 1) == [5]
        go_on.set()
        assert await _numbers(worker, 2) == [1, 3]
        assert asked_for == [0, 1, 2, 3, 4, 5]
        worker.writer.close()
        bus.stop()

    asyncio.run(asyncio.wait_for(play(), 20))


async def _numbers(worker: Worker, count: int) -> list[int]:
    """The numbers of the forms that are answered next."""
    answers = [await worker.receive() for _ in range(count)]
    return [one.number for one in answers if isinstance(one, FormAnswered)]


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
        bus.answers.serve_records(desk)
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

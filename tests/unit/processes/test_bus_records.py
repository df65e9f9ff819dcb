"""Workers ask control about personal tokens over the bus, and are told what of accounts has changed."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from jotgate.assembly.system import SystemClock
from jotgate.core.accounts import AccountChange, TokenUse
from jotgate.core.endless_tokens import EndlessToken
from jotgate.core.personal_tokens import AccountNews, PersonalFinding
from jotgate.processes.bus import BusServer
from jotgate.processes.messages import (
    AccountsChanged,
    Beat,
    EndlessSeen,
    FromControl,
    FromWorker,
    Hello,
    TokenAnswered,
    TokensUsed,
    TokenWanted,
    World,
    frame,
    read_from_control,
)
from jotgate.telemetry.census import Census
from tests.conformance.sample import ENDLESS
from tests.personal import finding
from tests.unit.processes.test_bus import _SNAPSHOT, ScriptedLog

_DIGEST = b"d" * 32
_NEWS = AccountNews(9, (AccountChange("principal", "alice", 9),))


class Desk:
    """What control knows (processes.answers.RecordDesk, SightDesk), said when the test lets it."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.uses: list[TokenUse] = []
        self.sights: list[EndlessToken] = []
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.open = asyncio.Event()
        self.found: PersonalFinding | None = finding()

    async def since(self, version: int) -> AccountNews:
        return AccountNews(7) if version < 0 else AccountNews(7, everything=True)

    async def find(self, digest: bytes) -> PersonalFinding | None:
        self.asked.append(digest)
        self.heard.put_nowait(digest)
        await self.open.wait()
        return self.found

    def used(self, uses: Sequence[TokenUse]) -> None:
        self.uses += uses
        self.heard.put_nowait(b"uses")

    def seen(self, tokens: Sequence[EndlessToken]) -> None:
        self.sights += tokens
        self.heard.put_nowait(b"seen")


class Talk:
    """A worker's connection that has been greeted."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def send(self, message: FromWorker) -> None:
        self.writer.write(frame(message))

    async def receive(self) -> FromControl:
        while isinstance(message := await self._receive(), Beat):
            pass
        return message

    async def _receive(self) -> FromControl:
        length = int.from_bytes(await self._reader.readexactly(4), "big")
        return read_from_control(await self._reader.readexactly(length))


Script = Callable[[BusServer, Desk, Talk], Awaitable[None]]


def talk(tmp_path: Path, script: Script, known: int = -1) -> None:
    """Let a worker, which knows the accounts of this version, talk with a bus server that has a desk."""

    async def play() -> None:
        path = str(tmp_path / "bus.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        bus, desk = BusServer(_SNAPSHOT, ScriptedLog(), Census(SystemClock())), Desk()
        bus.answers.serve_records(desk)
        await bus.start(listener)
        worker = Talk(*await asyncio.open_unix_connection(path))
        worker.send(Hello(0, "a" * 12, known))
        try:
            await asyncio.wait_for(script(bus, desk, worker), 20)
        finally:
            worker.writer.close()
            bus.stop()

    asyncio.run(play())


def test_a_worker_is_told_of_accounts_before_it_gets_its_world(tmp_path: Path) -> None:
    async def script(bus: BusServer, desk: Desk, worker: Talk) -> None:
        assert await worker.receive() == AccountsChanged(AccountNews(7))
        assert isinstance(await worker.receive(), World)
        bus.tell_accounts(_NEWS)
        assert await worker.receive() == AccountsChanged(_NEWS)

    talk(tmp_path, script)


def test_one_that_comes_back_is_told_what_it_missed(tmp_path: Path) -> None:
    async def script(bus: BusServer, desk: Desk, worker: Talk) -> None:
        assert await worker.receive() == AccountsChanged(AccountNews(7, everything=True))

    talk(tmp_path, script, known=3)


def test_a_question_is_answered_once_however_often_it_is_put(tmp_path: Path) -> None:
    async def script(bus: BusServer, desk: Desk, worker: Talk) -> None:
        for _ in range(3):
            worker.send(TokenWanted(_DIGEST))
        worker.send(TokenWanted(b"e" * 32))
        for _ in range(2):
            await worker.receive()
        assert [await desk.heard.get(), await desk.heard.get()] == [_DIGEST, b"e" * 32]
        desk.open.set()
        answers = [await worker.receive(), await worker.receive()]
        assert answers == [TokenAnswered(_DIGEST, desk.found), TokenAnswered(b"e" * 32, desk.found)]
        assert desk.asked == [_DIGEST, b"e" * 32]
        desk.found = None
        worker.send(TokenWanted(_DIGEST))
        assert await worker.receive() == TokenAnswered(_DIGEST, None)

    talk(tmp_path, script)


def test_news_are_told_before_an_answer_that_is_newer(tmp_path: Path) -> None:
    """The order on the wire is that in which control says things: what is held is never older than the news."""

    async def script(bus: BusServer, desk: Desk, worker: Talk) -> None:
        for _ in range(2):
            await worker.receive()
        worker.send(TokenWanted(_DIGEST))
        await desk.heard.get()
        bus.tell_accounts(_NEWS)
        desk.open.set()
        assert [type(await worker.receive()) for _ in range(2)] == [AccountsChanged, TokenAnswered]

    talk(tmp_path, script)


def test_tokens_that_never_expire_are_told_and_passed_over_while_nobody_keeps_them(tmp_path: Path) -> None:
    async def script(bus: BusServer, desk: Desk, worker: Talk) -> None:
        worker.send(EndlessSeen([ENDLESS]))
        worker.send(TokensUsed([]))
        assert await desk.heard.get() == b"uses"
        bus.answers.serve_sights(desk)
        worker.send(EndlessSeen([ENDLESS, ENDLESS]))
        assert await desk.heard.get() == b"seen"
        assert desk.sights == [ENDLESS, ENDLESS]

    talk(tmp_path, script)


def test_uses_reach_the_desk(tmp_path: Path) -> None:
    use = TokenUse("t-1", 5, "::1")

    async def script(bus: BusServer, desk: Desk, worker: Talk) -> None:
        worker.send(TokensUsed([use]))
        await desk.heard.get()
        assert desk.uses == [use]

    talk(tmp_path, script)

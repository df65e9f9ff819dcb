"""Workers ask for upstreams' tokens over the bus: once for each session, and again when one was refused."""

import asyncio
from pathlib import Path

from jotgate.core.upstream_tokens import HeldToken, TokenLacking, hold
from jotgate.core.values import Secret
from jotgate.processes.bus import BusServer
from jotgate.processes.messages import (
    UpstreamTokenAnswered,
    UpstreamTokenCleared,
    UpstreamTokenRefused,
    UpstreamTokenWanted,
)
from tests.unit.processes.test_bus_records import Desk, Talk, talk

_HELD = hold(Secret("czs_secret"), 1_900.0, 1_000.0)
_LACKING = TokenLacking("unreachable", "no route", 7)


class Tokens:
    """A desk (processes.answers.TokenDesk); a question that tells of no refusal waits for `gate`, if there is one."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.told: list[tuple[str, str, bytes]] = []
        self.gate: asyncio.Event | None = None

    async def find(self, upstream: str, session: str, refused: bytes) -> HeldToken | TokenLacking:
        assert upstream == "u"
        self.asked.append(refused)
        if self.gate is not None and not refused:
            await self.gate.wait()
        return _HELD if session == "s" else _LACKING

    def refuse(self, upstream: str, session: str, refused: bytes) -> None:
        self.told.append((upstream, session, refused))


async def greeted(worker: Talk) -> None:
    for _ in range(2):
        await worker.receive()


def test_a_token_or_why_there_is_none_reaches_the_worker(tmp_path: Path) -> None:
    async def script(bus: BusServer, desk: Desk, worker: Talk) -> None:
        bus.answers.serve_upstream_tokens(Tokens())
        await greeted(worker)
        worker.send(UpstreamTokenWanted("u", "s"))
        assert await worker.receive() == UpstreamTokenAnswered("u", "s", _HELD)
        worker.send(UpstreamTokenWanted("u", "other"))
        assert await worker.receive() == UpstreamTokenAnswered("u", "other", None, _LACKING)

    talk(tmp_path, script)


def test_a_question_that_tells_of_a_refusal_does_not_wait_for_one_that_does_not(tmp_path: Path) -> None:
    tokens = Tokens()
    tokens.gate = asyncio.Event()

    async def script(bus: BusServer, desk: Desk, worker: Talk) -> None:
        bus.answers.serve_upstream_tokens(tokens)
        await greeted(worker)
        for refused in (b"", b"", b"\x01"):
            worker.send(UpstreamTokenWanted("u", "s", refused))
        assert await worker.receive() == UpstreamTokenAnswered("u", "s", _HELD)
        assert tokens.gate is not None
        tokens.gate.set()
        assert await worker.receive() == UpstreamTokenAnswered("u", "s", _HELD)
        assert tokens.asked == [b"", b"\x01"]

    talk(tmp_path, script)


def test_a_refusal_is_told_without_a_question(tmp_path: Path) -> None:
    tokens = Tokens()

    async def script(bus: BusServer, desk: Desk, worker: Talk) -> None:
        bus.answers.serve_upstream_tokens(tokens)
        await greeted(worker)
        worker.send(UpstreamTokenRefused("u", "s", b"\x01"))
        worker.send(UpstreamTokenWanted("u", "s"))
        assert await worker.receive() == UpstreamTokenAnswered("u", "s", _HELD)
        assert tokens.told == [("u", "s", b"\x01")]

    talk(tmp_path, script)


def test_workers_hear_that_a_token_is_used_no_more(tmp_path: Path) -> None:
    async def script(bus: BusServer, desk: Desk, worker: Talk) -> None:
        await greeted(worker)
        bus.tell_token_cleared("u", "s")
        assert await worker.receive() == UpstreamTokenCleared("u", "s")
        bus.tell_token_cleared("u", None)
        assert await worker.receive() == UpstreamTokenCleared("u")

    talk(tmp_path, script)


def test_where_nobody_gets_tokens_that_is_said(tmp_path: Path) -> None:
    async def script(bus: BusServer, desk: Desk, worker: Talk) -> None:
        await greeted(worker)
        worker.send(UpstreamTokenWanted("u", "s"))
        answered = await worker.receive()
        assert isinstance(answered, UpstreamTokenAnswered)
        assert answered.lacking is not None
        assert answered.lacking.lack == "unconfigured"

    talk(tmp_path, script)

"""The line between machines, on a real Valkey and on whatever may stand in its place: it comes back by itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from jotgate.assembly.system import SystemClock
from jotgate.core.values import Secret
from jotgate.stores import valkey as line_module
from jotgate.stores.addresses import HintsAddress
from jotgate.stores.valkey import HEARD_MAX, SPAN_S, ValkeyLine
from tests.valkeys import Valkey, valkey

PATIENCE_S = 10.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with valkey(tmp_path_factory.mktemp("valkey")) as found:
        yield found


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever says nothing is given up sooner than usual."""
    monkeypatch.setattr(line_module, "QUIET_S", 0.3)
    monkeypatch.setattr(line_module, "_PATIENCE_S", 0.5)


class Ear:
    """A line, what it hears, and what it tells of itself."""

    def __init__(self, address: HintsAddress, channel: str) -> None:
        self._messages: asyncio.Queue[bytes] = asyncio.Queue()
        self._news: asyncio.Queue[str] = asyncio.Queue()
        self.line = ValkeyLine(
            address, channel, SystemClock(), heard=self._messages.put_nowait, told=self._news.put_nowait
        )

    async def message(self) -> bytes:
        """The next that is heard."""
        return await asyncio.wait_for(self._messages.get(), PATIENCE_S)

    async def news(self) -> str:
        """The next that the line tells of itself."""
        return await asyncio.wait_for(self._news.get(), PATIENCE_S)


@asynccontextmanager
async def listening(url: str, password: str | None = None, channel: str = "units") -> AsyncIterator[Ear]:
    """A line that is kept."""
    ear = Ear(HintsAddress(url, None if password is None else Secret(password)), channel)
    keeping = asyncio.get_running_loop().create_task(ear.line.keep())
    try:
        yield ear
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(40.0):
            await test()

    asyncio.run(bounded())


def test_all_hear_what_one_publishes_and_a_flush_takes_nothing_away(server: Valkey) -> None:
    async def test() -> None:
        async with (
            listening(server.url) as one,
            listening(server.url) as other,
            listening(server.url, channel="x") as far,
        ):
            assert [await ear.news() for ear in (one, other, far)] == ["", "", ""]
            one.line.publish(b"first")
            assert [await one.message(), await other.message()] == [b"first", b"first"]
            server.client().flushall()
            other.line.publish(b"second")
            assert [await one.message(), await other.message()] == [b"second", b"second"]
            far.line.publish(b"third")
            assert await far.message() == b"third", "another channel hears nothing of the first two"

    run(test)


def test_a_server_that_dies_and_comes_back_is_used_again_and_what_was_lost_is_not_sent_later(server: Valkey) -> None:
    async def test() -> None:
        async with listening(server.url) as ear:
            assert not await ear.news()
            server.kill()
            assert await ear.news()
            ear.line.publish(b"nobody hears it")
            server.start()
            assert not await ear.news()
            ear.line.publish(b"this is heard")
            assert await ear.message() == b"this is heard"

    run(test)


def test_a_server_that_stands_still_is_noticed_and_used_again(server: Valkey) -> None:
    async def test() -> None:
        async with listening(server.url) as ear:
            assert not await ear.news()
            with server.stopped():
                ear.line.publish(b"it may come or not")
                assert await ear.news()
            assert not await ear.news()

    run(test)


def test_a_server_that_is_not_there_at_first_is_found_when_it_comes(tmp_path: Path) -> None:
    async def test() -> None:
        server = Valkey(tmp_path)
        async with listening(server.url) as ear:
            assert "onnect" in await ear.news()
            server.start()
            try:
                assert not await ear.news()
            finally:
                server.kill()

    run(test)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"-ERR no\r\n" * 9,
        b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9,
        b"+OK\r\n" * 9,
        b":12x\r\n" * 9,
        b"*1\r\n:5\r\n" * 9,
        b"*3\r\n$9\r\nsubscribe\r\n:1\r\n:1\r\n*2\r\n$7\r\nmessage\r\n*0\r\n" * 3,
        b"$5\r\nab\xff\r\n" * 9,
        b"*-7\r\n" * 9,
        b"\x00" * 70_000,
    ],
    ids=range(10),
)
def test_whatever_answers_there_does_no_harm(answer: bytes) -> None:
    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(4_096):
                writer.write(answer)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def test() -> None:
        server = await asyncio.start_server(lie, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with listening(f"valkey://127.0.0.1:{port}") as ear:
            news = await ear.news()
            while not news:
                news = await ear.news()
            assert len(news) <= 200
            ear.line.publish(b"whoever hears it")
        server.close()

    run(test)


def test_a_flood_is_heard_a_part_at_a_time(server: Valkey) -> None:
    async def test() -> None:
        async with listening(server.url) as ear:
            assert not await ear.news()
            began_s = time.monotonic()
            with server.client() as client, client.pipeline(transaction=False) as pipeline:
                for _ in range(3 * HEARD_MAX):
                    pipeline.publish("units", b"x")
                pipeline.execute()
            for _ in range(3 * HEARD_MAX):
                await ear.message()
            assert time.monotonic() - began_s >= 1.5 * SPAN_S

    run(test)


def test_a_password_is_shown_to_the_server_and_to_nobody_else(tmp_path: Path) -> None:
    with valkey(tmp_path, "--requirepass", "hint-password") as guarded:

        async def test() -> None:
            async with listening(guarded.url) as without:
                assert "auth" in (await without.news()).lower()
            async with listening(guarded.url, "wrong-hint-password") as wrong:
                news = await wrong.news()
                assert "WRONGPASS" in news or "invalid" in news
                assert "wrong-hint-password" not in news
            async with listening(guarded.url, "hint-password") as ear:
                assert not await ear.news()

        run(test)


def test_a_socket_file_is_as_good(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("s")
    socket = folder / "valkey.sock"

    async def test() -> None:
        async with listening(f"unix://{socket}") as ear:
            assert not await ear.news()
            ear.line.publish(b"heard")
            assert await ear.message() == b"heard"

    with valkey(folder, "--unixsocket", str(socket)):
        run(test)

"""Connections are counted when they are accepted, and what cannot be accepted now waits."""

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from jotgate.core.snapshot import Limits
from jotgate.testing.certificates import Authority
from tests.listening import Edge, get, listening
from tests.loops import on_loop, until

_ONE = Limits(connections_per_address=1)


class Hello:
    """A client that has got the server's part of the handshake and has not sent the last of its own."""

    def __init__(self, authority: Authority, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=str(authority.root))
        self.tls = context.wrap_bio(self._in, self._out, server_hostname="localhost")

    async def greet(self) -> None:
        """Do the handshake up to its last message, which stays here."""
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        self._flush()
        while not self.tls.cipher():
            self._in.write(await self._reader.read(65_536))
            with suppress(ssl.SSLWantReadError):
                self.tls.do_handshake()

    async def ask(self, request: bytes) -> bytes:
        """Send the last message with a request behind it. Returns the first that comes."""
        self.tls.write(request)
        self._flush()
        while True:
            with suppress(ssl.SSLWantReadError):
                return self.tls.read(65_536)
            self._in.write(await self._reader.read(65_536))

    def _flush(self) -> None:
        self._writer.write(self._out.read())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@asynccontextmanager
async def under_tls(authority: Authority, limits: Limits) -> AsyncIterator[Edge]:
    async with listening(limits) as edge:
        edge.acceptor.tls = context_of(authority)
        yield edge


def context_of(authority: Authority) -> ssl.SSLContext:
    pair = authority.issue("server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    return context


async def hello(edge: Edge, authority: Authority) -> Hello:
    client = await edge.connect()
    said = Hello(authority, client.reader, client.writer)
    await said.greet()
    return said


@on_loop
async def test_connections_count_while_their_handshake_is_under_way(authority: Authority) -> None:
    async with under_tls(authority, _ONE) as edge:
        silent = [await edge.connect() for _ in range(2)]
        await until(lambda: edge.acceptor.arriving == 2)
        for _ in range(5):
            assert await (await edge.connect()).closed()
        assert edge.acceptor.arriving == 2
        for client in silent:
            client.leave()
        await until(lambda: edge.acceptor.arriving == 0)
        assert len(edge.surroundings.crowd) == 0
        assert b" 200 " in await (await hello(edge, authority)).ask(get(b"/now", b"Connection: close"))


@on_loop
async def test_a_handshake_has_no_more_time_than_a_first_byte(authority: Authority) -> None:
    async with under_tls(authority, Limits(first_byte_s=0.1)) as edge:
        assert await (await edge.connect()).closed()
        assert len(edge.surroundings.crowd) == 0


@on_loop
async def test_a_handshake_under_way_outlives_the_listener_for_one_request(authority: Authority) -> None:
    async with under_tls(authority, Limits()) as edge:
        late, never = await hello(edge, authority), await edge.connect()
        await until(lambda: edge.acceptor.arriving == 2)
        edge.acceptor.close()
        answer = await late.ask(get())
        assert b" 200 " in answer
        assert b"Connection: close" in answer
        edge.acceptor.hang_up()
        assert await never.closed()


@on_loop
async def test_a_new_certificate_is_for_the_next_connection_and_no_handshake_notices(
    authority: Authority,
) -> None:
    async with under_tls(authority, Limits()) as edge:
        before = await hello(edge, authority)
        edge.acceptor.tls = context_of(authority)
        after = await hello(edge, authority)
        shown = [client.tls.getpeercert(binary_form=True) for client in (before, after)]
        assert shown[0] != shown[1]
        for client in (before, after):
            assert b" 200 " in await client.ask(get(b"/now", b"Connection: close"))


@asynccontextmanager
async def starving() -> AsyncIterator[tuple[Edge, "Starved"]]:
    """An edge whose listener has no files yet."""
    edge, listener = Edge(Limits()), Starved()
    listener.bind(("127.0.0.1", 0))
    edge.port = listener.getsockname()[1]
    edge.acceptor.open(listener)
    try:
        yield edge, listener
    finally:
        edge.acceptor.close()
        edge.leave_all()
    await until(lambda: not edge.connections)


class Starved(socket.socket):
    """A listening socket for which there are no files."""

    starved = True
    tries = 0

    def accept(self) -> tuple[socket.socket, object]:
        self.tries += 1
        if self.starved:
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


@on_loop
async def test_want_of_files_is_told_and_the_connections_wait(caplog: pytest.LogCaptureFixture) -> None:
    async with starving() as (edge, listener):
        client, loop = await edge.connect(), asyncio.get_running_loop()
        await until(lambda: listener.tries == 3)
        end_s = loop.time() + 0.1
        await until(lambda: loop.time() > end_s)
        assert listener.tries == 3, "it does not try without a pause"
        (told,) = [record.getMessage() for record in caplog.records]
        assert "have to wait: Too many open files; raise the limit of open files" in told
        listener.starved = False
        assert (await client.send(get()).answer()).status == 200

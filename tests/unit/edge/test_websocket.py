"""A WebSocket takes the place of an HTTP connection, within bounds, and ends in time, whatever its client does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from jotgate.core.snapshot import Limits
from jotgate.core.websocket_frames import FrameReader, Heard, write_close, write_frame
from jotgate.socket_ports import SocketBounds
from tests.listening import Client, Edge, Talk, get, listening
from tests.loops import on_loop, until

KEY = b"\x01\x02\x03\x04"
WISH = (
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Version: 13",
)


@asynccontextmanager
async def talking(edge: Edge) -> AsyncIterator[tuple[ClientConnection, Talk]]:
    """A client of the library `websockets`, and whoever talks with it."""
    async with connect(f"ws://127.0.0.1:{edge.port}/socket", compression=None, ping_interval=None) as client:
        await until(lambda: bool(edge.application.talks))
        yield client, edge.application.talks[-1]


async def opened(edge: Edge, *early: bytes) -> Client:
    """A client that speaks raw bytes, whose WebSocket is open; `early` comes with its handshake."""
    client = await edge.connect()
    response = await client.send(get(b"/socket", *WISH) + b"".join(early)).answer(head_only=True)
    assert response.status == 101
    # RFC 6455 s1.3
    assert response.fields["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    await until(lambda: bool(edge.application.talks))
    return client


async def heard(client: Client) -> list[Heard]:
    """All that the server says until it closes the connection."""
    return FrameReader(1_000_000, masked=False).feed(await client.reader.read())


@on_loop
async def test_messages_go_both_ways_and_a_close_is_answered() -> None:
    async with listening() as edge:
        async with talking(edge) as (client, talk):
            for message in ("text", b"bytes", "", "é" * 40_000):
                await client.send(message)
                assert await client.recv() == message
            await client.send(["in ", "pieces"])
            assert await client.recv() == "in pieces"
            await (await client.ping())
            await client.close(4000, "enough")
        await until(lambda: 4000 in talk.told)
        assert client.close_code == 4000


@on_loop
async def test_what_comes_with_the_handshake_is_heard() -> None:
    async with listening() as edge:
        client = await opened(edge, write_frame("text", b"early", KEY), write_close(1000, key=KEY))
        assert await heard(client) == [Heard("text", b"early"), Heard("close", b"", 1000)]


@on_loop
async def test_a_request_before_it_is_answered_first() -> None:
    async with listening() as edge:
        client = await edge.connect()
        client.send(get() + get(b"/socket", *WISH) + write_frame("text", b"third", KEY))
        assert (await client.answer()).body == b"/now:"
        assert (await client.answer(head_only=True)).status == 101
        client.send(write_close(1000, key=KEY))
        assert (await heard(client))[0] == Heard("text", b"third")


@pytest.mark.parametrize(
    ("lines", "path"),
    [
        pytest.param(WISH, b"/now", id="no WebSocket is there"),
        pytest.param((*WISH[:3], b"Sec-WebSocket-Version: 8"), b"/socket", id="another version"),
        pytest.param((*WISH[:2], b"Sec-WebSocket-Key: short", WISH[3]), b"/socket", id="no key"),
        pytest.param((*WISH, b"Sec-WebSocket-Protocol: a, a"), b"/socket", id="a protocol twice"),
        pytest.param((*WISH, b"Sec-WebSocket-Protocol: a b"), b"/socket", id="protocols that are none"),
        pytest.param((b"Upgrade: h2c", b"Connection: Upgrade"), b"/socket", id="another protocol"),
    ],
)
@on_loop
async def test_what_is_not_granted_goes_on_in_http(lines: tuple[bytes, ...], path: bytes) -> None:
    async with listening() as edge:
        client = await edge.connect()
        client.send(get(path, *lines))
        assert (await client.answer()).status == 200
        assert (await client.send(get()).answer()).body == b"/now:"
        assert edge.application.talks == []


@on_loop
async def test_a_refused_handshake_is_a_real_answer() -> None:
    async with listening() as edge:
        client = await edge.connect()
        assert (await client.send(get(b"/no", *WISH)).answer()).status == 401
        assert (await client.send(get()).answer()).status == 200


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(write_frame("text", b"not masked"), 1002, id="not masked"),
        pytest.param(write_frame("text", b"\xff", KEY), 1007, id="no text"),
        pytest.param(write_frame("binary", bytes(100_001), KEY)[:12], 1009, id="too long"),
        pytest.param(write_frame("text", b"x", KEY) * 51, 1008, id="too many"),
        pytest.param(write_frame("ping", b"", KEY) * 511, 1008, id="too many pings"),
        pytest.param(b"\x01\x80" + KEY + (b"\x00\x80" + KEY) * 511, 1008, id="too many fragments"),
    ],
)
@on_loop
async def test_what_may_not_be_sent_ends_it_with_its_code(sent: bytes, code: int) -> None:
    async with listening() as edge:
        client = await opened(edge)
        client.send(sent)
        await until(lambda: code in edge.application.talks[0].told)
        client.send(write_close(code, key=KEY))
        assert (await heard(client))[-1].code == code


@on_loop
async def test_more_may_be_sent_as_time_passes() -> None:
    async with listening() as edge, talking(edge) as (client, _):
        for _ in range(3):
            for _ in range(50):
                await client.send("x")
                await client.recv()
            edge.clock.advance(5)


@on_loop
async def test_pings_and_fragments_count_a_tenth_of_a_message_and_large_fragments_nothing() -> None:
    async with listening() as edge, talking(edge) as (client, _):
        pongs = [await client.ping() for _ in range(400)]
        await client.send(["x" * 1_024] * 95)
        assert await client.recv() == "x" * 1_024 * 95
        assert await pongs[0] >= 0


@on_loop
async def test_a_client_that_says_nothing_is_asked_and_let_go() -> None:
    async with listening() as edge:
        client = await opened(edge)
        await edge.let_pass(30.1)
        assert await client.reader.readexactly(2) == b"\x89\x00"
        client.send(write_frame("pong", b"", KEY) + write_frame("text", b"here", KEY))
        await until(lambda: b"here" in edge.application.talks[0].told)
        assert await client.reader.readexactly(6) == b"\x81\x04here"
        await edge.let_pass(20.1)
        await edge.let_pass(10)
        assert await client.reader.readexactly(2) == b"\x89\x00"
        await edge.let_pass(20.1)
        await until(lambda: 1006 in edge.application.talks[0].told)


@on_loop
async def test_a_client_that_reads_nothing_slows_whoever_writes_and_is_let_go() -> None:
    async with listening(Limits(stall_s=50)) as edge:
        await opened(edge)
        talk = edge.application.talks[0]
        while "slowed" not in talk.told:
            talk.socket.send(bytes(100_000), text=False)
            await asyncio.sleep(0)
        await edge.let_pass(1)
        await edge.let_pass(50.1)
        await until(lambda: 1006 in talk.told)


@on_loop
async def test_a_client_that_does_not_answer_a_close_is_let_go() -> None:
    async with listening() as edge:
        client = await opened(edge)
        talk = edge.application.talks[0]
        talk.socket.close(4403, "revoked")
        talk.socket.send(b"nothing more")
        assert await heard(client) == [Heard("close", b"revoked", 4403)]
        assert talk.told == []


@on_loop
async def test_a_client_that_closes_and_does_not_read_what_it_was_sent_is_let_go() -> None:
    async with listening() as edge:
        client = await opened(edge)
        talk = edge.application.talks[0]
        while "slowed" not in talk.told:
            talk.socket.send(bytes(100_000), text=False)
            await asyncio.sleep(0)
        client.send(write_close(1000, key=KEY))
        await until(lambda: not edge.connections)
        assert 1000 in talk.told


@on_loop
async def test_a_client_that_is_not_read_from_is_not_let_go_for_an_answer_that_nobody_heard() -> None:
    async with listening() as edge:
        client = await opened(edge)
        talk = edge.application.talks[0]
        await edge.let_pass(30.1)
        assert await client.reader.readexactly(2) == b"\x89\x00"
        talk.socket.pause()
        client.send(write_frame("pong", b"", KEY) + write_frame("text", b"here", KEY))
        await edge.let_pass(20.1)
        talk.socket.resume()
        await until(lambda: b"here" in talk.told)
        assert 1006 not in talk.told


@on_loop
async def test_it_is_told_that_jotgate_stops() -> None:
    async with listening() as edge, talking(edge) as (client, _):
        for connection in tuple(edge.connections):
            connection.close_when_idle()
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1001


@on_loop
async def test_a_client_that_goes_away_is_told_of_once() -> None:
    async with listening() as edge:
        client = await opened(edge)
        client.leave()
        await until(lambda: edge.application.talks[0].told == [1006])


@on_loop
async def test_a_fault_that_nobody_foresaw_ends_it_and_is_told() -> None:
    async with listening(faults=1) as edge:
        client = await opened(edge)
        client.send(write_frame("text", b"fault", KEY))
        await until(lambda: edge.application.talks[0].told == [1006])
        assert await client.reader.read() == b""


@on_loop
async def test_pings_of_a_client_that_reads_nothing_are_not_kept() -> None:
    async with listening() as edge:
        edge.application.bounds = SocketBounds(message_bytes=100_000, messages_per_s=10.0, messages_at_once=50)
        client = await opened(edge)
        client.send(write_frame("ping", b"now", KEY), write_close(1000, key=KEY))
        assert await heard(client) == [Heard("pong", b"now"), Heard("close", b"", 1000)]

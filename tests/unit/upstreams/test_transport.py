"""HTTP/1.1 to an upstream, against one that answers well and badly."""

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from jotgate.testing.running import short_directory
from jotgate.testing.upstream import End, Gate, Step, UpstreamServer, chunked, torn, unary, until_close
from jotgate.upstreams import transport
from jotgate.upstreams.transport import Endpoint, Exchange, Pool
from tests.loops import on_loop, until
from tests.unit.upstreams.ears import Ear

REQUEST = b"POST /v1/x HTTP/1.1\r\nHost: up\r\nContent-Length: 2\r\n\r\nhi"


def pool_for(server: UpstreamServer) -> Pool:
    return Pool(Endpoint("127.0.0.1", server.port), asyncio.get_running_loop())


@asynccontextmanager
async def upstream(*script: list[Step]) -> AsyncIterator[tuple[UpstreamServer, Pool]]:
    async with UpstreamServer(*script) as server:
        pool = pool_for(server)
        yield server, pool
        pool.close()


async def ask(pool: Pool) -> Ear:
    ear = Ear()
    pool.begin(REQUEST, ear)
    await ear.until_over()
    return ear


def begin(pool: Pool) -> tuple[Ear, Exchange]:
    ear = Ear()
    return ear, pool.begin(REQUEST, ear)


@on_loop
async def test_the_request_arrives_byte_for_byte_and_the_answer_comes_back() -> None:
    async with upstream(unary(b'{"a":1}', 201, b"X-Extra: Yes")) as (server, pool):
        ear = await ask(pool)
        assert [request.raw for request in server.requests] == [REQUEST]
        assert ear.head is not None
        assert (ear.head.status, ear.head.length, ear.body) == (201, 7, b'{"a":1}')
        assert (b"x-extra", b"Yes") in ear.head.headers


@on_loop
async def test_no_event_comes_before_begin_returns() -> None:
    async with upstream(unary(b"1"), unary(b"2")) as (_, pool):
        for _ in range(2):  # on a new connection and on a kept one
            ear, _exchange = begin(pool)
            assert (ear.head, ear.over) == (None, False)
            await ear.until_over()


@on_loop
async def test_a_connection_is_kept_for_the_next_request() -> None:
    async with upstream(unary(b"1"), chunked(b"2"), unary(b"", 204), unary(b"3")) as (server, pool):
        assert [(await ask(pool)).body for _ in range(4)] == [b"1", b"2", b"", b"3"]
        assert [request.connection for request in server.requests] == [0, 0, 0, 0]


@on_loop
async def test_requests_at_the_same_time_have_connections_of_their_own() -> None:
    gate = Gate()
    async with upstream([gate, *unary(b"slow")], unary(b"quick")) as (server, pool):
        slow, _ = begin(pool)
        await server.until_requests(1)
        assert (await ask(pool)).body == b"quick"
        gate.open()
        await slow.until_over()
        assert (slow.body, server.opened) == (b"slow", 2)


@on_loop
async def test_the_newest_idle_connection_is_used_first() -> None:
    gate = Gate()
    async with upstream([gate, *unary(b"slow")], unary(b"quick")) as (server, pool):
        server.default = unary(b"next")
        slow, _ = begin(pool)
        await server.until_requests(1)
        await ask(pool)
        gate.open()
        await slow.until_over()
        await ask(pool)
        assert server.requests[-1].connection == 0


@pytest.mark.parametrize(
    "answer",
    [
        unary(b"x", 200, b"Connection: close"),
        [b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx"],
        unary(b"x") + unary(b"y", 500),
        [unary(b"x")[0] + unary(b"y", 500)[0]],  # type: ignore[operator]
        [unary(b"x")[0] + b"garbage"],  # type: ignore[operator]
        [unary(b"x", 200, b"Connection: close")[0] + b"garbage"],  # type: ignore[operator]
        [chunked(b"x")[0] + b"1\r\nx\r\n0\r\n\r\nHTTP/1.1"],  # type: ignore[operator]
    ],
)
@on_loop
async def test_a_connection_that_is_not_clean_behind_its_answer_is_not_used_again(answer: list[Step]) -> None:
    async with upstream(answer, unary(b"next")) as (server, pool):
        ear = await ask(pool)
        assert (ear.body, ear.complete) == (b"x", True)
        await server.until_connections(0)
        assert (await ask(pool)).body == b"next"
        assert server.opened == 2


@on_loop
async def test_an_answer_that_nobody_asked_for_ends_an_idle_connection() -> None:
    gate = Gate()
    async with upstream([*unary(b"x"), gate, *unary(b"stray", 500)], unary(b"next")) as (server, pool):
        await ask(pool)
        gate.open()
        await server.until_connections(0)
        ear = await ask(pool)
        assert (ear.body, server.opened) == (b"next", 2)


@on_loop
async def test_a_connection_that_the_upstream_closed_is_not_used() -> None:
    async with upstream(unary(b"1"), unary(b"2")) as (server, pool):
        await ask(pool)
        await server.hang_up()
        await until(lambda: not pool._idle)
        assert (await ask(pool)).body == b"2"


@on_loop
async def test_a_connection_that_closes_under_a_request_is_not_tried_again() -> None:
    """The upstream may have seen the request: it is said to be written."""
    async with upstream(unary(b"1"), [End()], unary(b"2")) as (server, pool):
        await ask(pool)
        ear = await ask(pool)
        assert ear.error is not None
        assert (ear.error.code, ear.written) == ("upstream_unavailable", True)
        assert [request.connection for request in server.requests] == [0, 0]


@on_loop
async def test_idle_connections_are_closed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async with upstream(unary(b"1"), unary(b"2")) as (server, pool):
        await ask(pool)
        pool.close_idle()
        assert len(pool._idle) == 1
        monkeypatch.setattr(transport, "_IDLE_MAX_S", 0.0)
        pool.close_idle()
        await server.until_connections(0)


@on_loop
async def test_a_connection_that_was_idle_for_too_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with upstream(unary(b"1"), unary(b"2")) as (server, pool):
        await ask(pool)
        monkeypatch.setattr(transport, "_IDLE_MAX_S", 0.0)
        assert (await ask(pool)).body == b"2"
        assert [request.connection for request in server.requests] == [0, 1]


@on_loop
async def test_no_more_connections_are_kept_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_IDLE_CONNECTIONS_MAX", 1)
    gate = Gate()
    async with upstream([gate, *unary(b"1")], unary(b"2")) as (server, pool):
        slow, _ = begin(pool)
        await server.until_requests(1)
        await ask(pool)
        gate.open()
        await slow.until_over()
        await server.until_connections(1)
        assert len(pool._idle) == 1


# How an answer ends


@pytest.mark.parametrize("answer", [chunked(b"one", b"two"), until_close(b"one", b"two"), unary(b"onetwo")])
@on_loop
async def test_a_body_ends_where_its_framing_says(answer: list[Step]) -> None:
    async with upstream(answer) as (_, pool):
        ear = await ask(pool)
        assert (ear.body, ear.complete) == (b"onetwo", True)
        assert ear.head is not None
        assert ear.head.length == (6 if answer == unary(b"onetwo") else None)


@on_loop
async def test_pieces_arrive_as_they_are_sent() -> None:
    gates = [Gate(), Gate()]
    async with upstream(chunked(b"one", gates[0], b"two", gates[1], b"three")) as (_, pool):
        ear, _exchange = begin(pool)
        await ear.until_body(b"one")
        gates[0].open()
        await ear.until_body(b"onetwo")
        gates[1].open()
        await ear.until_over()
        assert (ear.body, ear.complete) == (b"onetwothree", True)


@on_loop
async def test_an_answer_may_come_byte_by_byte() -> None:
    raw = b"HTTP/1.1 100 Continue\r\n\r\n" + b"".join(
        step for step in chunked(b"one", b"two") if isinstance(step, bytes)
    )
    steps: list[Step] = []
    gates = [Gate() for _ in raw]
    for byte, gate in zip(raw, gates, strict=True):
        steps += [gate, bytes([byte])]
    async with upstream(steps) as (server, pool):
        ear, _ = begin(pool)
        await server.until_requests(1)
        for gate in gates:
            gate.open()
            for _ in range(20):
                await asyncio.sleep(0)
        await ear.until_over()
        assert (ear.body, ear.complete) == (b"onetwo", True)


@on_loop
async def test_interim_responses_are_passed_over() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\nContent-Length: 9\r\n\r\n"
    gate = Gate()
    async with upstream([early, gate, *unary(b"ok", 200, b"X-Final: 1")], unary(b"next")) as (server, pool):
        ear, _ = begin(pool)
        await server.until_requests(1)
        gate.open()
        await ear.until_over()
        assert ear.head is not None
        assert (ear.head.status, ear.body) == (200, b"ok")
        assert b"link" not in dict(ear.head.headers)
        assert (await ask(pool)).body == b"next"
        assert server.opened == 1


@on_loop
async def test_trailers_are_not_passed_on() -> None:
    steps: list[Step] = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2\r\nok\r\n0\r\nX-Late: 1\r\n\r\n"
    ]
    async with upstream(steps, unary(b"next")) as (server, pool):
        ear = await ask(pool)
        assert ear.head is not None
        assert (ear.body, b"x-late" in dict(ear.head.headers)) == (b"ok", False)
        assert (await ask(pool)).body == b"next"
        assert server.opened == 1


@on_loop
async def test_trailers_without_end_are_torn() -> None:
    gate = Gate()
    answer: list[Step] = [*chunked(b"part")[:-1], gate, b"0\r\nX: " + b"a" * 1_000_000]
    async with upstream(answer) as (server, pool):
        ear, _ = begin(pool)
        await ear.until_body(b"part")
        gate.open()
        await ear.until_over()
        assert ear.error is not None
        assert ear.error.code == "upstream_torn"
        await server.until_connections(0)


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ([], "upstream_unavailable"),
        ([b"HTTP/1.1 200"], "upstream_unavailable"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n"], "upstream_unavailable"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n"], "upstream_unavailable"),
        (torn(b"part")[:1], "upstream_torn"),
        (torn(b"")[:1], "upstream_torn"),
        (chunked(b"part")[:2], "upstream_torn"),
        ([chunked(b"part")[0], b"9\r\npart"], "upstream_torn"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\npart"], "upstream_torn"),
    ],
)
@on_loop
async def test_an_answer_that_breaks_off_is_a_failure_of_a_written_request(
    answer: list[Step], code: str, how: str
) -> None:
    async with upstream([*answer, End("close" if how == "close" else "reset")], unary(b"next")) as (_, pool):
        ear = await ask(pool)
        assert ear.error is not None
        assert (ear.error.status, ear.written, ear.complete) == (502, True, False)
        assert how == "reset" or ear.error.code == code
        assert (await ask(pool)).body == b"next"


@on_loop
async def test_an_answer_until_close_that_is_reset_is_torn() -> None:
    gate = Gate()
    answer: list[Step] = [*until_close(b"part")[:-1], gate, End("reset")]
    async with upstream(answer) as (_, pool):
        ear, _ = begin(pool)
        await ear.until_body(b"part")
        gate.open()
        await ear.until_over()
        assert ear.error is not None
        assert ear.error.code == "upstream_torn"


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokk\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 20_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1_000_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 50_000,
    ],
)
@on_loop
async def test_garbage_in_place_of_an_answer_is_torn_and_the_connection_closed(raw: bytes) -> None:
    async with upstream([raw], unary(b"next")) as (server, pool):
        ear = await ask(pool)
        assert ear.error is not None
        assert (ear.error.code, ear.written) == ("upstream_torn", True)
        await server.until_connections(0)
        assert (await ask(pool)).body == b"next"


# How an exchange is steered


@on_loop
async def test_an_aborted_exchange_closes_its_connection_and_says_nothing_more() -> None:
    gate = Gate()
    async with upstream(chunked(b"one", gate, b"two"), unary(b"next")) as (server, pool):
        ear, exchange = begin(pool)
        await ear.until_body(b"one")
        exchange.abort()
        await server.until_connections(0)
        exchange.abort()
        exchange.pause()
        exchange.resume()
        assert (ear.body, ear.over) == (b"one", False)
        assert (await ask(pool)).body == b"next"


@on_loop
async def test_an_exchange_aborted_while_it_connects_sends_nothing() -> None:
    async with upstream(unary(b"1")) as (server, pool):
        ear, exchange = begin(pool)
        exchange.abort()
        await until(lambda: not pool._connecting)
        await server.until_connections(0)
        assert (server.requests, ear.over) == ([], False)


@on_loop
async def test_an_exchange_aborted_while_it_connects_to_nobody_says_nothing() -> None:
    pool = Pool(Endpoint("127.0.0.1", free_port()), asyncio.get_running_loop())
    ear, exchange = begin(pool)
    exchange.abort()
    await until(lambda: not pool._connecting)
    assert not ear.over


@on_loop
async def test_an_exchange_aborted_after_its_answer_leaves_the_connection_alone() -> None:
    async with upstream(unary(b"1"), unary(b"2")) as (server, pool):
        ear, exchange = begin(pool)
        await ear.until_over()
        exchange.abort()
        await ask(pool)
        assert server.opened == 1


@on_loop
async def test_a_paused_exchange_does_not_read_and_reads_on_when_resumed() -> None:
    gate = Gate()
    flood = [b"x" * 65_536] * 400  # more than the sockets' buffers hold
    async with upstream(chunked(b"one", gate, *flood)) as (server, pool):
        ear, exchange = begin(pool)
        await ear.until_body(b"one")
        exchange.pause()
        exchange.pause()
        gate.open()
        (line,) = server._open
        await until(lambda: line.transport.get_write_buffer_size() > 1_000_000)
        assert len(ear.body) < 1_000_000
        exchange.resume()
        exchange.resume()
        await ear.until_over()
        assert (len(ear.body), ear.complete) == (3 + 400 * 65_536, True)


@on_loop
async def test_an_exchange_may_be_paused_before_it_has_a_connection() -> None:
    async with upstream(unary(b"1"), unary(b"2")) as (server, pool):
        ear, exchange = begin(pool)
        exchange.pause()
        await server.until_requests(1)
        for _ in range(50):
            await asyncio.sleep(0)
        assert ear.head is None
        exchange.resume()
        await ear.until_over()
        assert ear.body == b"1"


@on_loop
async def test_a_pause_that_is_over_before_there_is_a_connection_holds_nothing_up() -> None:
    async with upstream(unary(b"1")) as (_, pool):
        ear, exchange = begin(pool)
        exchange.pause()
        exchange.resume()
        await ear.until_over()
        assert ear.body == b"1"


@on_loop
async def test_a_connection_whose_reader_is_paused_at_the_end_is_not_kept() -> None:
    async with upstream(unary(b"1"), unary(b"2")) as (server, pool):
        ear = Ear()
        exchange = pool.begin(REQUEST, ear)
        await server.until_requests(1)
        exchange.paused = True  # the caller paused while these bytes were on their way
        await ear.until_over()
        await server.until_connections(0)
        assert (await ask(pool)).body == b"2"


# How a connection is made


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid", "a..b", "x" * 70 + ".example"])
@on_loop
async def test_what_cannot_be_reached_was_not_written(host: str) -> None:
    ear = await ask(Pool(Endpoint(host, free_port()), asyncio.get_running_loop()))
    assert ear.error is not None
    assert (ear.error.code, ear.written) == ("upstream_unavailable", False)
    assert ear.error.debug
    assert host not in ear.error.message


@on_loop
async def test_a_connection_that_takes_too_long_was_not_written() -> None:
    """A listener whose queue is full lets nobody in."""
    with socket.socket() as listener, socket.socket() as one, socket.socket() as two:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for waiting in (one, two):
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        endpoint = Endpoint("127.0.0.1", listener.getsockname()[1], connect_timeout_s=0.2)
        ear = await ask(Pool(endpoint, asyncio.get_running_loop()))
    assert ear.error is not None
    assert (ear.error.code, ear.written) == ("upstream_unavailable", False)


@on_loop
async def test_a_unix_socket_is_reached_by_its_path() -> None:
    with short_directory() as directory:
        path = str(directory / "s")
        async with UpstreamServer(unary(b"1"), unix_path=path):
            pool = Pool(Endpoint("ignored", 1, unix_path=path), asyncio.get_running_loop())
            assert (await ask(pool)).body == b"1"
            pool.close()


def certificate(directory: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS for 127.0.0.1, and the certificate that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "scripted upstream")])
    begin_at = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(begin_at)
        .not_valid_after(begin_at + dt.timedelta(days=1))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, private = directory / "cert.pem", directory / "key.pem"
    chain.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, private)
    return context, chain


@pytest.mark.parametrize("trusted", [True, False])
def test_tls_is_spoken_with_those_alone_whose_certificate_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    context, chain = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(chain) if trusted else "/nowhere")

    @on_loop
    async def run() -> None:
        async with UpstreamServer(unary(b"1"), unary(b"2"), tls=context) as server:
            endpoint = Endpoint("127.0.0.1", server.port, tls=True)
            pool = Pool(endpoint, asyncio.get_running_loop())
            ear = await ask(pool)
            if trusted:
                assert (ear.body, (await ask(pool)).body, server.opened) == (b"1", b"2", 1)
            else:
                assert ear.error is not None
                assert (ear.error.code, ear.written, server.requests) == ("upstream_unavailable", False, [])
            pool.close()

    run()

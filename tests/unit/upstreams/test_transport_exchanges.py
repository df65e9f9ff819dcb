"""How an exchange is steered, and how a connection is made or not."""

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from jotgate.testing.running import short_directory
from jotgate.testing.upstream import End, Gate, Step, UpstreamServer, chunked, torn, unary
from jotgate.upstreams.transport import Endpoint, Pool
from tests.ears import REQUEST, Ear, ask, begin, upstream
from tests.loops import on_loop, until


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


@pytest.mark.parametrize("script", [[End()], torn(b"half")])
@on_loop
async def test_of_a_connection_that_the_upstream_just_closed_no_reason_is_logged(script: list[Step]) -> None:
    async with upstream(script) as (_, pool):
        ear = await ask(pool)
    assert ear.error is not None
    assert ear.error.debug == "", "and no 'None'"


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
            pool.retire()


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
            pool.retire()

    run()


@on_loop
async def test_a_stopped_exchange_is_told_what_was_sent_until_the_upstream_has_ended() -> None:
    """Ended on our side alone: to close all of it would throw away what stands in the buffers."""
    gate = Gate()
    flood = [b"x" * 65_536] * 400  # more than the sockets' buffers hold
    async with upstream(chunked(b"one", gate, *flood), unary(b"next")) as (server, pool):
        ear, exchange = begin(pool)
        await ear.until_body(b"one")
        exchange.pause()
        gate.open()
        (line,) = server._open
        await until(lambda: line.transport.get_write_buffer_size() > 1_000_000)
        assert exchange.stop() == "asked"
        await ear.until_over()
        assert len(ear.body) > 1_000_000
        await server.until_connections(0)
        assert (await ask(pool)).body == b"next"
        assert server.opened == 2, "a connection that is half closed is not used again"


@on_loop
async def test_an_exchange_that_is_stopped_while_it_connects_is_over() -> None:
    async with upstream(unary(b"1")) as (server, pool):
        ear, exchange = begin(pool)
        assert exchange.stop() == "over"
        await until(lambda: not pool._connecting)
        await server.until_connections(0)
        assert (server.requests, ear.over) == ([], False)

"""The listener for Envoys' questions over gRPC: where it is, whom it answers, and what becomes of those who wait."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from grpc import aio
from msgspec.structs import replace

from bench.server import free_port
from jotgate.core.ext_authz import METHOD
from jotgate.edge.ext_authz import GrpcListener, GrpcService
from jotgate.edge.proxies import Proxies
from tests.loops import on_loop, until
from tests.unit.core.test_ext_authz import field, pair, question
from tests.unit.gateway.test_identities import RULES, TOKEN, Desk

PASSED = b"\x0a\x00"
"""How an answer begins by which a request may pass."""


class Worker:
    """A worker that is asked; `desk` decides."""

    def __init__(self) -> None:
        self.desk = Desk(replace(RULES, identity=None))
        self.listener = GrpcListener(asyncio.get_running_loop(), self.desk.stage.clock)

    async def serve(self, port: int, network: str = "127.0.0.1/32") -> None:
        """Decide at this port, 0: nowhere, for those of a network."""
        proxies = Proxies((network,), "x-forwarded")
        service = GrpcService(f"127.0.0.1:{port}", self.desk.desk, proxies) if port else None
        self.listener.renew(service)
        await self.listener.settle()


@asynccontextmanager
async def started(port: int, network: str = "127.0.0.1/32") -> AsyncIterator[Worker]:
    """A worker that decides at this port."""
    worker = Worker()
    await worker.serve(port, network)
    yield worker
    await worker.listener.close(0.0)


async def ask(port: int, token: bytes = TOKEN, timeout_s: float = 5.0) -> bytes:
    """What is answered to a question about a request with this token."""
    message = question(http=field(3, pair(b"authorization", b"Bearer " + token)))
    async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        check: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
        return await check(message, timeout=timeout_s)


@on_loop
async def test_it_listens_where_the_newest_settings_say() -> None:
    first, second = free_port(), free_port()
    async with started(first) as worker:
        assert (await ask(first)).startswith(PASSED)
        await worker.serve(second)
        assert (await ask(second)).startswith(PASSED)
        with pytest.raises(aio.AioRpcError) as refused:
            await ask(first)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        await worker.serve(0)
        with pytest.raises(aio.AioRpcError):
            await ask(second)


@on_loop
async def test_several_workers_share_an_address() -> None:
    port = free_port()
    async with started(port) as one, started(port):
        assert (await ask(port)).startswith(PASSED)
        await one.serve(0)
        assert (await ask(port)).startswith(PASSED)


@on_loop
async def test_an_address_that_is_taken_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken, caplog.at_level(logging.ERROR):
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        async with started(taken.getsockname()[1]):
            assert "cannot be listened on" in caplog.text


@on_loop
async def test_only_proxies_are_answered() -> None:
    port = free_port()
    async with started(port, network="192.0.2.0/24"):
        assert b"this address may not ask" in await ask(port)


@on_loop
async def test_who_waits_is_answered_when_it_is_known() -> None:
    port = free_port()
    async with started(port) as worker:
        worker.desk.enter(RULES)
        await worker.serve(port)
        asking = asyncio.create_task(ask(port))
        await until(lambda: bool(worker.desk.asked))
        worker.desk.answer("a.b.c")
        assert b"a.b.c" in await asking


@on_loop
async def test_an_envoy_that_waits_no_longer_is_noted() -> None:
    port = free_port()
    async with started(port) as worker:
        worker.desk.enter(RULES)
        await worker.serve(port)
        with pytest.raises(aio.AioRpcError) as refused:
            await ask(port, timeout_s=0.2)
        assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await until(lambda: not len(worker.desk.identities))
        (record,) = worker.desk.stage.trail.records
        assert record.status == 499

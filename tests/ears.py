"""Asks upstreams, and takes down what they say."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jotgate.core.calls import ResponseHead
from jotgate.errors import UpstreamError
from jotgate.testing.upstream import Step, UpstreamServer
from jotgate.upstreams.transport import Endpoint, Exchange, Pool
from tests.loops import until

REQUEST = b"POST /v1/x HTTP/1.1\r\nHost: up\r\nContent-Length: 2\r\n\r\nhi"


class Ear:
    """An ear (ports.UpstreamEvents) that fails the test when it is told anything after the end."""

    def __init__(self) -> None:
        self.head: ResponseHead | None = None
        self.pieces: list[bytes] = []
        self.complete = False
        self.error: UpstreamError | None = None
        self.written: bool | None = None

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def over(self) -> bool:
        return self.complete or self.error is not None

    def received(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
        assert not self.over, "told after the end"
        assert (head is None) == (self.head is not None), "the head comes once, first"
        self.head = self.head or head
        self.pieces.append(piece)
        self.complete = complete

    def failed(self, error: UpstreamError, written: bool) -> None:
        assert not self.over, "told after the end"
        self.error, self.written = error, written

    async def until_over(self) -> None:
        await until(lambda: self.over)

    async def until_body(self, body: bytes) -> None:
        await until(lambda: self.body == body)
        assert not self.over


def pool_for(server: UpstreamServer) -> Pool:
    return Pool(Endpoint("127.0.0.1", server.port), asyncio.get_running_loop())


@asynccontextmanager
async def upstream(*script: list[Step]) -> AsyncIterator[tuple[UpstreamServer, Pool]]:
    async with UpstreamServer(*script) as server:
        pool = pool_for(server)
        yield server, pool
        pool.retire()


async def ask(pool: Pool) -> Ear:
    ear = Ear()
    pool.begin(REQUEST, ear)
    await ear.until_over()
    return ear


def begin(pool: Pool) -> tuple[Ear, Exchange]:
    ear = Ear()
    return ear, pool.begin(REQUEST, ear)

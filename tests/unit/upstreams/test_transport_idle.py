"""How many connections are kept, and for how long."""

import asyncio

import pytest

from jotgate.core.routes import Bounds, Upstream
from jotgate.testing.upstream import UpstreamServer, unary
from jotgate.upstreams.openai import OpenAIUpstream
from tests.loops import on_loop
from tests.ways import ask


@pytest.mark.parametrize(("kept", "connections"), [(0, 3), (8, 1)])
@on_loop
async def test_so_many_idle_connections_are_kept(kept: int, connections: int) -> None:
    async with UpstreamServer(unary(b"1"), unary(b"2"), unary(b"3")) as server:
        upstream = Upstream("u", "openai", server.base_url, bounds=Bounds(idle_connections=kept))
        port = OpenAIUpstream(upstream, asyncio.get_running_loop())
        for _ in range(3):
            await ask(port)
        assert server.opened == connections
        port.pool.retire()


@pytest.mark.parametrize(("idle_s", "left"), [(0.0, 0), (60.0, 1)])
@on_loop
async def test_an_idle_connection_is_closed_in_its_time(idle_s: float, left: int) -> None:
    async with UpstreamServer(unary(b"1")) as server:
        upstream = Upstream("u", "openai", server.base_url, bounds=Bounds(idle_s=idle_s))
        port = OpenAIUpstream(upstream, asyncio.get_running_loop())
        await ask(port)
        port.pool.close_idle()
        await server.until_connections(left)
        port.pool.retire()

"""Calls behind a trusted proxy are their callers', and count for their callers' addresses while they last."""

import pytest

from jotgate.core.snapshot import Limits
from jotgate.edge.proxies import Proxies
from jotgate.edge.surfaces.proxied import ProxiedSurface
from jotgate.errors import Code
from tests.listening import Edge, get, listening
from tests.loops import on_loop, until


def behind(edge: Edge, limit: int) -> None:
    """Put the surface before the application, and trust this machine as a proxy."""
    edge.surroundings.proxies = Proxies(("127.0.0.1",), "x-forwarded")
    edge.surroundings.limits = Limits(connections_per_address=limit)
    edge.surroundings.application = ProxiedSurface(edge.application, edge.surroundings)


@on_loop
async def test_each_call_is_its_callers() -> None:
    async with listening() as edge:
        behind(edge, 8)
        client = await edge.connect()
        for address in (b"203.0.113.1", b"203.0.113.2"):
            assert (await client.send(get(b"/now", b"X-Forwarded-For: " + address)).answer()).status == 200
        assert (await client.send(get()).answer()).status == 200
        assert [request.peer for request in edge.application.answered] == ["203.0.113.1", "203.0.113.2", "127.0.0.1"]


@on_loop
async def test_an_address_behind_a_proxy_has_so_many_calls_under_way() -> None:
    async with listening() as edge:
        behind(edge, 1)
        field = b"X-Forwarded-For: 203.0.113.1"
        first, second = await edge.connect(), await edge.connect()
        first.send(get(b"/later", field))
        await until(lambda: len(edge.application.tasks) == 1)
        response = await second.send(get(b"/now", field)).answer()
        assert (response.status, Code.TOO_MANY_CONNECTIONS.encode() in response.body) == (429, True)
        assert (await second.send(get(b"/now", b"X-Forwarded-For: 203.0.113.2")).answer()).status == 200
        edge.application.tasks[0].caller.start(200, b"", 2, b"o")
        assert len(edge.surroundings.crowd) == 1
        edge.application.tasks[0].caller.end(b"k")
        assert (await first.answer()).body == b"ok"
        assert (await second.send(get(b"/now", field)).answer()).status == 200


@pytest.mark.parametrize("how", ["gone", "aborted", "fault"])
@on_loop
async def test_a_call_that_ends_badly_counts_no_longer(how: str) -> None:
    async with listening(faults=how == "fault") as edge:
        behind(edge, 1)
        client = await edge.connect()
        client.send(get(b"/fault" if how == "fault" else b"/later", b"X-Forwarded-For: 203.0.113.1"))
        if how != "fault":
            await until(lambda: len(edge.application.tasks) == 1)
            assert len(edge.surroundings.crowd) == 1
        if how == "gone":
            client.leave()
            await until(lambda: edge.application.tasks[0].told == ["gone"])
        elif how == "aborted":
            edge.application.tasks[0].caller.abort()
        else:
            assert (await client.answer()).status == 500
        assert len(edge.surroundings.crowd) == 0


@on_loop
async def test_a_slow_caller_behind_a_proxy_slows_its_answer() -> None:
    async with listening() as edge:
        behind(edge, 1)
        client = await edge.connect()
        client.send(get(b"/later", b"X-Forwarded-For: 203.0.113.1"))
        await until(lambda: len(edge.application.tasks) == 1)
        task = edge.application.tasks[0]
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        task.caller.start(200, b"", None, b"x")
        while "paused" not in task.told:
            task.caller.write(b"x" * 1_000_000)
        client.reader._transport.resume_reading()  # type: ignore[attr-defined]
        client.reader._limit = 1_000_000_000  # type: ignore[attr-defined]
        await until(lambda: task.told == ["paused", "resumed"])
        task.caller.end(b"")
        assert (await client.answer()).whole

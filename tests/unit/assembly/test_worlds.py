"""How a worker comes from one world to the next: what is kept, what is closed, and in which steps."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jotgate.assembly.system import SystemClock
from jotgate.assembly.worlds import Pace, Worlds
from jotgate.core.calls import Outbound, ResponseHead
from jotgate.core.chains import Chain, ChainStep
from jotgate.core.routes import Attempt, Route, Upstream
from jotgate.core.snapshot import Snapshot
from jotgate.errors import UpstreamError
from jotgate.gateway.world import World
from jotgate.jose.keys import KeySet, generate
from jotgate.testing.upstream import Gate, Step, UpstreamServer, unary
from tests.callers import own_issuer
from tests.chaining import completion
from tests.loops import on_loop, until

_JWKS = KeySet([generate("ES256").verification_key]).to_jwks()
_CALL = Outbound("chat.completions", b"POST", b"/v1/chat/completions", b"", b"{}")


class Bench:
    """Worlds, and what they told."""

    def __init__(self) -> None:
        self.worlds: list[World] = []
        self.settled: list[int] = []
        self.builder = Worlds(
            asyncio.get_running_loop(),
            SystemClock(),
            swap=self.worlds.append,
            settled=lambda v, _: self.settled.append(v),
        )

    async def take(
        self, version: int, *upstreams: Upstream, leeway_s: int = 5, chains: tuple[Chain, ...] = ()
    ) -> World:
        """Offer a snapshot, and wait for its world."""
        routes = tuple(Route(one.name, (Attempt(one.name, one.name),)) for one in upstreams)
        issuer = own_issuer(_JWKS, leeway_s=leeway_s)
        self.builder.offer(Snapshot(version, (issuer,), upstreams, routes, chains=chains))
        await until(lambda: self.settled[-1:] == [version])
        return self.worlds[-1]


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """Worlds that are kept."""
    made = Bench()
    keeping = asyncio.get_running_loop().create_task(made.builder.keep())
    try:
        yield made
    finally:
        keeping.cancel()


class Heard:
    """What came of a call (ports.UpstreamEvents)."""

    def __init__(self) -> None:
        self.complete = False

    def received(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
        self.complete = self.complete or complete

    def failed(self, error: UpstreamError, written: bool) -> None:
        raise error


async def call(world: World, name: str) -> None:
    """One call to the upstream of this name, to its end."""
    heard = Heard()
    world.places[name].port.begin(_CALL, heard)
    await until(lambda: heard.complete)


@on_loop
async def test_what_is_equal_goes_on_with_its_connections_and_verified_tokens() -> None:
    async with UpstreamServer(unary(b"{}"), unary(b"{}")) as server, bench() as made:
        upstream = Upstream("m", "openai", server.base_url)
        first = await made.take(1, upstream)
        await call(first, "m")
        second = await made.take(2, upstream, Upstream("echo", "echo"))
        await call(second, "m")
        assert second.places["m"] is first.places["m"]
        assert second.verifier is first.verifier
        assert [request.connection for request in server.requests] == [0, 0]


@on_loop
async def test_another_issuer_gets_another_verifier() -> None:
    async with bench() as made:
        first = await made.take(1)
        second = await made.take(2, leeway_s=6)
        assert second.verifier is not first.verifier


@on_loop
async def test_an_upstream_that_is_gone_keeps_no_connection() -> None:
    gate = Gate()
    slow: list[Step] = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", gate, b"}"]
    async with UpstreamServer(unary(b"{}"), slow) as server, bench() as made:
        first = await made.take(1, Upstream("m", "openai", server.base_url))
        await call(first, "m")
        heard = Heard()
        first.places["m"].port.begin(_CALL, heard)
        await server.until_requests(2)
        await made.take(2)
        assert server.connections == 1  # The call under way goes on.
        gate.open()
        await until(lambda: heard.complete)
        await server.until_connections(0)


@on_loop
async def test_an_idle_connection_of_a_changed_upstream_is_closed_at_once() -> None:
    async with UpstreamServer(unary(b"{}")) as server, bench() as made:
        await call(await made.take(1, Upstream("m", "openai", server.base_url)), "m")
        await made.take(2, Upstream("m", "openai", server.base_url, idle_timeout_s=9.0))
        await server.until_connections(0)


@on_loop
async def test_of_several_that_wait_only_the_newest_is_built() -> None:
    async with bench() as made:
        await made.take(1)
        for version in (2, 3):
            issuer = own_issuer(_JWKS)
            made.builder.offer(Snapshot(version, (issuer,), (), ()))
        await made.take(4)
        assert [world.snapshot.version for world in made.worlds] == [1, 4]


@on_loop
async def test_a_chain_goes_on_by_what_the_newest_world_says_of_its_steps() -> None:
    step = ChainStep("only", "m", "Say it.", (Attempt("m", "m"),))
    chain = Chain("c", (step,))
    said = completion("Hi")
    async with UpstreamServer(unary(said)) as old, UpstreamServer(unary(said)) as new, bench() as made:
        for version, server in ((1, old), (2, new)):
            upstream = Upstream("m", "openai", server.base_url)
            world = await made.take(version, upstream, Upstream("c", "chain"), chains=(chain,))
            heard = Heard()
            ask = b'{"model":"c","messages":[{"role":"user","content":"Hello"}]}'
            outbound = Outbound("chat.completions", b"POST", b"/v1/chat/completions", b"", ask)
            world.places["c"].port.begin(outbound, heard)
            await until(lambda: heard.complete)  # noqa: B023 - awaited within the turn
            assert len(server.requests) == 1
        assert made.worlds[0].places["c"] is made.worlds[1].places["c"]
        assert not made.builder.chains.live


@on_loop
async def test_work_is_cut_into_steps_of_about_a_millisecond() -> None:
    pace = Pace()
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.get_running_loop().create_task(count_turns())
    for _ in range(4):
        end_s = time.thread_time() + 0.0015
        while time.thread_time() < end_s:
            pass
        await pace.breathe()
    counting.cancel()
    assert turns >= 4
    assert 0.0015 <= pace.longest_s < 0.006

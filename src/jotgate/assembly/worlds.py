"""A worker's worlds: makes of each snapshot that arrives a world that calls can use, without holding up those that run.

What is equal to before is kept, so that a reload closes no connection that is still good. The work is done in steps;
between them the event loop goes on. What takes long and holds no interpreter, such as loading the roots of TLS, is done
on a thread.
"""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, TypeVar

from jotgate.assembly.system import SystemEntropy
from jotgate.core.mcp_holders import holder_of
from jotgate.core.principals import Principal
from jotgate.core.routes import Upstream
from jotgate.core.snapshot import Snapshot
from jotgate.gateway.standing import Standing
from jotgate.gateway.world import Place, World, build_world
from jotgate.ports import Clock, UpstreamPort
from jotgate.services.personal_cache import PersonalTokens
from jotgate.services.revocation import RevokedSet
from jotgate.telemetry.logs import note_upstream
from jotgate.upstreams.chain import ChainRuns, ChainUpstream, Scene
from jotgate.upstreams.coze import reach_coze
from jotgate.upstreams.coze_runs import CozeRuns
from jotgate.upstreams.credential_sources import credentials_of
from jotgate.upstreams.credentialed import CredentialedUpstream
from jotgate.upstreams.credentials import UpstreamTokens, ask_nobody
from jotgate.upstreams.echo import EchoUpstream
from jotgate.upstreams.mcp import McpUpstream
from jotgate.upstreams.openai import OpenAIUpstream
from jotgate.upstreams.tool_endpoints import EndpointsUpstream
from jotgate.upstreams.transport import Pool

_STEP_S: Final = 0.001
_Result = TypeVar("_Result")


class Pace:
    """Cuts work into steps. Mutable: when this step began, and the CPU time of the longest one."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._begun_s = time.thread_time()

    def end_step(self) -> None:
        """The step ends here."""
        self.longest_s = max(self.longest_s, time.thread_time() - self._begun_s)

    async def breathe(self) -> None:
        """Let the event loop go on if this step has taken a millisecond."""
        if time.thread_time() - self._begun_s >= _STEP_S:
            await self.rest(asyncio.sleep(0))

    async def rest(self, until: Awaitable[_Result]) -> _Result:
        """End the step, wait, and begin the next."""
        self.end_step()
        result = await until
        self._begun_s = time.thread_time()
        return result


class Worlds:
    """Builds worlds, the newest snapshot only. Mutable: the snapshot that waits, the world, its pools and its chains.

    `revoked` is what every world refuses, whichever snapshot it was made of, `personal` what is known of personal
    tokens, and `tokens` what upstreams are sent.
    `slot` is this worker's among `workers`: what bounds all of them together is shared out by it.
    `control_path` is the socket at which control answers the edge, and for its children.
    `swap` gets each world; `settled` its version and the longest time in CPU seconds that its making held up the loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        *,
        swap: Callable[[World], None],
        settled: Callable[[int, float], None],
        slot: int = 0,
        workers: int = 1,
    ) -> None:
        self.control_path = ""
        self._loop = loop
        self._clock = clock
        self._swap = swap
        self._settled = settled
        self._slot = slot
        self._workers = workers
        self.revoked: Final = RevokedSet()
        self.personal: Final = PersonalTokens(self.revoked)
        self.tokens: Final = UpstreamTokens(clock, ask_nobody, loop.call_soon)
        self._waiting: Snapshot | None = None
        self._arrived = asyncio.Event()
        self._world: World | None = None
        self._issuers: Mapping[str, str] = {}
        self._pools: dict[str, Pool] = {}
        self._roots: ssl.SSLContext | None = None
        self._scene = Scene({}, {})
        self.chains: Final = ChainRuns(clock, SystemEntropy(), loop.call_soon)
        self.coze: Final = CozeRuns(clock, SystemEntropy(), loop.call_soon)

    @property
    def places(self) -> Iterable[Place]:
        """The places of the newest world."""
        return () if self._world is None else self._world.places.values()

    @property
    def pools(self) -> list[Pool]:
        """The pools of the places of the newest world."""
        return list(self._pools.values())

    def offer(self, snapshot: Snapshot) -> None:
        """Take a snapshot; one that still waits is passed over."""
        self._waiting = snapshot
        self._arrived.set()

    async def keep(self) -> None:
        """Build what is offered and swap to it, until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            snapshot, self._waiting = self._waiting, None
            if snapshot is not None:
                await self._build(snapshot)

    async def _build(self, snapshot: Snapshot) -> None:
        pace = Pace()
        ours, *others = snapshot.all_issuers  # Those of faces too: their subjects are not ours of the same name.
        self._issuers = {one.issuer or one.name: one.name for one in others if one.issuer != ours.issuer}
        before = self._world
        known = before.places if before is not None else {}
        places: dict[str, Place] = {}
        pools: dict[str, Pool] = {}
        for upstream in snapshot.upstreams:
            place = known.get(upstream.name)
            if place is None or place.upstream != upstream:
                port = await self._reach(upstream, pools, pace)
                place = Place(upstream, port, self._standing(upstream, place))
            elif upstream.name in self._pools:
                pools[upstream.name] = self._pools[upstream.name]
            places[upstream.name] = place
            await pace.breathe()
        world = build_world(snapshot, places, before, self.revoked, self.personal)
        gone = [pool for name, pool in self._pools.items() if pools.get(name) is not pool]
        self._world, self._pools = world, pools
        self._scene = Scene({chain.name: chain for chain in snapshot.chains}, places)
        self.tokens.follow(snapshot.upstreams)
        self._swap(world)
        for pool in gone:
            await pace.breathe()
            pool.retire()
        pace.end_step()
        self._settled(snapshot.version, pace.longest_s)

    async def _reach(self, upstream: Upstream, pools: dict[str, Pool], pace: Pace) -> UpstreamPort:
        if upstream.kind == "echo":
            return EchoUpstream(self._clock)
        if upstream.kind == "chain":
            return ChainUpstream(upstream.name, lambda: self._scene, self.chains)
        roots = await self._load_roots(upstream.reach.roots, pace) if upstream.base_url.startswith("https:") else None
        if upstream.kind == "coze":
            coze, pools[upstream.name] = reach_coze(upstream, self.coze, self.tokens, self._loop, roots)
            return coze
        port: OpenAIUpstream | McpUpstream | EndpointsUpstream
        if upstream.endpoints:
            port = EndpointsUpstream(upstream, self._loop, roots)
        elif upstream.kind == "mcp":
            port = McpUpstream(upstream, self._loop, roots, self.control_path)
        else:
            port = OpenAIUpstream(upstream, self._loop, roots, SystemEntropy())
        pools[upstream.name] = port.pool
        if not upstream.exchanged and upstream.other_credential is None:
            return port
        credentials = credentials_of(upstream, self.tokens, self._clock)
        return CredentialedUpstream(upstream, port, credentials, self._loop.call_soon, self._holder_of)

    def _holder_of(self, principal: Principal) -> str:
        return holder_of(principal, self._issuers)

    def _standing(self, upstream: Upstream, before: Place | None) -> Standing:
        """How the upstream stands: as it did, when it is the same place under other settings."""
        if before is None or (before.upstream.base_url, before.upstream.reach) != (upstream.base_url, upstream.reach):
            return Standing(upstream, self._slot, self._workers, note_upstream)
        before.standing.obey(upstream, self._slot, self._workers)
        return before.standing

    async def _load_roots(self, roots: str, pace: Pace) -> ssl.SSLContext:
        """The upstream's own roots, or the machine's, shared by all: loading those takes tens of milliseconds."""
        if roots:
            return await pace.rest(self._loop.run_in_executor(None, _context, roots))
        if self._roots is None:
            self._roots = await pace.rest(self._loop.run_in_executor(None, ssl.create_default_context))
        return self._roots


def _context(roots: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=roots)

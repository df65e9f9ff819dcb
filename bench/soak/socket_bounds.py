"""What WebSockets cost and how they end: their memory while idle, a revocation that cuts them all, a frame's delay."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.cpu import PROC
from bench.memory import parse_rollup
from bench.soak.cut import percentile
from jotgate.jose.jwt import peek_unverified
from jotgate.testing.running import Gateway, run_command, running_gateway

CUT_BOUND_S: Final = 1.5
MEMORY_BOUND_KIB: Final = 30.0
DELAY_BOUND: Final = 2.0
PAGE: Final = """\
# {idle:,} idle WebSockets at {kib:.1f} KiB each, {cut:,} cut within {longest_ms:,.0f} ms of one revocation

Run of {when}; `make soak` repeats it. One worker, connections of the Realtime API to an upstream on the same machine,
no compression.

| | measured | bound |
|---|---|---|
| memory (PSS) of the worker for each idle connection, of {idle:,} | {kib:.1f} KiB | {memory_bound:.0f} KiB |
| from the end of `jotgate token revoke` until the last is closed | {longest_ms:,.0f} ms | {cut_bound:,.0f} ms |
| the same since the command was called, which starts Python | {since_ms:,.0f} ms | |
| 99th of a hundred of the time from an event to its answer: to the upstream itself | {direct_us:,.0f} µs | |
| … added by the gateway, which checks both | {gateway_us:,.0f} µs | |
| … added by a bare relay of the library `websockets`, in the same run | {bare_us:,.0f} µs | |
| the gateway's share of that | {share:.2f} | {delay_bound:.0f} |
| connections closed otherwise | {faults} | 0 |
"""
_SETTINGS: Final = """\
[server]
workers = 1
[limits]
connections_per_address = 20000
messages_per_s = 10000
messages_at_once = 100000
[[upstreams]]
name = "voice"
kind = "openai"
base_url = "http://127.0.0.1:{port}/v1"
models = ["talk"]
"""
_PATH: Final = "/v1/realtime?model=talk"
_EVENT: Final = '{"type":"session.update","session":{"type":"realtime","instructions":"' + "a" * 200 + '"}}'
_OPENED_AT_ONCE: Final = 50
_PATIENCE_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class SocketSizes:
    """How many connections idle, how many of them are cut, how many events are timed, in how many rounds."""

    idle: int
    cut: int
    events: int
    rounds: int


SOCKETS_FULL: Final = SocketSizes(idle=5_000, cut=1_000, events=2_000, rounds=5)
SOCKETS_SMALL: Final = SocketSizes(idle=200, cut=100, events=200, rounds=2)


@dataclass(frozen=True, slots=True)
class SocketRig:
    """A gateway with one worker, and the ports of its upstream and of the bare relay to that."""

    gateway: Gateway
    upstream: int
    relay: int


@dataclass(slots=True)
class SocketFindings:
    """What came of it. Mutable while it runs. Times in seconds, of events by where they were sent."""

    kib: float = 0.0
    after_s: float = 0.0
    since_s: float = 0.0
    delays_s: dict[str, list[float]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def added_s(self, way: str) -> float:
        """What a way adds to the 99th of a hundred."""
        return percentile(self.delays_s[way], 0.99) - percentile(self.delays_s["direct"], 0.99)

    @property
    def share(self) -> float:
        """What the gateway adds, of what the bare relay does."""
        return self.added_s("gateway") / max(self.added_s("bare"), 1e-6)

    @property
    def holds(self) -> bool:
        """Whether all bounds are kept."""
        kept = self.kib <= MEMORY_BOUND_KIB and self.after_s <= CUT_BOUND_S and self.share <= DELAY_BOUND
        return kept and not self.faults


@contextmanager
def running_sockets() -> Iterator[SocketRig]:
    """Start the upstream, the bare relay and the gateway."""
    with ExitStack() as stack:
        upstream = stack.enter_context(_peer("upstream"))
        relay = stack.enter_context(_peer("relay", str(upstream)))
        gateway = stack.enter_context(running_gateway(_SETTINGS.format(port=upstream)))
        yield SocketRig(gateway, upstream, relay)


@contextmanager
def _peer(*arguments: str) -> Iterator[int]:
    command = (sys.executable, "-m", "bench.soak.socket_peers", *arguments)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(_PATIENCE_S)


async def run_sockets(rig: SocketRig, sizes: SocketSizes) -> SocketFindings:
    """Time events first, while nothing else is open; then let connections idle, and cut some of them."""
    found = SocketFindings()
    stays, goes = rig.gateway.token("--ttl", "1h"), rig.gateway.token("--ttl", "1h")
    ways = {"direct": rig.upstream, "bare": rig.relay, "gateway": _port(rig.gateway)}
    for _ in range(sizes.rounds):
        for way, port in ways.items():
            found.delays_s.setdefault(way, []).extend(await _time_events(port, stays, sizes.events))
    async with AsyncExitStack() as stack:
        warm = await _open_many(stack, rig.gateway, stays, _OPENED_AT_ONCE)
        before = _memory_kib(rig.gateway)
        staying = await _open_many(stack, rig.gateway, stays, sizes.idle - sizes.cut)
        going = await _open_many(stack, rig.gateway, goes, sizes.cut)
        found.kib = (_memory_kib(rig.gateway) - before) / sizes.idle
        await _revoke(rig.gateway, goes, going, found)
        found.faults += ["a connection of another token has ended" for one in (*warm, *staying) if one.close_code]
    return found


async def _time_events(port: int, token: str, count: int) -> list[float]:
    delays: list[float] = []
    async with _opening(port, token) as connection:
        await connection.recv()
        for _ in range(count):
            began_s = time.perf_counter()
            await connection.send(_EVENT)
            await connection.recv()
            delays.append(time.perf_counter() - began_s)
    return delays


async def _open_many(stack: AsyncExitStack, gateway: Gateway, token: str, count: int) -> Sequence[ClientConnection]:
    """So many connections whose first event has come."""
    opened: list[ClientConnection] = []

    async def open_one() -> None:
        connection = await stack.enter_async_context(_opening(_port(gateway), token))
        await connection.recv()
        opened.append(connection)

    while len(opened) < count:
        async with asyncio.timeout(_PATIENCE_S):
            await asyncio.gather(*(open_one() for _ in range(min(_OPENED_AT_ONCE, count - len(opened)))))
    return opened


def _opening(port: int, token: str) -> connect:
    """A connection that answers no ping too late for being one of thousands."""
    headers = {"Authorization": f"Bearer {token}"}
    url = f"ws://127.0.0.1:{port}{_PATH}"
    return connect(url, additional_headers=headers, compression=None, ping_interval=None, open_timeout=_PATIENCE_S)


async def _revoke(gateway: Gateway, token: str, going: Sequence[ClientConnection], found: SocketFindings) -> None:
    ends = [asyncio.create_task(_until_cut(one)) for one in going]
    jti = str(peek_unverified(token.encode())[1]["jti"])
    began_s = time.monotonic()
    done = await asyncio.to_thread(run_command, "token", "revoke", "--yes", "--", jti, data=gateway.data)
    ended_s = time.monotonic()
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    async with asyncio.timeout(_PATIENCE_S):
        outcomes = await asyncio.gather(*ends)
    last_s = max(at_s for at_s, _ in outcomes)
    found.after_s, found.since_s = max(0.0, last_s - ended_s), last_s - began_s
    found.faults += [f"a connection of the revoked token ended with {code}" for _, code in outcomes if code != 4403]


async def _until_cut(connection: ClientConnection) -> tuple[float, int | None]:
    try:
        while True:
            await connection.recv()
    except ConnectionClosed:
        return time.monotonic(), connection.close_code


def _port(gateway: Gateway) -> int:
    return int(gateway.url.rpartition(":")[2])


def _memory_kib(gateway: Gateway) -> float:
    pid = next(pid for role, pid in gateway.pids.items() if role.startswith("worker"))
    return parse_rollup((PROC / str(pid) / "smaps_rollup").read_text()).pss_mib * 1024


def render_sockets(found: SocketFindings, sizes: SocketSizes, when: str) -> str:
    """The findings as a page."""
    return PAGE.format(
        idle=sizes.idle,
        cut=sizes.cut,
        kib=found.kib,
        longest_ms=found.after_s * 1e3,
        since_ms=found.since_s * 1e3,
        when=when,
        memory_bound=MEMORY_BOUND_KIB,
        cut_bound=CUT_BOUND_S * 1e3,
        direct_us=percentile(found.delays_s["direct"], 0.99) * 1e6,
        gateway_us=found.added_s("gateway") * 1e6,
        bare_us=found.added_s("bare") * 1e6,
        share=found.share,
        delay_bound=DELAY_BOUND,
        faults=len(found.faults),
    )

"""How long each part of the bench takes and how hard it pushes: the full run and the quick one."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Event streams read together: `connections` of them, each `rounds` times, `chunks` events `interval_us` apart.

    An interval of 0 sends the events as fast as the socket takes them.
    """

    connections: int
    rounds: int
    chunks: int
    interval_us: int

    @property
    def expected(self) -> int:
        """Events that arrive when nothing is lost."""
        return self.connections * self.rounds * self.chunks


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run. Times are in whole seconds, as the load generator takes them.

    closed: as much as goes, in `closed_laps` of `closed_s`, between which the others have theirs, for tokens over
    `token_connections`; rate: latency at a fixed rate; steady: cost at a fixed rate; large: prompts of `large_chars`;
    fresh: a new TLS connection for each request; paced and blast: streams; verify: tokens, of which `verify_cold` are
    new to the verifier in each round and `verify_warm` are not; meter: calls that reserve of quotas and settle;
    mcp: calls of a tool.
    """

    name: str
    rounds: int
    warm_s: int
    closed_laps: int
    closed_s: int
    closed_connections: int
    token_connections: int
    rate_rps: int
    rate_s: int
    rate_connections: int
    steady_rps: int
    steady_s: int
    steady_connections: int
    large_s: int
    large_chars: int
    large_connections: int
    fresh_s: int
    fresh_connections: int
    paced: Stream
    blast: Stream
    idle_streams: int
    reloads: int
    verify_rounds: int
    verify_cold: int
    verify_warm: int
    meter_rounds: int
    meter_calls: int
    mcp_rounds: int
    mcp_calls: int
    start_samples: int
    help_samples: int


FULL: Final = Plan(
    name="full",
    rounds=7,
    warm_s=1,
    closed_laps=3,
    closed_s=1,
    closed_connections=32,
    token_connections=8,
    rate_rps=500,
    rate_s=10,
    rate_connections=16,
    steady_rps=2_000,
    steady_s=2,
    steady_connections=32,
    large_s=1,
    large_chars=100_000,
    large_connections=8,
    fresh_s=1,
    fresh_connections=8,
    paced=Stream(connections=200, rounds=1, chunks=100, interval_us=20_000),
    blast=Stream(connections=16, rounds=2, chunks=2_000, interval_us=0),
    idle_streams=1_000,
    reloads=20,
    verify_rounds=15,
    verify_cold=400,
    verify_warm=10_000,
    meter_rounds=5,
    meter_calls=1_000_000,
    mcp_rounds=7,
    mcp_calls=1_000,
    start_samples=5,
    help_samples=9,
)
QUICK: Final = Plan(
    name="quick",
    rounds=3,
    warm_s=1,
    closed_laps=1,
    closed_s=1,
    closed_connections=32,
    token_connections=8,
    rate_rps=500,
    rate_s=1,
    rate_connections=16,
    steady_rps=2_000,
    steady_s=1,
    steady_connections=32,
    large_s=1,
    large_chars=100_000,
    large_connections=8,
    fresh_s=1,
    fresh_connections=8,
    paced=Stream(connections=200, rounds=1, chunks=50, interval_us=20_000),
    blast=Stream(connections=16, rounds=1, chunks=1_000, interval_us=0),
    idle_streams=200,
    reloads=5,
    verify_rounds=5,
    verify_cold=400,
    verify_warm=10_000,
    meter_rounds=3,
    meter_calls=100_000,
    mcp_rounds=3,
    mcp_calls=300,
    start_samples=3,
    help_samples=5,
)

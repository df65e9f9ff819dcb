"""The limits that a build must hold, and the goals beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from bench.candidates import OVER_ENVOY, OVER_NGINX, OVER_PROVIDER, TWO_WORKERS, Comparison
from bench.summary import Summary

Standing = Literal["goal reached", "holds", "BROKEN", "not measured"]


@dataclass(frozen=True, slots=True)
class Gate:
    """A limit on a median, or with `worst` on the greatest sample, and the goal where there is one.

    The figure is a ratio of the comparison, or one that is taken outside the rounds.
    """

    key: str
    title: str
    unit: str
    limit: float
    goal: float | None = None
    comparison: Comparison | None = None
    worst: bool = False


GATES: Final = (
    Gate("request_cpu_us", "CPU per request over nginx's", "x", 2.2, 1.8, OVER_NGINX),
    Gate("request_cpu_us", "CPU per request over Envoy's, which verifies with a cache", "x", 1.0, None, OVER_ENVOY),
    Gate("chunk_cpu_us", "CPU per streamed chunk over nginx's", "x", 1.8, 1.4, OVER_NGINX),
    Gate("added_p99_us", "p99 added at 500 requests per second over nginx's", "x", 3.0, None, OVER_NGINX),
    Gate("steady_cpu_us", "CPU per request of two workers over one's", "x", 1.1, None, TWO_WORKERS),
    Gate("reload_block_ms", "longest block of a worker's loop by a reload, own CPU time", "ms", 5.0, worst=True),
    Gate("verify_cold", "CPU of a token's first verification over the bare primitive's", "x", 1.25),
    Gate("verify_warm_us", "CPU of verifying a token from the cache", "µs", 3.0),
    Gate("verify_revoked", "the same with 100,000 revocations over none", "x", 1.1),
    Gate("verify_first_look", "a known token's first look among them after one more, over none", "x", 3.0),
    Gate("policies_over_none", "CPU of admitting a known token under 1,000 policies over under none", "x", 1.1),
    Gate("policies_first_look", "the same of a token that they have not met yet", "x", 5.0),
    Gate("metering_us", "CPU of reserving of four quotas and settling, from leases that are held", "µs", 3.0),
    Gate("token_cpu_us", "CPU per issued token over oidc-provider's, both in memory", "x", 0.5, None, OVER_PROVIDER),
    Gate("decision_cpu_us", "CPU of a decision for a proxy over HTTP", "µs", 45.0),
    Gate("mcp_added_us", "p50 that a tool call of MCP gains on its way", "µs", 1_000.0),
    Gate("mcp_stream_kib", "memory of an open subscription of MCP", "KiB", 40.0),
    Gate("first_s", "first start to ready", "s", 2.0),
    Gate("again_s", "start to the first answered completion", "s", 2.0),
    Gate("help_s", "`jotgate --help`", "s", 0.2),
    Gate("orphans_s", "death of the supervisor to that of its last child", "s", 1.0),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A gate and what was measured."""

    gate: Gate
    measured: Summary | None

    @property
    def standing(self) -> Standing:
        """How the figure stands to limit and goal; what stands exactly on a limit holds it."""
        if self.measured is None:
            return "not measured"
        figure = self.measured.high if self.gate.worst else self.measured.median
        if figure > self.gate.limit:
            return "BROKEN"
        if self.gate.goal is not None and figure <= self.gate.goal:
            return "goal reached"
        return "holds"


def judge(ratios: Mapping[Comparison, Mapping[str, Summary]], others: Mapping[str, Summary | None]) -> list[Verdict]:
    """All gates in order; those whose figures were not asked for are not measured. `others` are those of no round."""
    return [
        Verdict(gate, others.get(gate.key) if gate.comparison is None else _ratio(ratios, gate.comparison, gate.key))
        for gate in GATES
    ]


def _ratio(ratios: Mapping[Comparison, Mapping[str, Summary]], comparison: Comparison, key: str) -> Summary | None:
    return ratios.get(comparison, {}).get(key)

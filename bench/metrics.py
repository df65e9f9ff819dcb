"""The closed table of figures, and how each follows from what was counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.load import LoadResult

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the report. `ratio`: whether one candidate's over another's says something."""

    key: str
    title: str
    unit: str
    digits: int
    ratio: bool


METRICS: Final = (
    Metric("request_cpu_us", "CPU per request", "µs", 1, True),
    Metric("requests_per_s", "requests per second, closed loop", "1/s", 0, True),
    Metric("candidate_busy_pct", "… its own core busy meanwhile", "%", 0, False),
    Metric("others_busy_pct", "… taken from its core by others", "%", 0, False),
    Metric("load_busy_pct", "… the load's core busy meanwhile", "%", 0, False),
    Metric("latency_p50_us", "latency at the fixed rate, p50", "µs", 0, False),
    Metric("latency_p99_us", "latency at the fixed rate, p99", "µs", 0, False),
    Metric("added_p50_us", "added to the straight latency, p50", "µs", 0, True),
    Metric("added_p99_us", "added to the straight latency, p99", "µs", 0, True),
    Metric("chunk_cpu_us", "CPU per streamed chunk, paced", "µs", 2, True),
    Metric("chunk_delay_p50_us", "… age of a chunk on arrival, p50", "µs", 0, False),
    Metric("chunk_delay_p99_us", "… age of a chunk on arrival, p99", "µs", 0, False),
    Metric("blast_cpu_us", "CPU per streamed chunk, as fast as it goes", "µs", 2, True),
    Metric("large_cpu_us", "CPU per request with a prompt of 100 KB", "µs", 1, True),
    Metric("fresh_cpu_us", "CPU per request on a new TLS connection each", "µs", 1, True),
    Metric("token_cpu_us", "CPU per issued token", "µs", 0, True),
    Metric("tokens_per_cpu_s", "tokens per second of CPU time", "1/s", 0, True),
    Metric("tokens_per_s", "tokens per second, closed loop", "1/s", 0, True),
    Metric("steady_cpu_us", "CPU per request at 2,000 requests per second", "µs", 1, True),
)


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU time during one load, in nanoseconds: the candidate's, the mock upstream's, and all on the candidate's core.

    `elapsed_ns` is wall time from the first reading to the last.
    """

    candidate_ns: int
    mock_ns: int
    core_ns: int
    elapsed_ns: int

    @classmethod
    def sum_of(cls, some: Sequence["Spent"]) -> "Spent":
        """What was spent on several loads."""
        return cls(
            sum(one.candidate_ns for one in some),
            sum(one.mock_ns for one in some),
            sum(one.core_ns for one in some),
            sum(one.elapsed_ns for one in some),
        )


def straight_figures(result: LoadResult, spent: Spent) -> Figures:
    """Figures of a closed loop of the mock upstream itself, whose own cost is not on trial."""
    return {
        "requests_per_s": result.ok / result.seconds,
        "load_busy_pct": (result.cpu_s + spent.mock_ns / 1e9) / result.seconds * 100,
    }


def closed_figures(result: LoadResult, spent: Spent) -> Figures:
    """Figures of a closed loop."""
    figures = {
        **straight_figures(result, spent),
        "candidate_busy_pct": spent.candidate_ns / 1e9 / result.seconds * 100,
        "others_busy_pct": max(0.0, (spent.core_ns - spent.candidate_ns) / spent.elapsed_ns * 100),
    }
    if result.ok:
        figures["request_cpu_us"] = spent.candidate_ns / 1e3 / result.ok
    return figures


def token_figures(result: LoadResult, spent: Spent) -> Figures:
    """Figures of a closed loop of token requests."""
    if not result.ok:
        return {}
    return {
        "token_cpu_us": spent.candidate_ns / 1e3 / result.ok,
        "tokens_per_cpu_s": result.ok / (spent.candidate_ns / 1e9),
        "tokens_per_s": result.ok / result.seconds,
    }


def cost_figures(key: str, result: LoadResult, spent: Spent) -> Figures:
    """The one figure of a load that is run for its cost per request alone."""
    return {key: spent.candidate_ns / 1e3 / result.ok} if result.ok else {}


def rate_figures(result: LoadResult) -> Figures:
    """Figures at a fixed rate."""
    if result.latency_us is None:
        return {}
    return {"latency_p50_us": result.latency_us["p50"], "latency_p99_us": result.latency_us["p99"]}


def paced_figures(result: LoadResult, spent: Spent) -> Figures:
    """Figures of streams whose events come one by one."""
    if result.chunk_us is None:
        return {}
    return {
        "chunk_cpu_us": spent.candidate_ns / 1e3 / result.chunks,
        "chunk_delay_p50_us": result.chunk_us["p50"],
        "chunk_delay_p99_us": result.chunk_us["p99"],
    }


def blast_figures(result: LoadResult, spent: Spent) -> Figures:
    """Figures of streams whose events come as fast as the candidate takes them."""
    return {"blast_cpu_us": spent.candidate_ns / 1e3 / result.chunks} if result.chunks else {}

"""The interleaved rounds: every candidate is visited in every round, in an order that moves on."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import metrics
from bench.candidates import CANDIDATES, LAPS, STRAIGHT, Part
from bench.cpu import TreeTime, read_core, read_tree, spent_ns
from bench.errors import BenchError
from bench.load import Load, LoadResult, render_request
from bench.metrics import Figures, Spent
from bench.plan import Plan, Stream
from bench.server import Server

SETTLE_S: Final = 0.5
"""What is written after the last answer (audit rows go out each 200 ms) is part of the price: the reading waits."""


@dataclass(frozen=True, slots=True)
class Requests:
    """The files that hold the requests, the same for all who take the same token."""

    unary: Path
    paced: Path
    blast: Path
    large: Path


@dataclass(frozen=True, slots=True)
class Target:
    """A candidate that stands: whose cost is read, and where the load goes.

    `port` and `fresh_port` differ from the server's own where something stands before it (TLS). What `beside` costs
    counts too: a whole path is more than one program.
    """

    server: Server
    port: int
    fresh_port: int
    requests: Requests
    beside: tuple[Server, ...] = ()


@dataclass(frozen=True, slots=True)
class Visit:
    """What one candidate showed in one round; `faults` says what makes its figures worthless."""

    candidate: str
    round: int
    figures: Figures
    faults: tuple[str, ...]


def write_requests(folder: Path, token: str, plan: Plan) -> Requests:
    """Write the request files into a folder, which is made."""
    folder.mkdir(exist_ok=True)
    requests = Requests(*(folder / f"{name}.http" for name in ("unary", "paced", "blast", "large")))
    requests.unary.write_bytes(render_request(token))
    requests.paced.write_bytes(render_request(token, plan.paced))
    requests.blast.write_bytes(render_request(token, plan.blast))
    requests.large.write_bytes(render_request(token, more_chars=plan.large_chars))
    return requests


def orders(names: Sequence[str], rounds: int) -> list[list[str]]:
    """The order of the visits in each round: each candidate comes first in turn, so that none is always last."""
    return [[*names[i % len(names) :], *names[: i % len(names)]] for i in range(rounds)]


def chunk_fault(result: LoadResult, stream: Stream) -> str | None:
    """Why a run of streams does not count, or None: every stream was whole and every event arrived."""
    if result.chunks == stream.expected:
        return None
    return f"of {stream.expected} streamed chunks {result.chunks} arrived"


Gained = tuple[Figures, tuple[str | None, ...]]


class Visitor:
    """Measures candidates on their core, one visit at a time."""

    def __init__(self, load: Load, plan: Plan, mock: Server, core: int) -> None:
        self._load = load
        self._plan = plan
        self._mock = mock
        self._core = core
        self._parts: dict[Part, Callable[[str, Target], Gained]] = {
            "rate": self._rate,
            "paced": self._paced,
            "blast": self._blast,
            "large": self._large,
            "fresh": self._fresh,
            "steady": self._steady,
        }

    def go_round(self, order: Sequence[str], targets: Mapping[str, Target], number: int) -> Iterator[Visit]:
        """Warm all candidates up, run their closed loops, and then visit each for the other figures."""
        faults = {name: self._warm_up(name, targets[name]) for name in order}
        laps = self._run_laps(order, targets)
        for name in order:
            yield self._visit(name, targets[name], number, [("warm-up", ({}, (faults[name],))), *laps[name]])

    def _warm_up(self, name: str, target: Target) -> str | None:
        return self._load.closed(target.port, target.requests.unary, self._width(name), self._plan.warm_s).fault()

    def _width(self, name: str) -> int:
        """How many connections ask at once."""
        return self._plan.token_connections if "tokens" in CANDIDATES[name] else self._plan.closed_connections

    def _run_laps(self, order: Sequence[str], targets: Mapping[str, Target]) -> dict[str, list[tuple[str, Gained]]]:
        """The closed loops, lap by lap: what slows the machine down for some seconds slows all down alike."""
        names = [name for name in order if not LAPS.isdisjoint(CANDIDATES[name])]
        laps: dict[str, list[tuple[LoadResult, Spent]]] = {name: [] for name in names}
        for _ in range(self._plan.closed_laps):
            for name in names:
                laps[name].append(self._closed(name, targets[name]))
        return {name: [("laps", _sum_up(name, laps[name]))] if name in laps else [] for name in order}

    def _visit(self, name: str, target: Target, number: int, known: Sequence[tuple[str, Gained]]) -> Visit:
        parts = [(part, self._parts[part](name, target)) for part in CANDIDATES[name] if part not in LAPS]
        figures: dict[str, float] = {}
        faults: list[str] = []
        for part, (gained, found) in [*known, *parts]:
            figures.update(gained)
            faults.extend(f"{name}, round {number}, {part}: {fault}" for fault in found if fault)
        return Visit(name, number, figures, tuple(faults))

    def _closed(self, name: str, target: Target) -> tuple[LoadResult, Spent]:
        return self._metered(
            target,
            lambda: self._load.closed(target.port, target.requests.unary, self._width(name), self._plan.closed_s),
        )

    def _rate(self, _name: str, target: Target) -> Gained:
        plan = self._plan
        result = self._load.rate(target.port, target.requests.unary, plan.rate_rps, plan.rate_s, plan.rate_connections)
        return metrics.rate_figures(result), (result.fault(),)

    def _paced(self, _name: str, target: Target) -> Gained:
        asked = self._plan.paced
        result, spent = self._metered(target, lambda: self._load.stream(target.port, target.requests.paced, asked))
        return metrics.paced_figures(result, spent), (result.fault(), chunk_fault(result, asked))

    def _blast(self, _name: str, target: Target) -> Gained:
        asked = self._plan.blast
        result, spent = self._metered(target, lambda: self._load.stream(target.port, target.requests.blast, asked))
        return metrics.blast_figures(result, spent), (result.fault(), chunk_fault(result, asked))

    def _large(self, _name: str, target: Target) -> Gained:
        plan = self._plan
        result, spent = self._metered(
            target,
            lambda: self._load.closed(target.port, target.requests.large, plan.large_connections, plan.large_s),
        )
        return metrics.cost_figures("large_cpu_us", result, spent), (result.fault(),)

    def _fresh(self, _name: str, target: Target) -> Gained:
        plan = self._plan
        result, spent = self._metered(
            target,
            lambda: self._load.closed(target.fresh_port, target.requests.unary, plan.fresh_connections, plan.fresh_s),
        )
        return metrics.cost_figures("fresh_cpu_us", result, spent), (result.fault(),)

    def _steady(self, _name: str, target: Target) -> Gained:
        plan = self._plan
        result, spent = self._metered(
            target,
            lambda: self._load.rate(
                target.port, target.requests.unary, plan.steady_rps, plan.steady_s, plan.steady_connections
            ),
        )
        return metrics.cost_figures("steady_cpu_us", result, spent), (result.fault(),)

    def _metered(self, target: Target, run: Callable[[], LoadResult]) -> tuple[LoadResult, Spent]:
        """Run a load; with it, what was spent."""
        servers = (target.server, *target.beside)
        began = time.monotonic_ns()
        core, own, mock = read_core(self._core), [read_tree(one.pid) for one in servers], read_tree(self._mock.pid)
        result = run()
        mock_ns = spent_ns(mock, read_tree(self._mock.pid))
        time.sleep(SETTLE_S)
        own_ns = sum(_spent_by(server, before) for server, before in zip(servers, own, strict=True))
        return result, Spent(own_ns, mock_ns, read_core(self._core) - core, time.monotonic_ns() - began)


def _spent_by(server: Server, before: TreeTime) -> int:
    try:
        return spent_ns(before, read_tree(server.pid))
    except BenchError as error:
        raise BenchError(f"{server.name}: {error}; its last words:\n{server.last_words()}") from error


def _sum_up(name: str, laps: Sequence[tuple[LoadResult, Spent]]) -> Gained:
    """The figures of all laps together."""
    result = LoadResult.sum_of([result for result, _ in laps])
    spent = Spent.sum_of([spent for _, spent in laps])
    gained = metrics.straight_figures if name == STRAIGHT else metrics.closed_figures
    if "tokens" in CANDIDATES[name]:
        gained = metrics.token_figures
    return gained(result, spent), (result.fault(),)

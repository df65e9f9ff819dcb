"""The interleaved rounds: every candidate is visited in every round, in an order that moves on."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import metrics
from bench.cpu import read_core, read_tree, spent_ns
from bench.errors import BenchError
from bench.load import Load, LoadResult, render_request
from bench.metrics import Figures, Spent
from bench.plan import Plan, Stream
from bench.server import Server

STRAIGHT: Final = "straight"
SETTLE_S: Final = 0.5
"""What is written after the last answer (audit rows go out each 200 ms) is part of the price: the reading waits."""


@dataclass(frozen=True, slots=True)
class Requests:
    """The files that hold the requests, the same bytes for every candidate."""

    unary: Path
    paced: Path
    blast: Path


@dataclass(frozen=True, slots=True)
class Visit:
    """What one candidate showed in one round; `faults` says what makes its figures worthless."""

    candidate: str
    round: int
    figures: Figures
    faults: tuple[str, ...]


def write_requests(folder: Path, token: str, plan: Plan) -> Requests:
    """Write the three request files."""
    requests = Requests(folder / "unary.http", folder / "paced.http", folder / "blast.http")
    requests.unary.write_bytes(render_request(token, None))
    requests.paced.write_bytes(render_request(token, plan.paced))
    requests.blast.write_bytes(render_request(token, plan.blast))
    return requests


def orders(names: Sequence[str], rounds: int) -> list[list[str]]:
    """The order of the visits in each round: each candidate comes first in turn, so that none is always last."""
    return [[*names[i % len(names) :], *names[: i % len(names)]] for i in range(rounds)]


def chunk_fault(result: LoadResult, stream: Stream) -> str | None:
    """Why a run of streams does not count, or None: every stream was whole and every event arrived."""
    if result.chunks == stream.expected:
        return None
    return f"of {stream.expected} streamed chunks {result.chunks} arrived"


class Visitor:
    """Measures candidates on their core, one visit at a time."""

    def __init__(self, load: Load, plan: Plan, requests: Requests, mock: Server, core: int) -> None:
        self._load = load
        self._plan = plan
        self._requests = requests
        self._mock = mock
        self._core = core

    def visit(self, name: str, server: Server, number: int) -> Visit:
        """Warm the candidate up and take all its figures once."""
        figures: dict[str, float] = {}
        faults: list[str] = []

        def keep(part: str, gained: Figures, *found: str | None) -> None:
            figures.update(gained)
            faults.extend(f"{name}, round {number}, {part}: {fault}" for fault in found if fault)

        plan, load, unary = self._plan, self._load, self._requests.unary
        warm = load.closed(server.port, unary, plan.closed_connections, plan.warm_s)
        keep("warm-up", {}, warm.fault())

        closed, spent = self._metered(
            server, lambda: load.closed(server.port, unary, plan.closed_connections, plan.closed_s)
        )
        gained = metrics.straight_figures if name == STRAIGHT else metrics.closed_figures
        keep("closed loop", gained(closed, spent), closed.fault())

        rate = load.rate(server.port, unary, plan.rate_rps, plan.rate_s, plan.rate_connections)
        keep("fixed rate", metrics.rate_figures(rate), rate.fault())
        if name == STRAIGHT:
            return Visit(name, number, figures, tuple(faults))

        paced, spent = self._metered(server, lambda: load.stream(server.port, self._requests.paced, plan.paced))
        keep("paced", metrics.paced_figures(paced, spent), paced.fault(), chunk_fault(paced, plan.paced))

        blast, spent = self._metered(server, lambda: load.stream(server.port, self._requests.blast, plan.blast))
        keep("blast", metrics.blast_figures(blast, spent), blast.fault(), chunk_fault(blast, plan.blast))
        return Visit(name, number, figures, tuple(faults))

    def _metered(self, server: Server, run: Callable[[], LoadResult]) -> tuple[LoadResult, Spent]:
        """Run a load; with it, what was spent."""
        began = time.monotonic_ns()
        core, own, mock = read_core(self._core), read_tree(server.pid), read_tree(self._mock.pid)
        result = run()
        mock_ns = spent_ns(mock, read_tree(self._mock.pid))
        time.sleep(SETTLE_S)
        try:
            own_ns = spent_ns(own, read_tree(server.pid))
        except BenchError as error:
            raise BenchError(f"{server.name}: {error}; its last words:\n{server.last_words()}") from error
        return result, Spent(own_ns, mock_ns, read_core(self._core) - core, time.monotonic_ns() - began)

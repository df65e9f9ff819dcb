"""The interleaved rounds: every candidate is visited in every round, in an order that moves on."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import metrics
from bench.cpu import read_tree, spent_ns
from bench.load import Load, LoadResult, render_request
from bench.metrics import Figures
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
    """Measures candidates, one visit at a time."""

    def __init__(self, load: Load, plan: Plan, requests: Requests, mock: Server) -> None:
        self._load = load
        self._plan = plan
        self._requests = requests
        self._mock = mock

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

        closed, own_ns, mock_ns = self._metered(
            server, lambda: load.closed(server.port, unary, plan.closed_connections, plan.closed_s)
        )
        candidate_ns = None if name == STRAIGHT else own_ns
        keep("closed loop", metrics.closed_figures(closed, candidate_ns, mock_ns), closed.fault())

        rate = load.rate(server.port, unary, plan.rate_rps, plan.rate_s, plan.rate_connections)
        keep("fixed rate", metrics.rate_figures(rate), rate.fault())
        if name == STRAIGHT:
            return Visit(name, number, figures, tuple(faults))

        paced, own_ns, _ = self._metered(server, lambda: load.stream(server.port, self._requests.paced, plan.paced))
        keep("paced", metrics.paced_figures(paced, own_ns), paced.fault(), chunk_fault(paced, plan.paced))

        blast, own_ns, _ = self._metered(server, lambda: load.stream(server.port, self._requests.blast, plan.blast))
        keep("blast", metrics.blast_figures(blast, own_ns), blast.fault(), chunk_fault(blast, plan.blast))
        return Visit(name, number, figures, tuple(faults))

    def _metered(self, server: Server, run: Callable[[], LoadResult]) -> tuple[LoadResult, int, int]:
        """Run a load; with it, the nanoseconds that the candidate and the mock upstream spent."""
        before, mock_before = read_tree(server.pid), read_tree(self._mock.pid)
        result = run()
        mock_after = read_tree(self._mock.pid)
        time.sleep(SETTLE_S)
        return result, spent_ns(before, read_tree(server.pid)), spent_ns(mock_before, mock_after)

"""The command `python -m bench`: start the candidates, go through the rounds, report, judge."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench import compiler, cpu, machine, report, summary
from bench.errors import BenchError
from bench.gates import judge
from bench.jotgate import audit_fault, create_token, find_jotgate, start_jotgate, write_configuration
from bench.load import Load
from bench.mock import start_mock
from bench.nginx import find_nginx, nginx_version, start_nginx
from bench.plan import FULL, QUICK, Plan
from bench.report import Report
from bench.rounds import STRAIGHT, Visit, Visitor, orders, write_requests
from bench.server import Server, running
from bench.starting import Starts, measure_starts

CANDIDATES: Final = (STRAIGHT, "nginx", "jotgate")
RESULTS: Final = Path(__file__).parent / "results"
PLACEHOLDER_TOKEN: Final = "x" * 600  # about as long as a real one, for runs without jotgate


class Run:
    """One run: what stands while it lasts."""

    def __init__(self, plan: Plan, names: Sequence[str], folder: Path, stack: ExitStack) -> None:
        self._plan = plan
        self._names = names
        self._folder = folder
        self._stack = stack
        self._load_core, self._candidate_core = cpu.two_cores()
        programs = compiler.compile_all()
        self._load = Load(programs.loadgen, self._load_core)
        self._machine = self._describe()
        self._mock = self._hold(start_mock(programs.mock_upstream, folder, self._load_core))
        self._configuration = write_configuration(folder, self._mock.port)
        self._installation = folder / "measured"

    def measure(self) -> Report:
        """Everything from the first start to the last line of the report."""
        taken_at = datetime.now(UTC).isoformat(timespec="seconds")
        starts = self._starts()
        servers = self._start_candidates()
        visits = summary.with_added(self._visits(servers))
        faults = [fault for visit in visits for fault in visit.faults]
        accounted, unaccounted = self._account(servers)
        ratios = summary.ratios(visits, "jotgate", "nginx")
        return Report(
            taken_at=taken_at,
            plan=self._plan,
            machine=self._machine,
            visits=visits,
            medians=summary.medians(visits),
            ratios=ratios,
            starts=starts,
            verdicts=judge(ratios, starts),
            accounted=accounted,
            faults=faults + unaccounted,
        )

    def _hold(self, server: Server) -> Server:
        return self._stack.enter_context(running(server))

    def _describe(self) -> dict[str, str]:
        nginx = nginx_version(find_nginx()) if "nginx" in self._names else None
        if "jotgate" in self._names:
            find_jotgate()
        return machine.describe(self._load_core, self._candidate_core, nginx)

    def _starts(self) -> Starts | None:
        if "jotgate" not in self._names:
            return None
        progress("starting and stopping jotgate")
        plan = self._plan
        return measure_starts(self._folder, self._configuration, plan.start_samples, plan.help_samples)

    def _start_candidates(self) -> dict[str, Server]:
        starters = {
            STRAIGHT: lambda: self._mock,
            "nginx": lambda: self._hold(start_nginx(self._folder, self._mock.port, self._candidate_core)),
            "jotgate": lambda: self._hold(start_jotgate(self._installation, self._configuration, self._candidate_core)),
        }
        return {name: starters[name]() for name in self._names}

    def _visits(self, servers: dict[str, Server]) -> list[Visit]:
        token = create_token(self._installation) if "jotgate" in servers else PLACEHOLDER_TOKEN
        requests = write_requests(self._folder, token, self._plan)
        visitor = Visitor(self._load, self._plan, requests, self._mock, self._candidate_core)
        visits = []
        for number, names in enumerate(orders(self._names, self._plan.rounds), start=1):
            for name in names:
                visits.append(visitor.visit(name, servers[name], number))
                progress(f"round {number} of {self._plan.rounds}: {name}")
        return visits

    def _account(self, servers: dict[str, Server]) -> tuple[str, list[str]]:
        """Stop jotgate and compare its audit log with the requests; with what is wrong."""
        if "jotgate" not in servers:
            return "", []
        progress("stopping jotgate and reading its audit log")
        servers["jotgate"].stop()
        sent = self._load.sent_to(servers["jotgate"].port)
        fault = audit_fault(self._installation, sent)
        if fault:
            return "", [fault]
        return f"The audit log of jotgate verifies and has a row for each of {sent:,} requests.", []


def progress(text: str) -> None:
    """Tell a waiting person; stdout is for the report."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def candidates(text: str) -> list[str]:
    """Read the list of --only, in the order of the report."""
    names = {name.strip() for name in text.split(",")}
    if unknown := sorted(names - set(CANDIDATES)):
        raise argparse.ArgumentTypeError(f"'{unknown[0]}' is none of {', '.join(CANDIDATES)}")
    return [name for name in CANDIDATES if name in names]


def write_results(found: Report, *, whole: bool) -> None:
    """Keep the report beside this package; one that is quick or partial never replaces a whole one."""
    RESULTS.mkdir(exist_ok=True)
    name = "latest" if whole else "quick"
    (RESULTS / f"{name}.json").write_text(report.to_json(found))
    (RESULTS / f"{name}.md").write_text(report.to_markdown(found))
    print(report.to_markdown(found))
    progress(f"kept as {RESULTS / name}.json and .md")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench. 0: all gates hold; 1: a gate or an answer is broken; 2: it could not measure."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure jotgate beside a bare nginx.")
    parser.add_argument("--quick", action="store_true", help="short rounds, for use while developing")
    parser.add_argument(
        "--only",
        type=candidates,
        default=list(CANDIDATES),
        metavar="NAMES",
        help=f"some of {', '.join(CANDIDATES)}, with commas between",
    )
    options = parser.parse_args(arguments)
    plan = QUICK if options.quick else FULL
    try:
        with TemporaryDirectory(prefix="jotgate-bench-") as folder, ExitStack() as stack:
            found = Run(plan, options.only, Path(folder), stack).measure()
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    write_results(found, whole=plan is FULL and options.only == list(CANDIDATES))
    return 0 if found.good else 1


if __name__ == "__main__":
    sys.exit(main())

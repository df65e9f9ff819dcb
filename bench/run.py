"""One run of the bench: starts what was asked for, goes through the rounds, and gathers the report."""

import sys
from collections import ChainMap
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from bench import candidates as names
from bench import compiler, cpu, machine, summary
from bench.admission import Admissions, measure_admission
from bench.candidates import TABLES
from bench.deciding import (
    Deciding,
    asked_over_grpc,
    asked_straight,
    behind_envoy,
    behind_nginx,
    start_deciding,
    start_empty,
)
from bench.envoy import envoy_version, find_envoy, start_envoy
from bench.gates import judge
from bench.issuance import find_provider, start_issuing, start_provider
from bench.jotgate import (
    PLAIN,
    IssuerFacts,
    Shape,
    audit_fault,
    create_token,
    find_jotgate,
    issuer_facts,
    start_jotgate,
    write_configuration,
)
from bench.load import Load
from bench.mcp import McpCost, measure_mcp
from bench.memory import Idle, measure_idle
from bench.metering import Meterings, measure_metering
from bench.mock import start_mock
from bench.nginx import find_nginx, nginx_version, start_nginx
from bench.plan import Plan
from bench.possession import Possession, measure_possession
from bench.reload import Blocks, measure_reloads
from bench.report import Report
from bench.rounds import Requests, Target, Visit, Visitor, orders, write_requests
from bench.server import Server, running
from bench.starting import Starts, measure_starts
from bench.tls import renew, start_entry
from bench.verifier import Verification, measure_verifier
from jotgate.testing.certificates import Authority


class Run:
    """One run: what stands while it lasts."""

    def __init__(self, plan: Plan, wanted: Sequence[str], folder: Path, stack: ExitStack) -> None:
        self._plan = plan
        self._names = wanted
        self._folder = folder
        self._stack = stack
        self._load_core, self._core = cpu.two_cores()
        self._machine = self._describe()
        if names.OIDC_PROVIDER in wanted:
            find_provider()
        programs = compiler.compile_all()
        self._load = Load(programs.loadgen, self._load_core)
        self._mock = self._hold(start_mock(programs.mock_upstream, folder, self._load_core))
        self._configuration = write_configuration(folder, self._mock.port)
        self._authority = Authority(folder)
        self._certificate = renew(self._authority)
        self._installations: dict[str, Path] = {}
        self._token = create_token(folder / names.JOTGATE)
        self._issuer: IssuerFacts = issuer_facts(folder / names.JOTGATE, self._token)
        self._requests = write_requests(folder / "requests", self._token, plan)

    def measure(self) -> Report:
        """Everything from the first start to the last line of the report."""
        taken_at = datetime.now(UTC).isoformat(timespec="seconds")
        verification = self._verification()
        possession = self._possession()
        admissions = self._admissions()
        meterings = self._meterings()
        mcp = self._mcp()
        starts = self._starts()
        idle = self._idle()
        blocks, reload_fault = self._reloads()
        targets = {name: self._starters()[name]() for name in self._names}
        visits = summary.with_added(self._visits(targets))
        accounted, unaccounted = self._account(targets)
        compared = {one for table in TABLES for one in table.comparisons}
        ratios = {one: summary.ratios(visits, one) for one in compared}
        medians = summary.medians(visits)
        deciding = {"decision_cpu_us": medians.get(names.JOTGATE_DECIDING, {}).get("request_cpu_us")}
        parts = (verification, admissions, meterings, mcp, starts, blocks)
        apart = [part.summaries() for part in parts if part is not None]
        return Report(
            taken_at=taken_at,
            plan=self._plan,
            machine=self._machine,
            visits=visits,
            medians=medians,
            ratios=ratios,
            verification=verification,
            possession=possession,
            admissions=admissions,
            meterings=meterings,
            mcp=mcp,
            starts=starts,
            idle=idle,
            blocks=blocks,
            verdicts=judge(ratios, dict(ChainMap(deciding, *apart))),
            accounted=accounted,
            faults=[fault for visit in visits for fault in visit.faults] + reload_fault + unaccounted,
        )

    def _hold(self, server: Server) -> Server:
        return self._stack.enter_context(running(server))

    def _describe(self) -> dict[str, str]:
        versions = {"nginx": nginx_version(find_nginx()), "Envoy": envoy_version(find_envoy())}
        find_jotgate()
        return machine.describe(self._load_core, self._core, versions)

    # Apart from the rounds

    def _verification(self) -> Verification | None:
        if names.JOTGATE not in self._names:
            return None
        progress("verifying tokens")
        plan = self._plan
        return measure_verifier(plan.verify_rounds, plan.verify_cold, plan.verify_warm)

    def _possession(self) -> Possession | None:
        if names.JOTGATE not in self._names:
            return None
        progress("verifying DPoP proofs")
        return measure_possession(self._plan.verify_rounds, self._plan.verify_cold)

    def _admissions(self) -> Admissions | None:
        if names.JOTGATE not in self._names:
            return None
        progress("admitting calls under policies")
        return measure_admission(self._plan.verify_rounds, self._plan.verify_warm)

    def _meterings(self) -> Meterings | None:
        if names.JOTGATE not in self._names:
            return None
        progress("metering calls")
        return measure_metering(self._plan.meter_rounds, self._plan.meter_calls)

    def _mcp(self) -> McpCost | None:
        if names.JOTGATE not in self._names:
            return None
        progress("calling tools and subscribing over MCP")
        plan, cores = self._plan, (self._load_core, self._core)
        return measure_mcp(self._folder / "mcp", cores, plan.mcp_rounds, plan.mcp_calls, plan.idle_streams)

    def _starts(self) -> Starts | None:
        if names.JOTGATE not in self._names:
            return None
        progress("starting and stopping jotgate")
        plan = self._plan
        return measure_starts(self._folder, self._configuration, plan.start_samples, plan.help_samples)

    def _idle(self) -> dict[str, Idle]:
        """Memory of fresh processes, which end at once."""
        folder = self._folder / "idle"
        folder.mkdir()
        starters: dict[str, Callable[[], Server]] = {
            names.NGINX: lambda: start_nginx(folder / "nginx", self._mock.port, self._core),
            names.ENVOY: lambda: start_envoy(folder, self._mock.port, self._issuer, self._core, cached=True),
            names.JOTGATE: lambda: start_jotgate(folder / "jotgate", self._configuration, self._core),
        }
        found = {}
        for name in (name for name in starters if name in self._names):
            progress(f"memory of {name}")
            token, requests = self._token, self._requests
            if name == names.JOTGATE:
                token = create_token(folder / "jotgate")
                requests = write_requests(folder / "requests", token, self._plan)
            with running(starters[name]()) as server:
                found[name] = measure_idle(server, self._load, requests, token, self._plan.idle_streams)
        return found

    def _reloads(self) -> tuple[Blocks | None, list[str]]:
        if names.JOTGATE not in self._names:
            return None, []
        progress("reloading jotgate")
        blocks, fault = measure_reloads(self._folder / "reload", self._mock.port, self._load, self._plan)
        return blocks, [f"reloads: {fault}"] if fault else []

    # The rounds

    def _starters(self) -> dict[str, Callable[[], Target]]:
        folder, port, core = self._folder, self._mock.port, self._core
        tls = self._certificate
        over_tls = Shape(options=("--tls-cert", tls.cert, "--tls-key", tls.key))
        return {
            names.STRAIGHT: lambda: self._plain(self._mock),
            names.NGINX: lambda: self._plain(self._hold(start_nginx(folder / "nginx", port, core))),
            names.ENVOY: lambda: self._plain(self._hold(start_envoy(folder, port, self._issuer, core, cached=True))),
            names.ENVOY_NOCACHE: lambda: self._plain(
                self._hold(start_envoy(folder, port, self._issuer, core, cached=False))
            ),
            names.JOTGATE: lambda: self._jotgate(names.JOTGATE, PLAIN),
            names.JOTGATE_TWO: lambda: self._jotgate(names.JOTGATE_TWO, Shape(workers=2)),
            names.NGINX_TLS: lambda: self._behind_entry(
                self._hold(start_nginx(folder / "nginx-tls", port, core, (tls.cert, tls.key))), self._requests
            ),
            names.JOTGATE_TLS: lambda: self._jotgate(names.JOTGATE_TLS, over_tls),
            names.OIDC_PROVIDER: lambda: self._issuing(start_provider(folder / "oidc-provider", core)),
            names.JOTGATE_ISSUING: lambda: self._issuing(
                start_issuing(folder / names.JOTGATE_ISSUING, self._configuration, core, memory=False)
            ),
            names.JOTGATE_ISSUING_MEMORY: lambda: self._issuing(
                start_issuing(folder / names.JOTGATE_ISSUING_MEMORY, self._configuration, core, memory=True)
            ),
            names.JOTGATE_DECIDING: lambda: asked_straight(self._deciding(names.JOTGATE_DECIDING)),
            names.JOTGATE_GRPC: lambda: self._asked_by(
                asked_over_grpc(self._deciding(names.JOTGATE_GRPC), port, self._load_core)
            ),
            names.GRPC_EMPTY: lambda: self._asked_by(
                start_empty(self._deciding(names.GRPC_EMPTY, counted=False), port, core, self._load_core)
            ),
            names.NGINX_ASKING: lambda: self._issuing(behind_nginx(self._deciding(names.NGINX_ASKING), port, core)),
            names.ENVOY_ASKING: lambda: self._issuing(behind_envoy(self._deciding(names.ENVOY_ASKING), port, core)),
        }

    def _deciding(self, name: str, *, counted: bool = True) -> Deciding:
        """A jotgate that decides, whose audit log is compared at the end if its decisions are `counted`."""
        found = start_deciding(self._folder / name, self._core)
        self._hold(found.server)
        if counted:
            self._installations[name] = found.installation
        return found

    def _asked_by(self, found: tuple[Target, Server]) -> Target:
        target, proxy = found
        self._hold(proxy)
        return self._issuing(target)

    def _issuing(self, target: Target) -> Target:
        self._hold(target.server)
        return target

    def _plain(self, server: Server) -> Target:
        return Target(server, server.port, server.port, self._requests)

    def _jotgate(self, name: str, shape: Shape) -> Target:
        installation = self._installations[name] = self._folder / name
        requests = self._requests
        if name != names.JOTGATE:
            requests = write_requests(self._folder / f"requests-{name}", create_token(installation), self._plan)
        server = self._hold(start_jotgate(installation, self._configuration, self._core, shape))
        if "--tls-cert" in shape.options:
            return self._behind_entry(server, requests)
        return Target(server, server.port, server.port, requests)

    def _behind_entry(self, server: Server, requests: Requests) -> Target:
        entry = start_entry(self._folder / f"entry-{server.port}", server, self._authority, self._load_core)
        self._hold(entry.server)
        return Target(server, entry.server.port, entry.fresh_port, requests)

    def _visits(self, targets: dict[str, Target]) -> list[Visit]:
        visitor = Visitor(self._load, self._plan, self._mock, self._core)
        visits = []
        for number, order in enumerate(orders(self._names, self._plan.rounds), start=1):
            for visit in visitor.go_round(order, targets, number):
                visits.append(visit)
                progress(f"round {number} of {self._plan.rounds}: {visit.candidate}")
        return visits

    def _account(self, targets: dict[str, Target]) -> tuple[str, list[str]]:
        """Stop each jotgate and compare its audit log with the requests; with what is wrong."""
        total, faults = 0, []
        for name, installation in self._installations.items():
            progress(f"stopping {name} and reading its audit log")
            target = targets[name]
            for server in (target.server, *target.beside):
                server.stop()
            sent = sum(self._load.sent_to(port) for port in {target.port, target.fresh_port})
            total += sent
            if fault := audit_fault(installation, sent):
                faults.append(f"{name}: {fault}")
        if faults or not total:
            return "", faults
        return f"The audit logs of jotgate verify and have a row for each of {total:,} requests.", []


def progress(text: str) -> None:
    """Tell a waiting person; stdout is for the report."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def in_order(wanted: Iterable[str]) -> list[str]:
    """Candidates in the order of the report."""
    known = set(wanted)
    return [name for name in names.CANDIDATES if name in known]

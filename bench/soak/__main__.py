"""The command `python -m bench.soak`: run the soak and keep what it found."""

import argparse
import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.server import allow_many_files
from bench.soak.campaign import FULL, KILLS, SMALL, Broken, Findings, run
from bench.soak.cut import BOUND_S, TRIALS_FULL, TRIALS_SMALL, percentile, render_cuts, run_cuts, running_pair
from bench.soak.flood import FLOOD_FULL, FLOOD_SMALL, FloodFindings, run_flood
from bench.soak.kong import KONG_FULL, KONG_SMALL, kong_rig, render_kong, run_kong
from bench.soak.outcomes import Outcomes
from bench.soak.quota_endings import CALLS_FULL, CALLS_SMALL, run_endings, running_endings
from bench.soak.quota_report import render_quotas
from bench.soak.quotas import FULL as QUOTAS_FULL
from bench.soak.quotas import PASSES, run_pass, running_quotas
from bench.soak.quotas import SMALL as QUOTAS_SMALL
from bench.soak.refresh import ROUNDS_FULL, ROUNDS_SMALL, RefreshFindings, render_refresh, run_refresh, running_fleet
from bench.soak.revocations import (
    REFUSED_WITHIN_S,
    REVOCATIONS_FULL,
    REVOCATIONS_SMALL,
    RevocationFindings,
    quantile,
    render_revocations,
    run_revocations,
    running_machines,
)
from bench.soak.rig import running_rig
from bench.soak.socket_bounds import (
    SOCKETS_FULL,
    SOCKETS_SMALL,
    SocketSizes,
    render_sockets,
    run_sockets,
    running_sockets,
)
from bench.soak.trust import TRUST_FULL, TRUST_SMALL, TRUST_SMALL_SHARED, TrustFindings, run_trust
from bench.soak.trust_report import render as render_trust
from bench.soak.trust_rig import running_trust
from jotgate.testing.running import Gateway
from tests.peers.oidc_provider import INSTALLED

RESULT: Final = Path(__file__).parents[1] / "results" / "soak.md"
TRUST_RESULT: Final = RESULT.with_name("trust.md")
REFRESH_RESULT: Final = RESULT.with_name("refresh.md")
REVOCATIONS_RESULT: Final = RESULT.with_name("revocations.md")
CUT_RESULT: Final = RESULT.with_name("cut.md")
QUOTAS_RESULT: Final = RESULT.with_name("quotas.md")
SOCKETS_RESULT: Final = RESULT.with_name("sockets.md")
KONG_RESULT: Final = RESULT.with_name("kong.md")
PARTS: Final = ("quotas", "workers", "trust", "flood", "refresh", "revocations", "cut", "sockets", "kong")
STORES: Final = {"SQLite": TRUST_SMALL, "PostgreSQL": TRUST_SMALL_SHARED}
HEADING: Final = """\
# {calm:,} good requests through a gateway that is disturbed: none failed

Run of {when}, {seconds:.0f} s; `make soak` repeats it. `jotgate up --workers 2`{tls} before two upstreams, of which the
first says 503 for 0.4 s and refuses connections for 0.4 s in every 1.8 s. The official SDK retries as it does by
itself; no other client does.

## Disturbed

{disturbed}

{calm_table}

## With {kills} workers killed by SIGKILL

{good:,} requests were answered. {bad} were not: each of those was in flight in a killed worker, and saw its connection
closed. The killed workers held {held} connections. {waited} connections that waited in the queue of a killed worker
were served by its successor, and none was lost.

{violent_table}"""


def render(found: Findings, *, tls: bool) -> str:
    """The findings as a page."""
    calm = sum(found.calm.counts.values())
    held = sum(len(kill.ports) for kill in found.kills)
    disturbed = [f"- {count} {name}" for name, count in found.done.items() if name != KILLS]
    page = HEADING.format(
        calm=calm,
        when=f"{datetime.now(UTC):%Y-%m-%d}",
        seconds=found.seconds,
        tls=" with TLS" if tls else "",
        disturbed="\n".join(disturbed),
        calm_table=_table(found.calm),
        kills=len(found.kills),
        good=sum(found.violent.counts.values()),
        bad=len(found.violent.failures),
        held=held,
        waited=found.waited,
        violent_table=_table(found.violent),
    )
    return page + "\n"


def _table(outcomes: Outcomes) -> str:
    rows = [
        f"| {client} | {count:,} | {outcomes.slowest_s(client) * 1e3:,.0f} ms |"
        for client, count in sorted(outcomes.counts.items())
    ]
    return "\n".join(["| client | good answers | slowest |", "|---|---|---|", *rows])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it. 0: nothing failed that must not; 1: something did."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description="Disturb a running jotgate under load.")
    parser.add_argument("--quick", action="store_true", help="a few of each; the result is not kept")
    parser.add_argument("--no-tls", action="store_true", help="over plain HTTP; the result is not kept")
    parser.add_argument("--only", choices=PARTS, help="one part; the result is not kept")
    options = parser.parse_args(arguments)
    allow_many_files()
    parts = [options.only] if options.only else list(PARTS)
    kept = not (options.quick or options.no_tls or options.only)
    try:
        if "quotas" in parts:
            _keep(QUOTAS_RESULT, _quotas(quick=options.quick), kept)
        if "workers" in parts:
            _keep(RESULT, _workers(quick=options.quick, tls=not options.no_tls), kept)
        if {"trust", "flood"} & set(parts):
            _keep(TRUST_RESULT, _trust(parts, quick=options.quick), kept)
        if "refresh" in parts:
            found = _refresh(ROUNDS_SMALL if options.quick else ROUNDS_FULL)
            _keep(REFRESH_RESULT, render_refresh(found, f"{datetime.now(UTC):%Y-%m-%d}"), kept)
        if "revocations" in parts:
            revoked = _revocations(REVOCATIONS_SMALL if options.quick else REVOCATIONS_FULL)
            _keep(REVOCATIONS_RESULT, render_revocations(revoked, f"{datetime.now(UTC):%Y-%m-%d}"), kept)
        if "cut" in parts:
            _keep(CUT_RESULT, _cut(TRIALS_SMALL if options.quick else TRIALS_FULL), kept)
        if "sockets" in parts:
            _keep(SOCKETS_RESULT, _sockets(SOCKETS_SMALL if options.quick else SOCKETS_FULL), kept)
        if "kong" in parts:
            _keep(KONG_RESULT, _kong(quick=options.quick), kept)
    except Broken as broken:
        print(f"soak: {broken}", file=sys.stderr)
        return 1
    return 0


def _keep(file: Path, page: str, kept: bool) -> None:
    print(page)
    if kept:
        file.parent.mkdir(exist_ok=True)
        file.write_text(page)


def _quotas(*, quick: bool) -> str:
    sizes = QUOTAS_SMALL if quick else QUOTAS_FULL
    with running_quotas(sizes) as rig:
        passes = [run_pass(rig, sizes, name) for name in PASSES]
        said = "".join(machine.errors[-3_000:] for machine in rig.machines)
    with running_endings() as rig:
        ended = run_endings(rig, CALLS_SMALL if quick else CALLS_FULL)
        said += rig.machines[0].errors[-3_000:]
    page = render_quotas(passes, ended, sizes, f"{datetime.now(UTC):%Y-%m-%d}")
    faults = [f"{one.name}: {fault}" for one in passes for fault in one.faults] + ended.faults
    if faults:
        raise Broken(f"{page}{len(faults)} faults: {'; '.join(faults[:10])}\nWhat the machines said:\n{said}")
    return page


def _workers(*, quick: bool, tls: bool) -> str:
    with running_rig(tls=tls) as rig, _with_what_it_said(rig.gateway):
        return render(run(rig, SMALL if quick else FULL), tls=tls)


def _trust(parts: Sequence[str], *, quick: bool) -> str:
    if not INSTALLED.exists():
        raise Broken("NOT COVERED: npm could not install `oidc-provider`, which `make setup` does")
    found: dict[str, TrustFindings] = {}
    flood: FloodFindings | None = None
    for store, small in STORES.items() if "trust" in parts else ():
        with running_trust(postgresql=store == "PostgreSQL") as trusting, _with_what_it_said(trusting.gateway):
            found[store] = run_trust(trusting, small if quick else TRUST_FULL)
    if "flood" in parts:
        with running_trust(postgresql=False, refresh="10m") as trusting, _with_what_it_said(trusting.gateway):
            flood = run_flood(trusting, FLOOD_SMALL if quick else FLOOD_FULL)
    return render_trust(found, flood)


def _refresh(rounds: int) -> RefreshFindings:
    with running_fleet() as fleet:
        found = asyncio.run(run_refresh(fleet, rounds))
        said = "".join(machine.errors[-3_000:] for machine in fleet.machines)
    if found.faults:
        raise Broken(f"{len(found.faults)} faults: {'; '.join(found.faults[:5])}\nWhat the machines said:\n{said}")
    return found


def _cut(trials: int) -> str:
    with running_pair() as pair:
        found = asyncio.run(run_cuts(pair, trials))
        said = "".join(machine.errors[-3_000:] for machine in pair.machines)
    page = render_cuts(found, f"{datetime.now(UTC):%Y-%m-%d}")
    if found.faults or percentile(found.after_s, 0.999) >= BOUND_S:
        raise Broken(f"{page}{'; '.join(found.faults[:5])}\nWhat the machines said:\n{said}")
    return page


def _sockets(sizes: SocketSizes) -> str:
    with running_sockets() as rig:
        found = asyncio.run(run_sockets(rig, sizes))
        said = rig.gateway.errors[-3_000:]
    page = render_sockets(found, sizes, f"{datetime.now(UTC):%Y-%m-%d}")
    if not found.holds:
        raise Broken(f"{page}{'; '.join(found.faults[:5])}\nWhat the gateway said:\n{said}")
    return page


def _kong(*, quick: bool) -> str:
    sizes = KONG_SMALL if quick else KONG_FULL
    with kong_rig(sizes) as rig, _with_what_it_said(rig.gateway):
        found = run_kong(rig, sizes)
        page = render_kong(found, sizes, f"{datetime.now(UTC):%Y-%m-%d}")
        if found.faults:
            raise Broken(f"{page}{'; '.join(found.faults[:5])}")
    return page


def _revocations(trials: int) -> RevocationFindings:
    with running_machines() as machines:
        found = asyncio.run(run_revocations(machines, trials))
    if found.faults:
        raise Broken(f"{len(found.faults)} faults: {'; '.join(found.faults[:5])}")
    slowest_s = max(quantile(found.here, 0.999), quantile(found.there, 0.999))
    if slowest_s >= REFUSED_WITHIN_S:
        raise Broken(
            f"a revoked token was refused after {slowest_s:.3f} s at p99.9, where {REFUSED_WITHIN_S:g} s is the bound"
        )
    return found


@contextmanager
def _with_what_it_said(gateway: Gateway) -> Iterator[None]:
    try:
        yield
    except Broken as broken:
        raise Broken(f"{broken}\nWhat jotgate said:\n{gateway.errors[-3_000:]}") from broken


if __name__ == "__main__":
    sys.exit(main())

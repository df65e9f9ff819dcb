"""The command `python -m bench.soak`: run the soak and keep what it found."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.server import allow_many_files
from bench.soak.campaign import FULL, KILLS, SMALL, Broken, Findings, run
from bench.soak.outcomes import Outcomes
from bench.soak.rig import running_rig

RESULT: Final = Path(__file__).parents[1] / "results" / "soak.md"
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
    options = parser.parse_args(arguments)
    allow_many_files()
    with running_rig(tls=not options.no_tls) as rig:
        try:
            found = run(rig, SMALL if options.quick else FULL)
        except Broken as broken:
            print(f"soak: {broken}\nWhat jotgate said:\n{rig.gateway.errors[-3_000:]}", file=sys.stderr)
            return 1
    page = render(found, tls=not options.no_tls)
    print(page)
    if not options.quick and not options.no_tls:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())

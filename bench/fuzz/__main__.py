"""The command `python -m bench.fuzz`: run the campaign and keep what it found."""

import argparse
import secrets
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.fuzz.campaign import FULL, SETTINGS, SMALL, Campaign, Findings
from bench.fuzz.exchange import Harm
from bench.fuzz.parsers import Outcome, render_parsers, run_parsers
from bench.server import allow_many_files
from jotgate.testing.running import running_gateway

RESULT: Final = Path(__file__).parents[1] / "results" / "fuzz.md"
_SHOWN: Final = 12
_INPUTS: Final = 20_000  # for each parser, where nothing guides
_SECONDS: Final = 20  # for each parser, where something does


def render(found: Findings, parsers: list[Outcome]) -> str:
    """The findings as a page."""
    total = sum(found.sent.values())
    kinds = [f"| {kind} | {count:,} | {_statuses(found, kind)} |" for kind, count in found.sent.items()]
    pss = found.pss_mib
    shown = ", ".join(f"{one:.1f}" for one in pss[:: max(1, len(pss) // 16)])
    lines = [
        f"# {total:,} malformed requests and tokens: nothing harmful",
        "",
        f"Run of {datetime.now(UTC):%Y-%m-%d}, seed {found.seed}, {found.seconds:.0f} s; `make fuzz` repeats it.",
        "",
        "Each was followed by a good request to the same worker, and each of those was answered with 200. No answer",
        "was 5xx, no connection stayed open, no process ended, nothing was said on stderr, no wrong token passed.",
        "",
        "| kind | sent | answers |",
        "|---|---|---|",
        *kinds,
        "",
        f"- The slowest exchange took {found.slowest_s * 1e3:.0f} ms.",
        f"- The worker's memory in MiB (PSS) in the course of it: {shown}.",
        f"  Its last quarter lies {found.grown_mib:+.1f} MiB beside its second.",
        "",
        "`closed` means that the connection was closed without an answer, as for bytes that never became a request.",
        "200 stands among the answers because some mutations leave a request or token good.",
        "",
        *render_parsers(parsers),
    ]
    return "\n".join(lines) + "\n"


def _statuses(found: Findings, kind: str) -> str:
    common = found.statuses[kind].most_common()
    shown = "; ".join(f"{status}: {count:,}" for status, count in common[:_SHOWN])
    return shown + (f", {len(common) - _SHOWN} other sequences" if len(common) > _SHOWN else "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it. 0: nothing harmful; 1: harm was done."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.fuzz", description="Attack the parsers and a running jotgate."
    )
    parser.add_argument("--seed", type=int, default=None, help="repeat a run")
    parser.add_argument("--quick", action="store_true", help="a few hundred inputs; the result is not kept")
    options = parser.parse_args(arguments)
    chosen = secrets.randbelow(1 << 32) if options.seed is None else options.seed
    allow_many_files()
    print(f"fuzz: seed {chosen}", file=sys.stderr)
    try:
        parsers = run_parsers(
            chosen, inputs=_INPUTS // 100 if options.quick else _INPUTS, seconds=1 if options.quick else _SECONDS
        )
        with running_gateway(SETTINGS) as gateway:
            found = Campaign(gateway, SMALL if options.quick else FULL, chosen).run()
    except Harm as harm:
        print(f"fuzz: with --seed {chosen}: {harm}", file=sys.stderr)
        return 1
    page = render(found, parsers)
    print(page)
    if not options.quick:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The command `python -m bench`: run, report, judge."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench import report
from bench.candidates import CANDIDATES
from bench.errors import BenchError
from bench.plan import FULL, QUICK
from bench.report import Report
from bench.run import Run, in_order, progress
from bench.server import allow_many_files

RESULTS: Final = Path(__file__).parent / "results"


def candidates(text: str) -> list[str]:
    """Read the list of --only, in the order of the report."""
    names = {name.strip() for name in text.split(",")}
    if unknown := sorted(names - CANDIDATES.keys()):
        raise argparse.ArgumentTypeError(f"'{unknown[0]}' is none of {', '.join(CANDIDATES)}")
    return in_order(names)


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
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure jotgate beside nginx and Envoy.")
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
    allow_many_files()
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

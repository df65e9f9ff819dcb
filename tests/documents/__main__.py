"""`make documents`: what the lines of the five documents have become; fails where the ledger is not true."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.documents.checks import NOT_YET, all_faults, not_yet_lines, range_faults, read_list
from tests.documents.history import earlier_lists, growth_faults
from tests.documents.ledger import KINDS, Document, Fault, Placed, claimed, write_ranges
from tests.documents.proofs import run


def table(documents: Mapping[str, Document], placed: list[Placed]) -> str:
    """Entries and lines of each kind for each document, and what is `not yet` by step."""
    rows = [["document", *KINDS, "all"]]
    for number in (*documents, ""):
        held = [one for one in placed if number in {"", one.entry.document}]
        cells = [_cell(documents, [one for one in held if one.entry.kind == kind]) for kind in KINDS]
        rows.append([number or "all", *cells, _cell(documents, held)])
    text = ["entries / lines", *("".join(f"{cell:>13}" for cell in row) for row in rows), ""]
    waiting = [one for one in placed if one.entry.kind == "not yet"]
    for step in sorted({one.entry.step for one in waiting}):
        mine = [one for one in waiting if one.entry.step == step]
        of = " ".join(sorted({one.entry.document for one in mine}))
        text.append(f"not yet, for step {step:>2}: {_cell(documents, mine)}  (of {of})")
    text.append(f"not yet, all told  : {_cell(documents, waiting)}")
    return "\n".join(text)


def _cell(documents: Mapping[str, Document], placed: list[Placed]) -> str:
    lines = sum(len(claimed(one.entry, documents[one.entry.document])) for one in placed)
    return f"{len(placed)} / {lines}"


def shrink(root: Path) -> None:
    """Take out of the list what the ledger no longer has as `not yet`; nothing is ever put in."""
    documents, placed, _ = all_faults(root)
    if any(range_faults(one, documents) for one in placed):
        return  # the check that follows says which
    text = (root / NOT_YET).read_text(encoding="utf-8")
    try:
        named = read_list(text, documents)
    except ValueError:
        return  # the same
    held = not_yet_lines(documents, placed)
    rows: dict[tuple[str, int], set[int]] = {}
    for (number, line), row in named.items():
        if (number, line) in held:
            rows.setdefault((number, row), set()).add(line)
    comments = [line for line in text.splitlines() if line.startswith("#")]
    kept = [f"{number}: {write_ranges(lines, documents[number])}" for (number, _), lines in rows.items()]
    (root / NOT_YET).write_text("\n".join([*comments, *kept]) + "\n", encoding="utf-8")


def check(root: Path) -> int:
    """Print the table and every fault; the exit code is 1 when there is a fault."""
    documents, placed, faults = all_faults(root)
    if faults:
        return _end(faults)
    faults = run(root, placed)
    earlier = earlier_lists(root)
    print(table(documents, placed))
    if earlier is None:
        print(f"{NOT_YET}: git has no history here, so whether the list grew was not checked")
    else:
        print(f"{NOT_YET}: compared with {len(earlier)} committed version(s)")
        faults += growth_faults(documents, (root / NOT_YET).read_text(encoding="utf-8"), earlier)
    return _end(faults)


def _end(faults: list[Fault]) -> int:
    for fault in sorted(faults):
        print(fault, file=sys.stderr)
    if faults:
        print(f"{len(faults)} fault(s); docs/documents.md says how the ledger works", file=sys.stderr)
    return 1 if faults else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.documents", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(), help="the tree to check (default: here)")
    parser.add_argument("--shrink", action="store_true", help=f"first take finished lines out of {NOT_YET}")
    given = parser.parse_args()
    root: Path = given.root.resolve()
    if given.shrink:
        shrink(root)
    return check(root)


if __name__ == "__main__":
    sys.exit(main())

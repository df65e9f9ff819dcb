"""How commands print lists: columns below a head for a person, lines with tabs for a program."""

import sys
import time
from collections.abc import Sequence

from jotgate.cli.records import plain


def print_table(rows: Sequence[Sequence[str]], head: Sequence[str]) -> None:
    """Aligned below a head on a terminal, else a line with tabs for each row and no head."""
    cells = [[plain(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        sys.stdout.write("".join("\t".join(row) + "\n" for row in cells))
        return
    cells = [list(head), *cells]
    widths = [max(len(row[place]) for row in cells) for place in range(len(head))]
    for row in cells:
        sys.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")


def time_text(at_s: int | None) -> str:
    """A time in seconds since the epoch, as RFC 3339 has it; a question mark for one that is not known."""
    return "?" if at_s is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))

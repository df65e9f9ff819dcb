"""Asks whether something that cannot be undone is meant: by `--yes`, or by its name typed on a terminal."""

import argparse
import sys

from jotgate.cli.common import UsageError


def add_yes_option(parser: argparse.ArgumentParser) -> None:
    """Add `--yes`."""
    parser.add_argument("--yes", action="store_true", help="do it; without this, its name is asked for on a terminal")


def confirm(arguments: argparse.Namespace, name: str, impact: str) -> None:
    """Go on if it is meant; `impact` says what it would do.

    Raises:
        UsageError: it is not, or there is nobody to ask.
    """
    if arguments.yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"this cannot be undone: {impact}", hint="Say that you mean it with --yes")
    sys.stderr.write(f"this cannot be undone: {impact}\n  type '{name}' to do it: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != name:
        raise UsageError("what was typed is not the name, and nothing was done", hint="Type it as it stands there")

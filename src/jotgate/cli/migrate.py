"""`jotgate migrate`: brings the schema of the store to the one that this jotgate needs."""

import argparse
import sys
from typing import TYPE_CHECKING

from jotgate.cli.common import (
    EXIT_FAILED,
    EXIT_OK,
    add_config_option,
    add_data_option,
    data_directory,
    say_next,
    sources,
)

if TYPE_CHECKING:
    from jotgate.assembly.migration import Migration


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `jotgate migrate`."""
    parser = commands.add_parser(
        "migrate",
        help="bring the store to this version's schema",
        description="Bring the schema of the store to the one that this jotgate needs: wholly, or not at all. Stop "
        "every jotgate that uses the store and make a backup first. An empty store needs none of this: a start makes "
        "its schema.",
    )
    add_data_option(parser)
    add_config_option(parser)
    parser.add_argument(
        "--check",
        action="store_true",
        help="change nothing; say what would be done. Exit status 0: a start would be fine; 1: it would be refused",
    )
    parser.set_defaults(run=migrate)


def migrate(arguments: argparse.Namespace) -> int:
    """Migrate, or say what that would do."""
    from jotgate.assembly.migration import look, run
    from jotgate.stores.directory import DataDirectory

    directory, chosen = DataDirectory(data_directory(arguments)), sources(arguments)
    if not arguments.check:
        _write(run(directory, chosen), "was done")
        say_next("jotgate up", arguments)
        return EXIT_OK
    found = look(directory, chosen)
    _write(found, "is to be done")
    refused = found.revision is not None and bool(found.missing)
    say_next("jotgate migrate" if refused else "jotgate up", arguments)
    return EXIT_FAILED if refused else EXIT_OK


def _write(found: "Migration", what: str) -> None:
    schema = "empty" if found.revision is None else f"of schema {found.revision}"
    lines = "".join(f"  {one.name}  {one.purpose}\n" for one in found.missing)
    sys.stdout.write(f"{found.place}, {schema}: {'this' if lines else 'nothing'} {what}\n{lines}")
    sys.stdout.flush()

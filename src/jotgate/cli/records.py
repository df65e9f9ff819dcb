"""How commands print audit records: callers choose some of their text, and it must not drive a terminal."""

import argparse
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from jotgate.cli.common import data_directory
from jotgate.errors import CommandError

if TYPE_CHECKING:
    from pathlib import Path

_CONTROLS: Final = {code: f"\\u{code:04x}" for code in (*range(0x20), *range(0x7F, 0xA0))}


def log_directory(arguments: argparse.Namespace) -> "Path":
    """The directory of the audit log.

    Raises:
        CommandError: there is none.
    """
    directory = data_directory(arguments) / "audit"
    if not directory.is_dir():
        raise CommandError(
            f"there is no audit log: '{directory}' is not there",
            hint="Name the installation's directory with --data DIR or JOTGATE_DATA",
        )
    return directory


def print_lines(lines: Iterable[str]) -> bool:
    """Print and flush. False when nobody reads any more, as in `jotgate audit tail | head -1`."""
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more at its end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def record_json(text: bytes) -> str:
    """A record as it stands in the log, for a terminal: escaped, control characters keep their meaning for JSON."""
    return text.decode("utf-8", "replace").translate(_CONTROLS)


def word(value: object) -> str:
    """A value as one word; a text with spaces in quotes."""
    import msgspec

    text = value if isinstance(value, str) else msgspec.json.encode(value).decode("utf-8")
    return plain(text) if text and " " not in text else ascii(text)


def plain(text: str) -> str:
    """The text for a terminal: nothing in it moves the cursor."""
    return text if text.isprintable() else ascii(text)


def show_time(at_us: float) -> str:
    """A time in microseconds since the epoch, as RFC 3339 has it."""
    from datetime import UTC, datetime, timedelta

    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)
    except OverflowError:
        return f"{at_us} microseconds after 1970"
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

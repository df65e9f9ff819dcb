"""What the commands share: where DATA and the configuration are, and how wrong usage is said."""

import argparse
import os
from pathlib import Path
from typing import Final

from jotgate.errors import CommandError, DirectoryRefused

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2


class UsageError(CommandError):
    """The command line is wrong; exit code 2. The message is what the parser found, the hint what to type."""


class ControlRefusal(CommandError):
    """What the running control process answered instead of doing it; `name` is its error code."""

    def __init__(self, name: str, message: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.name = name


def add_data_option(parser: argparse.ArgumentParser) -> None:
    """Add `--data`, which every command takes."""
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="directory of the installation (default: JOTGATE_DATA, else ~/.local/share/jotgate)",
    )


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """Add `--config`."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="configuration (default: JOTGATE_CONFIG, else ./jotgate.toml when it is there)",
    )


def data_directory(arguments: argparse.Namespace) -> Path:
    """DATA, absolute: `--data`, else JOTGATE_DATA, else the default."""
    chosen = arguments.data or os.environ.get("JOTGATE_DATA")
    return Path(os.path.abspath(chosen)) if chosen else default_data_directory()


def default_data_directory() -> Path:
    """`jotgate` in XDG_DATA_HOME, which counts if it is absolute, else in ~/.local/share."""
    shared = Path(os.environ.get("XDG_DATA_HOME", ""))
    if shared.is_absolute():
        return shared / "jotgate"
    try:
        return Path.home() / ".local" / "share" / "jotgate"
    except RuntimeError:
        raise DirectoryRefused(
            "this user has no home directory, so there is no default place for DATA",
            hint="Choose a directory with --data or JOTGATE_DATA",
        ) from None


def config_file(arguments: argparse.Namespace) -> Path | None:
    """The configuration's path, absolute: `--config`, else JOTGATE_CONFIG, else ./jotgate.toml if it is there."""
    chosen = arguments.config or os.environ.get("JOTGATE_CONFIG")
    if chosen:
        return Path(os.path.abspath(chosen))
    usual = Path(os.path.abspath("jotgate.toml"))
    return usual if usual.exists() else None

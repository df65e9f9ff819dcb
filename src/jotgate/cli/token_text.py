"""How commands read a token: from stdin or the environment, and never from the command line; and lists of scopes."""

import argparse
import os
import sys
from typing import Final

from jotgate.cli.common import UsageError

_TOKEN_BYTES_MAX: Final = 65_536
_GIVE: Final = "Give it on stdin or in the environment variable JOTGATE_TOKEN, where no process list shows it"


def add_argv_trap(parser: argparse.ArgumentParser) -> None:
    """Take a token in argv only to refuse it with advice; a parser's own message would repeat it."""
    # With a default it is not required, and not named where something else is missing.
    parser.add_argument("misplaced", nargs="*", default=[], help=argparse.SUPPRESS)


def read_token(arguments: argparse.Namespace) -> str:
    """The token of JOTGATE_TOKEN, else that on stdin.

    Raises:
        UsageError: there is none, or there is one on the command line.
    """
    if arguments.misplaced:
        raise UsageError("a token does not belong on the command line", hint=_GIVE)
    token = os.environ.get("JOTGATE_TOKEN", "")
    if not token and sys.stdin.isatty():
        raise UsageError("there is no token to read", hint=_GIVE)
    token = (token or sys.stdin.buffer.read(_TOKEN_BYTES_MAX).decode("utf-8", "replace")).strip()
    if not token:
        raise UsageError("the token to read is empty", hint=_GIVE)
    return token


def read_scopes(given: list[str] | None) -> tuple[str, ...]:
    """The scopes asked for. None asked for is not the same as asking for none, as an empty variable does."""
    if given is None:
        return ()
    scopes = tuple(" ".join(given).split())
    if not scopes:
        raise UsageError("--scope names no scope", hint="Leave --scope out for all, or name what the token may do")
    return scopes

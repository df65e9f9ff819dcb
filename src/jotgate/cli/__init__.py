"""The command `jotgate`: one module per noun. Exit codes: 0 done, 1 failed or refused, 2 wrong usage.

What a command needs beyond the standard library is imported when it runs, so that `--help` is quick.
"""

import argparse
import difflib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from jotgate import __version__
from jotgate.cli import (
    admin,
    audit,
    check,
    client,
    doctor,
    explain,
    issuer,
    key,
    kong,
    mcp,
    migrate,
    pat,
    plane,
    policy,
    principal,
    quota,
    status,
    tenant,
    token,
    up,
    upstream,
)
from jotgate.cli.common import EXIT_FAILED, EXIT_USAGE, ControlRefusal, UsageError
from jotgate.core.redaction import redact
from jotgate.errors import JotgateError
from jotgate.processes.console import describe, show_error


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse repeats what it does not understand, and that may be a secret in the wrong place.
        raise UsageError(redact(message), hint=f"{self.prog} --help")

    def parse_known_args(  # type: ignore[override] # for the namespace that jotgate uses, and no other
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Refuse what a command does not know right here, where its options are known, and not in the root."""
        first = next(iter(sys.argv[1:] if args is None else args), "").partition("=")[0]
        if first.startswith("--") and first not in self._option_string_actions and self.takes(first):
            # Else what it was given would be taken for the command.
            self.error(f"{first} stands behind the command, as in '{self.prog} COMMAND {first} ...'")
        chosen, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(self._describe(unknown[0].partition("=")[0]))
        return chosen, unknown

    def _check_value(self, action: argparse.Action, value: object) -> None:
        """Refuse what is none of the choices, and name the one that is meant; argparse lists them all."""
        if action.choices is not None and value not in action.choices:
            close = difflib.get_close_matches(str(value), list(map(str, action.choices)), 1)
            if close:
                raise argparse.ArgumentError(action, f"invalid choice: '{value}'; did you mean '{close[0]}'?")
        super()._check_value(action, value)

    def takes(self, option: str) -> bool:
        """Whether this command, or one of those behind it, has an option."""
        lists = [action.choices for action in self._actions if isinstance(action.choices, Mapping)]
        behind = [one for choices in lists for one in choices.values() if isinstance(one, _Parser)]
        return option in self._option_string_actions or any(one.takes(option) for one in behind)

    def _describe(self, word: str) -> str:
        if not word.startswith("-"):
            return f"there is nothing that '{word}' could mean here"
        alone = [action for action in self._actions if not action.option_strings and word == f"--{action.dest}"]
        if alone:
            return f"there is no option {word}: {alone[0].metavar} stands alone, as in '{self.prog} {alone[0].metavar}'"
        options = [option for action in self._actions for option in action.option_strings]
        close = difflib.get_close_matches(word, options, 1)
        return f"there is no option {word}" + (f"; did you mean '{close[0]}'?" if close else "")


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; docs/cli.md is checked against it."""
    parser = _Parser(prog="jotgate", description="The gate that JWTs open: one identity plane for AI traffic.")
    parser.add_argument("--version", action="version", version=f"jotgate {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    running = (up, check, status, doctor)
    accounts = (client, principal, tenant, admin)
    places = (upstream, mcp, plane, kong)
    for noun in (*running, token, pat, *accounts, key, issuer, policy, quota, *places, audit, explain, migrate):
        noun.register(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (default: that of this process). Returns the exit code."""
    try:
        chosen = build_parser().parse_args(arguments)
        code: int = chosen.run(chosen)
        sys.stdout.flush()
    except UsageError as error:
        sys.stderr.write(describe("usage", error.message, error.hint))
        return EXIT_USAGE
    except ControlRefusal as error:
        sys.stderr.write(describe(error.name, error.message, error.hint))
        return EXIT_FAILED
    except JotgateError as error:
        show_error(error)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_FAILED
    except BrokenPipeError:
        # Whoever read stdout is gone. What is left in the buffer must not be tried again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    return code

"""`jotgate policy`: what calls are decided by, a new set of policies for the store, and what would be decided."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jotgate.cli.common import (
    EXIT_OK,
    UsageError,
    add_config_option,
    add_data_option,
    say_next,
)
from jotgate.cli.confirming import add_yes_option, confirm
from jotgate.cli.policy_question import add_question_options, ask_question
from jotgate.cli.records import plain, word
from jotgate.errors import CommandError

if TYPE_CHECKING:
    from jotgate.cli.operator import Offline
    from jotgate.core.policy_orders import PolicyAnswer, PolicyOrder, PolicyView

_BYTES_MAX: Final = 8 * 1_048_576
_SHAPE: Final = "Write the policies as in jotgate.toml, each headed [[policies]], into a file, and name it"
_SHOWN: Final = ("name", "effect")


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `jotgate policy` and its actions."""
    noun = commands.add_parser(
        "policy", help="list, replace and test the policies by which calls are decided", description="Policies."
    )
    actions = noun.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser(
        "list",
        help="list the policies of the configuration and of the store",
        description="List all policies in the order in which they are read: those of the configuration, then those of "
        "the store; while there is none, the one that is shipped.",
    )
    listing.add_argument("--json", action="store_true", help="print them as one JSON object")
    listing.set_defaults(run=list_policies)
    applying = actions.add_parser(
        "apply",
        help="put the policies of a file in place of those of the store",
        description="Put the policies of FILE, or of stdin, in place of all that the store keeps. What differs is "
        "shown first; if somebody else was quicker, nothing is done. Every machine that shares the store goes by them "
        "within a second.",
        epilog="example: jotgate policy apply policies.toml",
    )
    applying.add_argument("file", metavar="FILE", help="TOML with [[policies]]; - for stdin")
    add_yes_option(applying)
    applying.set_defaults(run=apply)
    testing = actions.add_parser(
        "test",
        help="say what would be decided of a call, and which policy decides",
        description="Say what would be decided of a call that the options describe, and which policy decides. Exit "
        "status 0: it is allowed; 1: it is refused, with what its caller would be told.",
        epilog="example: jotgate policy test --subject alice --operation chat.completions --model small",
    )
    add_question_options(testing)
    testing.set_defaults(run=ask_question)
    for parser in actions.choices.values():
        add_data_option(parser)
        add_config_option(parser)


def list_policies(arguments: argparse.Namespace) -> int:
    """Print all policies."""
    import msgspec

    from jotgate.core.policy_orders import PolicyOrder

    answer = _order(arguments, PolicyOrder(action="list"))
    if arguments.json:
        sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for one in answer.policies for line in _show(one)))
    _finish(answer)
    say_next("jotgate policy test --subject NAME --operation OPERATION", arguments)
    return EXIT_OK


def apply(arguments: argparse.Namespace) -> int:
    """Show what differs, and replace the policies of the store."""
    import msgspec

    from jotgate.core.policy_orders import PolicyOrder

    tables = _read_tables(arguments.file)
    text = msgspec.json.encode(tables).decode()
    before = _order(arguments, PolicyOrder(action="check", tables=text))
    kept = {one.name: _settings(one) for one in before.policies if one.origin == "store"}
    difference = _compare(kept, [_plainly(table) for table in tables])
    if not difference:
        sys.stdout.write("the store has these policies already\n")
        return EXIT_OK
    sys.stdout.write("".join(f"{line}\n" for line in difference))
    sys.stdout.flush()
    confirm(arguments, "policies", f"{len(tables)} policies take the place of the {len(kept)} that the store has")
    order = PolicyOrder(action="apply", tables=text, version=before.version)
    answer = _order(arguments, order)
    sys.stdout.write(f"the store has {len(tables)} policies now, as version {answer.version}\n")
    if not answer.settled:
        sys.stderr.write("not every worker of this machine has taken them yet\n")
    _finish(answer)
    say_next("jotgate policy list", arguments)
    return EXIT_OK


def _order(arguments: argparse.Namespace, order: "PolicyOrder") -> "PolicyAnswer":
    from jotgate.cli.operator import carry_out
    from jotgate.core.policy_orders import PolicyAnswer

    def offline() -> "Offline[PolicyOrder, PolicyAnswer]":
        from jotgate.assembly.policies_offline import order_policies

        return order_policies

    return carry_out(arguments, "/policies", order, PolicyAnswer, offline, begins=True)


def _finish(answer: "PolicyAnswer") -> None:
    sys.stdout.flush()
    if not answer.running:  # They were said when the policies were read.
        return
    for warning in answer.warnings:
        sys.stderr.write(f"warning: {warning}\n")


def _read_tables(file: str) -> list[Mapping[str, object]]:
    """The entries as they stand in a file, with any fault that they may have."""
    import tomllib

    try:
        document = tomllib.loads(_read_text(file))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"the policies are not TOML: {error}", hint=_SHAPE) from None
    except OSError as error:
        raise CommandError(f"'{file}' cannot be read: {error.strerror}", hint=_SHAPE) from None
    entries = document.get("policies", [])
    if document.keys() - {"policies"} or not isinstance(entries, list) or not all(map(_is_table, entries)):
        raise UsageError("the file holds something else than [[policies]]", hint=_SHAPE)
    return entries


def _is_table(entry: object) -> bool:
    return isinstance(entry, dict)


def _read_text(file: str) -> str:
    if file != "-":
        with Path(file).open("rb") as source:
            raw = source.read(_BYTES_MAX + 1)
    elif sys.stdin.isatty():
        raise UsageError("there are no policies to read", hint=_SHAPE)
    else:
        raw = sys.stdin.buffer.read(_BYTES_MAX + 1)
    if len(raw) > _BYTES_MAX:
        raise UsageError("the policies are longer than 8 MiB", hint="Let some of them name several things each")
    return raw.decode("utf-8")


def _compare(kept: Mapping[str, Mapping[str, object]], tables: list[Mapping[str, object]]) -> list[str]:
    """What differs, a line for each policy: `+` comes, `-` goes, `~` changes; empty when nothing does."""
    names = [str(table.get("name", "")) for table in tables]
    lines = [f"- {plain(name)}" for name in kept if name not in names]
    for name, table in zip(names, tables, strict=True):
        if name not in kept:
            lines.append(f"+ {_describe(table)}")
        elif kept[name] != table:
            lines.append(f"~ {_describe(table)}")
    if not lines and names != list(kept):
        lines.append("~ the order of the policies")
    return lines


def _settings(one: "PolicyView") -> Mapping[str, object]:
    import msgspec

    return (
        {} if one.settings is None else msgspec.json.decode(msgspec.json.encode(one.settings), type=dict[str, object])
    )


def _plainly(table: Mapping[str, object]) -> Mapping[str, object]:
    """A table as it would be kept, if it is sound: without what need not be said."""
    import msgspec

    from jotgate.core.policy_reader import read_kept

    entry = read_kept(msgspec.json.encode(table))
    return table if entry is None else msgspec.json.decode(msgspec.json.encode(entry), type=dict[str, object])


def _show(one: "PolicyView") -> list[str]:
    where = f"{one.origin:<8}{_describe({'name': one.name, **_settings(one)})}"
    return [where, *(f"        cannot count: {fault}" for fault in one.faults)]


def _describe(settings: Mapping[str, object]) -> str:
    head = " ".join(plain(str(settings.get(name, "?"))) for name in _SHOWN)
    more = [f"{name}={word(value)}" for name, value in settings.items() if name not in _SHOWN]
    return " ".join([head, *more])

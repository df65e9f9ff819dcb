"""`jotgate issuer`: the issuers whose tokens are taken; those of the store can be changed while jotgate runs."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jotgate.cli.common import (
    EXIT_OK,
    UsageError,
    add_config_option,
    add_data_option,
    say_next,
)
from jotgate.errors import CommandError

if TYPE_CHECKING:
    from jotgate.cli.operator import Offline
    from jotgate.core.issuer_orders import IssuerAnswer
    from jotgate.core.status import IssuerState

_ENTRY_BYTES_MAX: Final = 65_536
_ENTRIES: Final = "issuers"
_SHAPE: Final = "Write the settings of one issuer, as they would stand below [[issuers]] in jotgate.toml"


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `jotgate issuer` and its actions."""
    noun = commands.add_parser(
        "issuer", help="list, add and remove the issuers whose tokens are taken", description="Issuers."
    )
    actions = noun.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser(
        "list",
        help="list the issuers of the configuration and of the store",
        description="List the issuers beside this installation: those of the configuration, and those that the store "
        "keeps, with what is wrong with one that does not count.",
    )
    listing.add_argument("--json", action="store_true", help="print them as one JSON object")
    adding = actions.add_parser(
        "add",
        help="keep an issuer in the store",
        description="Keep the issuer whose entry, in TOML as below [[issuers]], stands in FILE or on stdin. It is held "
        "to the same rules, and every machine that shares the store takes its tokens within a second, without a start. "
        "No secret is kept: the entry names variables and files.",
        epilog="example: jotgate issuer add keycloak.toml",
    )
    adding.add_argument("file", nargs="?", metavar="FILE", help="the entry; without it, or as -, stdin is read")
    for action, what in (
        ("remove", "forget an issuer of the store"),
        ("enable", "take the tokens of an issuer of the store again"),
        ("disable", "take no tokens of an issuer of the store, and keep it"),
    ):
        changing = actions.add_parser(action, help=what, description=f"{what[0].upper()}{what[1:]}.")
        changing.add_argument("name", metavar="NAME", help="its name")
    for parser in actions.choices.values():
        add_data_option(parser)
        add_config_option(parser)
        parser.set_defaults(run=issuer)


def issuer(arguments: argparse.Namespace) -> int:
    """Do what is asked, and print the issuers as they are then."""
    from jotgate.cli.operator import carry_out
    from jotgate.core.issuer_orders import IssuerAnswer, IssuerOrder

    table = _read_entry(arguments.file) if arguments.action == "add" else ""
    order = IssuerOrder(action=arguments.action, name=getattr(arguments, "name", ""), table=table)

    def offline() -> "Offline[IssuerOrder, IssuerAnswer]":
        from jotgate.assembly.issuers_offline import order_issuers

        return order_issuers

    answer = carry_out(arguments, "/issuers", order, IssuerAnswer, offline, begins=True)
    sys.stdout.write(_print(answer, as_json=getattr(arguments, "json", False)))
    sys.stdout.flush()
    say_next("jotgate status" if answer.running else "jotgate up", arguments, without=("config",))
    return EXIT_OK


def _read_entry(file: str | None) -> str:
    """The entry as JSON."""
    import tomllib

    import msgspec

    try:
        text = _read_text(file)
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"the entry is not TOML: {error}", hint=_SHAPE) from None
    except OSError as error:
        raise CommandError(f"'{file}' cannot be read: {error.strerror}", hint=_SHAPE) from None
    entries = document.get(_ENTRIES)
    if isinstance(entries, list) and document.keys() == {_ENTRIES}:
        if len(entries) != 1:
            raise UsageError(f"there are {len(entries)} entries, and one is added at a time", hint=_SHAPE)
        document = entries[0]
    if not document:
        raise UsageError("the entry is empty", hint=_SHAPE)
    return msgspec.json.encode(document).decode()


def _read_text(file: str | None) -> str:
    if file is not None and file != "-":
        with Path(file).open("rb") as source:
            return source.read(_ENTRY_BYTES_MAX).decode("utf-8")
    if sys.stdin.isatty():
        raise UsageError("there is no entry to read", hint=f"{_SHAPE}, into a file, and name it")
    return sys.stdin.buffer.read(_ENTRY_BYTES_MAX).decode("utf-8")


def _print(answer: "IssuerAnswer", *, as_json: bool) -> str:
    import msgspec

    if as_json:
        return msgspec.json.encode(answer).decode() + "\n"
    if not answer.issuers:
        return "no issuers beside this installation\n"
    rows = [
        (one.name, one.issuer or "-", one.profile or one.way or "-", one.origin, _standing(one))
        for one in answer.issuers
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "".join(f"{line}\n" for line in lines)


def _standing(one: "IssuerState") -> str:
    if not one.enabled:
        return "disabled"
    return "does not count: " + "; ".join(one.faults) if one.faults else "trusted"

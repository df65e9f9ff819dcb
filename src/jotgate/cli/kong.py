"""`jotgate kong`: brings Kong to what the store and the settings say, takes older services over, writes decK's file."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jotgate.cli.common import (
    EXIT_FAILED,
    EXIT_OK,
    add_config_option,
    add_data_option,
    say_next,
)
from jotgate.cli.confirming import add_yes_option, confirm
from jotgate.cli.new_files import new_file
from jotgate.cli.outcomes import may_be_done
from jotgate.cli.records import plain
from jotgate.cli.tables import print_table, time_text
from jotgate.core.preset_names import PRESETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jotgate.cli.operator import Offline
    from jotgate.core.kong_orders import ChangeView, KongDocument, KongExport, KongOrder, KongReport

_HEAD: Final = ("ID", "CONSUMER", "NAME", "ALGORITHM", "CREATED", "EXPIRES", "STATE")
_SHOWN: Final = 50
_SIGNS: Final = {"create": "+", "update": "~", "delete": "-"}


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `jotgate kong` and its actions."""
    noun = commands.add_parser(
        "kong", help="bring Kong to what this installation says", description="What jotgate does at Kong."
    )
    actions = noun.add_subparsers(dest="action", required=True, metavar="ACTION")
    planning = actions.add_parser(
        "plan",
        help="say what would be done at Kong",
        description="Compare Kong with the store and the settings, and say what 'jotgate kong apply' would do. Nothing "
        "is changed.",
    )
    planning.add_argument("--check", action="store_true", help="exit status 1 when there is anything to do")
    planning.add_argument("--migration", action="store_true", help="say what 'jotgate kong migrate' would do instead")
    _finish(planning, plan)
    applying = actions.add_parser(
        "apply",
        help="bring Kong to what this installation says",
        description="Make plugins, consumers, credentials and groups at Kong what the store and the settings say. Only "
        "what carries the tag of kong.tag is changed. What was cut short is finished by running it again.",
    )
    applying.add_argument(
        "--prune", action="store_true", help="delete credentials with our tag of which the store knows nothing, too"
    )
    _finish(applying, apply)
    migrating = actions.add_parser(
        "migrate",
        help="take over the jwt plugin and the consumers of an older service",
        description="Have Kong's jwt plugin look for the key of a credential in 'kid', and tag it and the consumers "
        "that have credentials of it as this installation's. Nothing is deleted. Tokens that name their credential in "
        "'iss' stop working; their users get new ones.",
    )
    add_yes_option(migrating)
    _finish(migrating, migrate)
    _register_tokens(actions)


def _register_tokens(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    exporting = actions.add_parser(
        "export",
        help="write what Kong is to have as a file of decK",
        description="Write plugins, consumers and credentials into a new file that only you can read, for 'deck "
        "gateway sync' or for a Kong without a database. The secrets of symmetric credentials stand in it.",
        epilog="example: jotgate kong export kong.yaml",
    )
    exporting.add_argument("file", metavar="FILE", help="the file, which must not be there yet")
    exporting.add_argument(
        "--without-secrets", action="store_true", help="leave out the credentials that have secrets, those of HS256"
    )
    _finish(exporting, export)
    listing = actions.add_parser(
        "list", help="list the named tokens for Kong", description="List the named tokens for Kong. No secret is shown."
    )
    _finish(listing, show)
    revoking = actions.add_parser(
        "revoke",
        help="revoke named tokens for Kong",
        description="Have named tokens not count any more: their credentials are deleted at Kong, now or as soon as it "
        "answers.",
    )
    revoking.add_argument("ids", nargs="+", metavar="ID", help="the id of the token, as 'jotgate kong list' shows it")
    _finish(revoking, revoke)


def _finish(parser: argparse.ArgumentParser, run: object) -> None:
    parser.add_argument("--json", action="store_true", help="print it as one JSON object")
    add_data_option(parser)
    add_config_option(parser)
    parser.add_argument(
        "--preset",
        metavar="NAME",
        action="append",
        choices=PRESETS,
        help="read the variables of this preset too, as 'jotgate up' does; it matters only while no jotgate runs",
    )
    parser.set_defaults(run=run)


def plan(arguments: argparse.Namespace) -> int:
    """Print what would be done."""
    from jotgate.core.kong_orders import KongOrder

    report = _ask(arguments, KongOrder(action="plan-migration" if arguments.migration else "plan"))
    _print_plan(arguments, report)
    if not arguments.json and report.total:
        say_next("jotgate kong migrate" if arguments.migration else "jotgate kong apply", arguments)
    return EXIT_FAILED if arguments.check and (report.total or report.strangers) else EXIT_OK


def apply(arguments: argparse.Namespace) -> int:
    """Do it, and print what came of it."""
    from jotgate.core.kong_orders import KongOrder

    with may_be_done("'jotgate kong plan' shows"):
        report = _follow(arguments, KongOrder(action="apply", prune=arguments.prune))
    return _print_outcome(arguments, report, "jotgate kong apply")


def migrate(arguments: argparse.Namespace) -> int:
    """Take an older service's plugin and consumers over."""
    from jotgate.core.kong_orders import KongOrder

    planned = _ask(arguments, KongOrder(action="plan-migration"))
    if not planned.total:
        _print_plan(arguments, planned)
        return EXIT_OK
    if not arguments.json:
        _print_plan(arguments, planned)
        sys.stdout.flush()
    confirm(arguments, "migrate", _impact(planned))
    with may_be_done("'jotgate kong plan --migration' shows"):
        report = _follow(arguments, KongOrder(action="migrate"))
    code = _print_outcome(arguments, report, "jotgate kong migrate")
    if code == EXIT_OK:
        say_next("jotgate kong apply", arguments)
    return code


def export(arguments: argparse.Namespace) -> int:
    """Write the file of decK."""
    from jotgate.cli.operator import carry_out
    from jotgate.core.kong_orders import KongDocument, KongExport

    def offline() -> "Offline[KongExport, KongDocument]":
        from jotgate.assembly.kong_offline import export_kong

        return export_kong

    order = KongExport(secrets=not arguments.without_secrets)
    with new_file(Path(arguments.file)) as descriptor, open(descriptor, "wb", closefd=False) as file:
        answer = carry_out(arguments, "/kong/export", order, KongDocument, offline)
        file.write(answer.text.encode())
    if arguments.json:
        _print_json({"file": arguments.file, "consumers": answer.consumers, "credentials": answer.credentials})
    else:
        sys.stdout.write(f"{answer.consumers} consumers and {answer.credentials} credentials\n")
        sys.stdout.flush()
        sys.stderr.write(f"  note  written to '{arguments.file}', which only you can read\n")
    return EXIT_OK


def show(arguments: argparse.Namespace) -> int:
    """Print the named tokens, one line each."""
    import msgspec

    from jotgate.core.kong_orders import KongOrder

    report = _ask(arguments, KongOrder(action="list"))
    tokens = list(report.tokens)
    while report.after:
        report = _ask(arguments, KongOrder(action="list", after=report.after))
        tokens += report.tokens
    if arguments.json:
        _print_json({"tokens": [msgspec.structs.asdict(one) for one in tokens]})
    else:
        print_table(
            [
                (
                    one.credential_id,
                    one.consumer,
                    one.token_name,
                    one.algorithm,
                    time_text(one.created_at_s),
                    time_text(one.expires_at_s),
                    one.state,
                )
                for one in tokens
            ],
            _HEAD,
        )
    return EXIT_OK


def revoke(arguments: argparse.Namespace) -> int:
    """Revoke named tokens."""
    from jotgate.core.kong_orders import KongOrder

    with may_be_done("'jotgate kong list' shows"):
        report = _ask(arguments, KongOrder(action="revoke", ids=tuple(dict.fromkeys(arguments.ids))))
    if arguments.json:
        _print_report(report)
    else:
        sys.stdout.write(f"{report.total} revoked; Kong has deleted {report.done}\n")
        sys.stdout.flush()
        _print_notes(report.notes)
    return EXIT_FAILED if report.left else EXIT_OK


def _ask(arguments: argparse.Namespace, order: "KongOrder") -> "KongReport":
    """What the running control answers, or what this process does itself under the lock on DATA."""
    from jotgate.cli.operator import carry_out
    from jotgate.core.kong_orders import KongReport

    def offline() -> "Offline[KongOrder, KongReport]":
        from jotgate.assembly.kong_offline import order_kong

        return order_kong

    return carry_out(arguments, "/kong", order, KongReport, offline)


def _follow(arguments: argparse.Namespace, order: "KongOrder") -> "KongReport":
    """Wait until it is done; who interrupts this loses nothing, since control goes on."""
    from jotgate.core.kong_orders import KongOrder

    report = _ask(arguments, order)
    while report.running:
        sys.stderr.write(f"  note  {report.done} of {report.total or '?'} are done\n")
        report = _ask(arguments, KongOrder(action="watch"))
    return report


def _impact(planned: "KongReport") -> str:
    if not planned.ending:
        return f"{planned.total} things at Kong become this installation's"
    users = ", ".join(map(plain, planned.ending[:5])) + (", …" if len(planned.ending) > 5 else "")
    return f"the tokens of the older form stop working, of {len(planned.ending)} consumers ({users})"


def _print_plan(arguments: argparse.Namespace, report: "KongReport") -> None:
    if arguments.json:
        _print_report(report)
        return
    _print_changes(report.changes, report.total)
    sys.stdout.write(f"{plain(report.url)}: {report.total or 'nothing'} to do\n")
    sys.stdout.flush()
    _print_notes(_notes(report))


def _notes(report: "KongReport") -> list[str]:
    notes = list(report.notes)
    if report.strangers:
        notes.append(
            f"{report.strangers} credentials carry our tag and the store knows nothing of them; 'jotgate kong apply "
            "--prune' deletes them"
        )
    if report.ending:
        notes.append(f"tokens of the older form stop working, of {len(report.ending)} consumers; they get new ones")
    return notes


def _print_outcome(arguments: argparse.Namespace, report: "KongReport", again: str) -> int:
    failed = bool(report.failed or report.left)
    if arguments.json:
        _print_report(report)
        return EXIT_FAILED if failed else EXIT_OK
    for one in report.failed[:_SHOWN]:
        sys.stdout.write(f"! {plain(f'{one.verb} {one.what} {one.name}')}: {plain(one.fault)}\n")
    sys.stdout.write(f"{plain(report.url)}: {report.done} of {report.total} done\n")
    sys.stdout.flush()
    _print_notes(_notes(report))
    if failed:
        say_next(again, arguments, " goes on with what is left")
    return EXIT_FAILED if failed else EXIT_OK


def _print_changes(changes: "Sequence[ChangeView]", total: int) -> None:
    for one in changes[:_SHOWN]:
        why = f" ({plain(one.why)})" if one.why else ""
        sys.stdout.write(f"{_SIGNS[one.verb]} {one.what} {plain(one.name)}{why}\n")
    if total > _SHOWN:
        sys.stdout.write(f"  and {total - min(_SHOWN, len(changes))} more\n")


def _print_notes(notes: "Sequence[str]") -> None:
    sys.stderr.write("".join(f"  note  {plain(note)}\n" for note in notes))


def _print_report(report: "KongReport") -> None:
    import msgspec

    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    sys.stdout.flush()


def _print_json(content: object) -> None:
    import msgspec

    sys.stdout.write(msgspec.json.encode(content).decode() + "\n")
    sys.stdout.flush()

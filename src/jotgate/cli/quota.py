"""`jotgate quota`: what limits holders have in the store, how their accounts stand, and which quotas meet a call."""

import argparse
import sys
from typing import TYPE_CHECKING, Final

from jotgate.cli.common import (
    EXIT_FAILED,
    EXIT_OK,
    UsageError,
    add_config_option,
    add_data_option,
    say_next,
)
from jotgate.cli.confirming import add_yes_option, confirm
from jotgate.cli.records import plain, show_time
from jotgate.cli.token_text import add_argv_trap, read_token

if TYPE_CHECKING:
    from jotgate.cli.operator import Offline
    from jotgate.core.quota_orders import HolderView, QuotaAnswer, QuotaFinding, QuotaOrder, QuotaQuestion, QuotaView

LEVELS: Final = ("token", "principal", "client", "tenant", "route", "model")
_LEVEL_HELP: Final = "token, principal, client, tenant, route or model"
_NAME_HELP: Final = "its name: of a token the jti, of a principal the subject"
_US: Final = 1_000_000


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `jotgate quota` and its actions."""
    noun = commands.add_parser(
        "quota",
        help="set and show limits, forget what was spent, and say which quotas meet a call",
        description="Quotas: how much of what somebody may use, and how much of it is left.",
    )
    actions = noun.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_show(actions)
    _add_set(actions)
    _add_reset(actions)
    _add_explain(actions)
    for parser in actions.choices.values():
        parser.add_argument("--json", action="store_true", help="print the answer as one JSON object")
        add_data_option(parser)
        add_config_option(parser)


def _add_show(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = actions.add_parser(
        "show",
        help="show the limits that there are, or those of one holder and what is left of them",
        description="Show the limits of the store and the rules of the configuration; of one holder, each limit that "
        "counts by it alone, and how much of it is spent and left.",
        epilog="example: jotgate quota show principal alice",
    )
    parser.add_argument("level", nargs="?", choices=LEVELS, metavar="LEVEL", help=_LEVEL_HELP)
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help=_NAME_HELP)
    parser.set_defaults(run=show)


def _add_set(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = actions.add_parser(
        "set",
        help="set the limits that a holder has in the store",
        description="Put these limits in place of those that the store has for a holder. Every machine that shares the "
        "store goes by them within a second. Rules of the configuration, and what a token brings, apply beside them.",
        epilog='example: jotgate quota set principal alice "1000 requests/day" "5 USD/month"',
    )
    parser.add_argument("level", choices=LEVELS, metavar="LEVEL", help=_LEVEL_HELP)
    parser.add_argument("name", metavar="NAME", help=_NAME_HELP)
    parser.add_argument("limits", nargs="*", metavar="LIMIT", help='such as "1000 requests/day" or "4 concurrent"')
    parser.add_argument("--clear", action="store_true", help="let the store have no limits for it any more")
    parser.set_defaults(run=set_limits)


def _add_reset(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = actions.add_parser(
        "reset",
        help="forget what a holder has spent in the current windows",
        description="Forget what a holder has spent in the current windows of the limits that count by it alone, and "
        "its debt. What running calls have reserved stays reserved.",
        epilog="example: jotgate quota reset principal alice --yes",
    )
    parser.add_argument("level", choices=LEVELS, metavar="LEVEL", help=_LEVEL_HELP)
    parser.add_argument("name", metavar="NAME", help=_NAME_HELP)
    add_yes_option(parser)
    parser.set_defaults(run=reset)


def _add_explain(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = actions.add_parser(
        "explain",
        help="say which quotas meet a call, where they come from, and what is left",
        description="Say which quotas meet a call with the token on stdin or in JOTGATE_TOKEN, or of the caller that "
        "the options describe. Exit status 0: all have something left; 1: one of them has not.",
        epilog="example: jotgate quota explain --subject alice --model small",
    )
    add_argv_trap(parser)
    parser.add_argument("--subject", default="", metavar="NAME", help="whom the token speaks for; without it: a token")
    parser.add_argument("--client", default="", metavar="NAME", help="the client that the token was issued to")
    parser.add_argument("--tenant", default="", metavar="NAME", help="its tenant (default: default)")
    parser.add_argument("--role", action="append", default=[], metavar="NAME", help="a role that it has; repeat it")
    parser.add_argument("--issuer", default="", metavar="ISS", help="its issuer (default: this installation)")
    parser.add_argument("--operation", default="chat.completions", metavar="OPERATION", help="such as embeddings")
    parser.add_argument("--model", default="", metavar="MODEL", help="the model that the call names")
    parser.set_defaults(run=explain)


def show(arguments: argparse.Namespace) -> int:
    """Print limits, and how they stand."""
    from jotgate.core.quota_orders import QuotaOrder

    if arguments.level and not arguments.name:
        raise UsageError(f"the {arguments.level} has no name", hint=f"jotgate quota show {arguments.level} NAME")
    if not arguments.level:
        return _show_all(arguments)
    answer = _order(arguments, QuotaOrder(action="show", level=arguments.level, name=arguments.name))
    return _print_holder(arguments, answer)


def set_limits(arguments: argparse.Namespace) -> int:
    """Set the limits of a holder."""
    from jotgate.core.quota_orders import QuotaOrder

    if bool(arguments.limits) == arguments.clear:
        raise UsageError(
            "there is no limit" if not arguments.limits else "there are limits, and --clear",
            hint='Write limits such as "1000 requests/day", or --clear alone to have none',
        )
    limits = tuple(arguments.limits)
    answer = _order(arguments, QuotaOrder(action="set", level=arguments.level, name=arguments.name, limits=limits))
    return _print_holder(arguments, answer)


def reset(arguments: argparse.Namespace) -> int:
    """Forget what a holder has spent."""
    from jotgate.core.quota_orders import QuotaOrder

    what = f"what the {arguments.level} has spent in its current windows is forgotten"
    confirm(arguments, arguments.name, what)
    answer = _order(arguments, QuotaOrder(action="reset", level=arguments.level, name=arguments.name))
    return _print_holder(arguments, answer)


def explain(arguments: argparse.Namespace) -> int:
    """Say which quotas meet a call."""
    from jotgate.core.quota_orders import QuotaQuestion

    question = QuotaQuestion(
        token="" if arguments.subject else read_token(arguments),
        subject=arguments.subject,
        client_id=arguments.client,
        tenant=arguments.tenant,
        roles=tuple(arguments.role),
        issuer=arguments.issuer,
        operation=arguments.operation,
        model=arguments.model,
    )
    found = _ask(arguments, question)
    if arguments.json:
        _print_json(found)
    elif not found.quotas:
        sys.stdout.write(f"no quota meets calls of {plain(found.subject)}\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for one in found.quotas for line in _lines(one)))
    sys.stdout.flush()
    say_next("jotgate quota show", arguments)
    return EXIT_FAILED if found.refused_by else EXIT_OK


def _show_all(arguments: argparse.Namespace) -> int:
    from msgspec.structs import replace

    from jotgate.core.quota_orders import QuotaOrder

    answer = _order(arguments, QuotaOrder(action="show"))
    holders, after = list(answer.holders), answer.after
    while after is not None:
        further = _order(arguments, QuotaOrder(action="show", after=after))
        holders, after = holders + further.holders, further.after
    answer = replace(answer, holders=holders, after=None)
    if arguments.json:
        _print_json(answer)
    else:
        for rule in answer.rules:
            per = " and ".join(rule.per) or "all calls"
            sys.stdout.write(f"rule       {plain(rule.name)}: {rule.limit} per {per}\n")
        for one in holders:
            sys.stdout.write(f"{one.level:<10} {plain(one.name)}: {', '.join(one.limits)}\n")
        if not answer.rules and not holders:
            sys.stdout.write("nothing is limited, but by what tokens bring\n")
    sys.stdout.flush()
    say_next("jotgate quota show LEVEL NAME", arguments)
    return EXIT_OK


def _print_holder(arguments: argparse.Namespace, answer: "QuotaAnswer") -> int:
    (holder,) = answer.holders
    if arguments.json:
        _print_json(holder)
    else:
        _print_lines(holder)
    sys.stdout.flush()
    say_next("jotgate quota show", arguments)
    return EXIT_OK


def _print_lines(holder: "HolderView") -> None:
    if not holder.quotas:
        sys.stdout.write(f"nothing limits the {holder.level} {plain(holder.name)} by itself\n")
    for one in holder.quotas:
        sys.stdout.write("".join(f"{line}\n" for line in _lines(one)))
    for warning in holder.warnings:
        sys.stderr.write(f"warning: {warning}\n")


def _lines(one: "QuotaView") -> list[str]:
    from jotgate.core.limit_texts import write_amount

    def amount(units: int) -> str:
        return write_amount(units, one.unit)

    lines = [
        f"{plain(one.quota)} ({one.source})",
        f"  {'limit':<7}{one.limit} per {' and '.join(one.per) or 'all calls'}",
        f"  {'left':<7}{amount(one.left)}; spent {amount(one.spent)}, held by workers {amount(one.leased)}",
    ]
    if one.ahead == 1 < one.amount:
        lines.append(f"  {'small':<7}so little is left that workers take no units ahead: each call asks the store")
    if one.debt:
        lines.append(f"  {'debt':<7}{amount(one.debt)}, used beyond what was left")
    if one.lost:
        lines.append(f"  {'lost':<7}{amount(one.lost)}, held by a worker that ended without a word")
    if one.ends_at_s is not None:
        lines.append(f"  {'resets':<7}{show_time(one.ends_at_s * _US)}")
    return lines


def _order(arguments: argparse.Namespace, order: "QuotaOrder") -> "QuotaAnswer":
    from jotgate.cli.operator import carry_out
    from jotgate.core.quota_orders import QuotaAnswer

    def offline() -> "Offline[QuotaOrder, QuotaAnswer]":
        from jotgate.assembly.quotas_offline import order_quotas

        return order_quotas

    return carry_out(arguments, "/quotas", order, QuotaAnswer, offline, begins=True)


def _ask(arguments: argparse.Namespace, question: "QuotaQuestion") -> "QuotaFinding":
    from jotgate.cli.operator import carry_out
    from jotgate.core.quota_orders import QuotaFinding

    def offline() -> "Offline[QuotaQuestion, QuotaFinding]":
        from jotgate.assembly.quotas_offline import explain_quotas

        return explain_quotas

    return carry_out(arguments, "/quotas/explain", question, QuotaFinding, offline)


def _print_json(answer: "HolderView | QuotaAnswer | QuotaFinding") -> None:
    import msgspec

    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")

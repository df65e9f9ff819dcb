"""What the commands about clients, principals and tenants share: options, orders, how accounts are shown and end."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from jotgate.cli.common import (
    EXIT_OK,
    ControlRefusal,
    UsageError,
    add_config_option,
    add_data_option,
    say_next,
)
from jotgate.cli.confirming import add_yes_option, confirm
from jotgate.cli.outcomes import may_be_done
from jotgate.cli.records import plain
from jotgate.cli.tables import print_table, time_text
from jotgate.cli.token_holders import told_of_tenant
from jotgate.errors import Code, CommandError, JotgateError

if TYPE_CHECKING:
    from jotgate.cli.operator import Offline
    from jotgate.core.account_orders import AccountAnswer, AccountOrder, Impact, Noun

_MAKES: Final = frozenset({"create", "define-role"})
_RAW_LATER: Final = ("tool", "limit")


def finish(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int], *, as_json: bool = True) -> None:
    """Add what every command about accounts takes."""
    if as_json:
        parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_data_option(parser)
    add_config_option(parser)
    parser.set_defaults(run=run)


def add_rights_options(parser: argparse.ArgumentParser, *, fresh: bool) -> None:
    """Add the options that say what an account may do. `fresh`: it is a new one, which begins with none of it."""
    before = "" if fresh else " instead of those before; '' for none"
    parser.add_argument("--title", metavar="TEXT", help="what people call it")
    parser.add_argument(
        "--scope",
        action="append",
        metavar="SCOPE",
        help=f"what it may do; repeat it, or write several with spaces{before}",
    )
    parser.add_argument("--role", action="append", metavar="ROLE", help=f"a role of its tenant; repeat it{before}")
    every = " (default: every model)" if fresh else before
    parser.add_argument("--model", action="append", metavar="MODEL", help=f"a model it may use; repeat it{every}")
    if fresh:
        parser.add_argument("--tenant", metavar="TENANT", help="whose it is (default: the tenant 'default')")
    else:
        parser.add_argument("--every-model", action="store_true", help="let it use every model again")
    add_later_options(parser)


def add_later_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that stand for what is not set here, which is refused with the reason."""
    add_tool_option(parser)
    parser.add_argument("--limit", action="append", metavar="LIMIT", help="refused: use 'jotgate quota set'")


def add_tool_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that stands for what cannot be set yet."""
    refused = "refused: tools are scopes, such as mcp:files:read_file"
    parser.add_argument("--tool", action="append", metavar="TOOL", help=refused)


def later_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The values that those options give."""
    from msgspec import Raw

    chosen = {option: getattr(arguments, option) for option in _RAW_LATER}
    return {f"{option}s": Raw(json.dumps(given).encode()) for option, given in chosen.items() if given}


def rights_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The values that those options give."""
    found: dict[str, Any] = {
        name: value for name in ("title", "tenant") if (value := getattr(arguments, name, None)) is not None
    }
    for option, member in (("scope", "scopes"), ("role", "roles"), ("model", "models")):
        given = getattr(arguments, option)
        if given is not None:
            found[member] = words(given) if option == "scope" else tuple(filter(None, given))
    if getattr(arguments, "every_model", False):
        if "models" in found:
            raise UsageError("--every-model and --model say different things", hint="Leave one of them out")
        found["models"] = None
    return {**found, **later_of(arguments)}


def words(given: Sequence[str]) -> tuple[str, ...]:
    """What stands in repeated options, each of which may hold several words."""
    return tuple(" ".join(given).split())


def seconds(text: str) -> int:
    """A duration in seconds. Raises UsageError."""
    from jotgate.core.values import parse_duration_s

    try:
        return parse_duration_s(text)
    except CommandError as error:
        raise UsageError(error.message, hint=error.hint) from None


def ask(arguments: argparse.Namespace, order: "AccountOrder") -> "AccountAnswer":
    """What the running control answers, or what this process does itself under the lock on DATA."""
    from jotgate.cli.operator import carry_out
    from jotgate.core.account_orders import AccountAnswer

    def offline() -> "Offline[AccountOrder, AccountAnswer]":
        from jotgate.assembly.accounts_offline import order_accounts

        return order_accounts

    try:
        return carry_out(arguments, "/accounts", order, AccountAnswer, offline, begins=order.action in _MAKES)
    except JotgateError as error:
        name = error.name if isinstance(error, ControlRefusal) else error.code
        if name != Code.REQUEST_MALFORMED or error.hint:
            raise
        # Values that cannot be: the command line is wrong. What stands in the way elsewhere has advice of its own.
        hint = f"'jotgate {order.noun} {arguments.action} --help' says what each option takes"
        raise UsageError(error.message, hint=hint) from None


def accounts(answer: "AccountAnswer") -> list[dict[str, Any]]:
    """The accounts of an answer."""
    return [json.loads(bytes(one)) for one in answer.accounts]


def register_common(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]",
    noun: "Noun",
    row: Callable[[Mapping[str, Any]], list[str]],
    head: Sequence[str],
) -> None:
    """Add the actions that all three nouns have: list, show, enable, disable and delete."""
    listing = actions.add_parser("list", help=f"list {noun}s", description=f"List {noun}s by name.")
    if noun != "tenant":
        listing.add_argument("--tenant", default="", metavar="TENANT", help="only those of this tenant")
    finish(listing, lambda arguments: _list(arguments, noun, row, head))
    showing = actions.add_parser(
        "show", help=f"show one {noun}", description=f"Show one {noun}, and what would end with it."
    )
    showing.add_argument("name", metavar="NAME", help="its name")
    finish(showing, lambda arguments: _show(arguments, noun))
    for action, what in (
        ("enable", f"let a {noun} get tokens again"),
        ("disable", f"let a {noun} get no more tokens, and end those that it has"),
    ):
        told = " First it says what that ends, and wants the name typed." if action == "disable" else ""
        switching = actions.add_parser(action, help=what, description=f"{what[0].upper()}{what[1:]}.{told}")
        switching.add_argument("name", metavar="NAME", help="its name")
        if action == "disable":
            add_yes_option(switching)
        finish(switching, lambda arguments: _switch(arguments, noun))
    deleting = actions.add_parser(
        "delete",
        help=f"delete a {noun}, and end what it has",
        description=f"Delete a {noun}, and end what it has. First it says what that ends, and wants the name typed.",
    )
    deleting.add_argument("name", metavar="NAME", help="its name")
    add_yes_option(deleting)
    finish(deleting, lambda arguments: _delete(arguments, noun))


def print_changed(arguments: argparse.Namespace, noun: "Noun", answer: "AccountAnswer", what: str) -> int:
    """Say what came of a change, and what to do next."""
    (account,) = accounts(answer)
    if arguments.json:
        print_json({noun: account})
    else:
        sys.stdout.write(f"{noun} {plain(account['name'])} {what}\n")
    sys.stdout.flush()
    say_shown(arguments, noun, account["name"])
    return EXIT_OK


def say_shown(arguments: argparse.Namespace, noun: "Noun", name: str) -> None:
    """Say that an account can be looked at; one whose name a shell would not take as it is, in the list."""
    is_word = name.replace(".", "").replace("-", "").replace("_", "").isalnum() and name[0].isalnum()
    say_next(f"jotgate {noun} show {name}" if is_word else f"jotgate {noun} list", arguments)


def print_json(content: Mapping[str, Any]) -> None:
    """One JSON object, for programs and for people."""
    sys.stdout.write(json.dumps(content, indent=2) + "\n")


def _list(
    arguments: argparse.Namespace, noun: "Noun", row: Callable[[Mapping[str, Any]], list[str]], head: Sequence[str]
) -> int:
    from jotgate.core.account_orders import AccountOrder

    found: list[dict[str, Any]] = []
    more = True
    while more:
        after = found[-1]["name"] if found else ""
        of_tenant = getattr(arguments, "tenant", "")
        answer = ask(arguments, AccountOrder(noun=noun, action="list", after=after, of_tenant=of_tenant))
        found += accounts(answer)
        more = answer.more
    if arguments.json:
        print_json({f"{noun}s": found})
    else:
        print_table([row(one) for one in found], head)
    sys.stdout.flush()
    if not found and not arguments.json:
        say_next(f"jotgate {noun} create NAME", arguments)
    return EXIT_OK


def _show(arguments: argparse.Namespace, noun: "Noun") -> int:
    from jotgate.core.account_orders import AccountOrder

    answer = ask(arguments, AccountOrder(noun=noun, action="show", name=arguments.name))
    (account,) = accounts(answer)
    if arguments.json:
        print_json({noun: account, **_figures(answer.impact)})
        sys.stdout.flush()
        return EXIT_OK
    rows = {name: _cell(name, value) for name, value in account.items() if value not in ("", [])}
    rows |= {} if answer.impact is None else {"live tokens": str(answer.impact.live_tokens)}
    width = max(map(len, rows)) + 2
    sys.stdout.write("".join(f"{name:<{width}}{plain(value)}\n" for name, value in rows.items()))
    sys.stdout.flush()
    return EXIT_OK


def _cell(name: str, value: Any) -> str:
    """A member of an account in words."""
    if name.endswith("_at_s"):
        return moment(value)
    if name == "secrets":
        return ", ".join(_secret(one) for one in value)
    if name == "roles" and value and isinstance(value[0], dict):
        return "; ".join(_role(one) for one in value)
    if name == "jwks":
        return ", ".join(f"{one['kid']} ({one['alg']})" for one in value["keys"]) or "none"
    if value is None:
        return "all"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(value) if isinstance(value, list) else f"{value} s" if name.endswith("_s") else str(value)


def _secret(secret: Mapping[str, Any]) -> str:
    end = "" if secret["ends_at_s"] is None else f", ends {moment(secret['ends_at_s'])}"
    return f"made {moment(secret['created_at_s'])}{end}"


def _role(role: Mapping[str, Any]) -> str:
    models = "every model" if role["models"] is None else f"models {' '.join(role['models']) or 'none'}"
    return f"{role['name']}: {' '.join(role['scopes']) or 'no scope'}, {models}"


def moment(at_s: int) -> str:
    """A NumericDate as RFC 3339 has it."""
    return time_text(at_s) if at_s else "-"


def _switch(arguments: argparse.Namespace, noun: "Noun") -> int:
    from jotgate.core.account_orders import AccountOrder

    if arguments.action == "disable" and not arguments.yes:
        confirm(arguments, arguments.name, _told_before(arguments, noun))
    with may_be_done(f"'jotgate {noun} show' shows"):
        answer = ask(arguments, AccountOrder(noun=noun, action=arguments.action, name=arguments.name))
    _tell_elsewhere(answer)
    return print_changed(arguments, noun, answer, f"is {arguments.action}d")


def _told_before(arguments: argparse.Namespace, noun: "Noun") -> str:
    """What it would do to disable an account."""
    from jotgate.core.account_orders import AccountOrder

    impact = ask(arguments, AccountOrder(noun=noun, action="show", name=arguments.name)).impact
    told = f"the {noun} {plain(arguments.name)} would be disabled"
    if impact is None:
        ended, personal = told_of_tenant(arguments, arguments.name)
        told += f", which {ended}"
    else:
        told += _impact(impact, done=False, keeps_personal=True)
        personal = impact.personal_tokens
    refused = f"; {_count(personal, 'personal token')} would be refused until it is enabled" if personal else ""
    return told + refused


def _tell_elsewhere(answer: "AccountAnswer") -> None:
    """Say whose further tokens for it are taken still."""
    found = answer.elsewhere
    if found is not None:
        issuer, subject = plain(found.issuer), plain(found.subject)
        sys.stderr.write(
            f"  note  what {plain(found.name)} gives '{subject}' from now on is taken still where it is shown itself: "
            f'end it there, or write a policy that denies issuers = ["{issuer}"], subjects = ["{subject}"]\n'
        )


def _delete(arguments: argparse.Namespace, noun: "Noun") -> int:
    from jotgate.core.account_orders import AccountOrder

    if not arguments.yes:
        impact = ask(arguments, AccountOrder(noun=noun, action="show", name=arguments.name)).impact
        told = f"the {noun} {plain(arguments.name)} would be deleted{_impact(impact, done=False)}"
        confirm(arguments, arguments.name, told)
    with may_be_done(f"'jotgate {noun} list' shows"):
        answer = ask(arguments, AccountOrder(noun=noun, action="delete", name=arguments.name))
    _tell_elsewhere(answer)
    if arguments.json:
        print_json({"deleted": arguments.name, **_figures(answer.impact)})
    else:
        sys.stdout.write(f"{noun} {plain(arguments.name)} is deleted{_impact(answer.impact, done=True)}\n")
    sys.stdout.flush()
    say_next(f"jotgate {noun} list", arguments)
    return EXIT_OK


def _impact(impact: "Impact | None", *, done: bool, keeps_personal: bool = False) -> str:
    """What ends, as the rest of a sentence."""
    if impact is None:
        return ""
    told = [f"{'invalidated' if done else 'invalidates'} {_count(impact.live_tokens, 'live token')}"]
    if impact.families:
        families = _count(impact.families, "refresh-token family", "refresh-token families")
        told.append(f"{'ended' if done else 'ends'} {families}")
    if impact.personal_tokens and not keeps_personal:
        told.append(f"{'revoked' if done else 'revokes'} {_count(impact.personal_tokens, 'personal token')}")
    return f"{':' if done else ', which'} {', '.join(told)}; how many tokens others made for it is unknown"


def _count(number: int, one: str, many: str = "") -> str:
    many = many or f"{one}s"
    return f"{number} {one if number == 1 else many}"


def _figures(impact: "Impact | None") -> dict[str, Any]:
    """The stable keys of what ends; of tokens made elsewhere nothing is known."""
    if impact is None:
        return {}
    figures = {
        "live_tokens": impact.live_tokens,
        "families": impact.families,
        "personal_tokens": impact.personal_tokens,
        "tokens_made_elsewhere": None,
    }
    return {"impact": figures}

"""`jotgate pat`: personal tokens, opaque and by name, for programs that a principal runs."""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from jotgate.cli.accounts import add_tool_option
from jotgate.cli.common import (
    EXIT_OK,
    UsageError,
    add_config_option,
    add_data_option,
    say_next,
)
from jotgate.cli.confirming import add_yes_option, confirm
from jotgate.cli.limit_options import add_limit_options, limits_of
from jotgate.cli.tables import print_table, time_text
from jotgate.cli.token_orders import pages
from jotgate.errors import CommandError

if TYPE_CHECKING:
    from jotgate.cli.operator import Offline
    from jotgate.core.personal_tokens import PersonalAnswer, PersonalOrder, PersonalView

_HEAD: Final = ["OWNER", "NAME", "SCOPES", "MODELS", "EXPIRES", "LAST USE", "FROM", "ID"]
_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `jotgate pat` and its actions."""
    noun = commands.add_parser(
        "pat", help="create, list, roll and revoke personal tokens", description="Personal tokens."
    )
    actions = noun.add_subparsers(dest="action", required=True, metavar="ACTION")
    _register_create(actions)
    listing = actions.add_parser(
        "list",
        help="list personal tokens",
        description="List personal tokens: whose they are, what they may do, when they end, and when and from where "
        "they were last used. No secret is shown: jotgate has none.",
    )
    listing.add_argument("--subject", default="", metavar="NAME", help="those of this principal alone")
    _add_json(listing)
    _finish(listing, show)
    rolling = actions.add_parser(
        "roll",
        help="give a personal token a new secret",
        description="Make a new secret of a personal token and print it, and nothing else, on stdout: this once. The "
        "one before it counts until the overlap ends, so that whoever holds it can change over.",
        epilog="example: jotgate pat roll ci --subject alice --overlap 24h",
    )
    _add_name(rolling)
    rolling.add_argument(
        "--overlap", default="1h", metavar="TIME", help="how long the old secret counts: 0s to 24h (default: 1h)"
    )
    rolling.add_argument(
        "--ttl", metavar="TIME", help="how long the token is to live from now on, if that is longer than it would"
    )
    _add_json(rolling)
    _finish(rolling, roll)
    revoking = actions.add_parser(
        "revoke",
        help="refuse a personal token from now on",
        description="Refuse a personal token, and what was narrowed from it, on every worker within a second.",
    )
    _add_name(revoking)
    add_yes_option(revoking)
    _finish(revoking, revoke)


def _register_create(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    creating = actions.add_parser(
        "create",
        help="create a personal token",
        description="Create a personal token of a principal and print it, and nothing else, on stdout: this once.",
        epilog="example: jotgate pat create --subject alice --name ci --scope chat.completions --ttl 30d",
    )
    creating.add_argument("--subject", required=True, metavar="NAME", help="the principal whose token it is")
    creating.add_argument(
        "--name", required=True, metavar="NAME", help="what it is called: 1 to 64 letters, digits, '.', '_' or '-'"
    )
    creating.add_argument(
        "--scope",
        action="append",
        metavar="SCOPE",
        help="what it may do, within what its owner may; repeat it, or write several with spaces (default: ai)",
    )
    creating.add_argument(
        "--model", action="append", metavar="MODEL", help="a model it may use; repeat it (default: all of its owner's)"
    )
    creating.add_argument(
        "--ttl", default="90d", metavar="TIME", help="how long it lives: 24h, 7d, 90d; at most 365d (default: 90d)"
    )
    add_limit_options(creating)
    add_tool_option(creating)
    _add_json(creating)
    _finish(creating, create)


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="its name")
    parser.add_argument("--subject", required=True, metavar="NAME", help="the principal whose token it is")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print what is told as one JSON object")


def _finish(parser: argparse.ArgumentParser, run: object) -> None:
    add_data_option(parser)
    add_config_option(parser)
    parser.set_defaults(run=run)


def create(arguments: argparse.Namespace) -> int:
    """Print a new personal token."""
    from jotgate.core.personal_tokens import PersonalOrder

    if arguments.tool:
        text = "a personal token has no tools: tools are scopes, such as mcp:files:read_file"
        raise UsageError(text, hint="Name them with --scope, and leave --tool out")
    scopes, ttl_s = _scopes(arguments.scope), _duration_s(arguments.ttl)
    models = tuple(arguments.model) if arguments.model else None
    answer = _ask(
        arguments,
        lambda: PersonalOrder(
            action="create",
            subject=arguments.subject,
            name=arguments.name,
            scopes=scopes,
            models=models,
            ttl_s=ttl_s,
            limits=limits_of(arguments),
        ),
    )
    return _hand_out(arguments, answer)


def roll(arguments: argparse.Namespace) -> int:
    """Print a new secret of a personal token."""
    from jotgate.core.personal_tokens import PersonalOrder

    overlap_s = 0 if arguments.overlap == "0s" else _duration_s(arguments.overlap)
    ttl_s = None if arguments.ttl is None else _duration_s(arguments.ttl)
    answer = _ask(
        arguments,
        lambda: PersonalOrder(
            action="roll", subject=arguments.subject, name=arguments.name, overlap_s=overlap_s, ttl_s=ttl_s
        ),
    )
    (token,) = answer.tokens
    if token.previous_until_s:
        sys.stderr.write(f"  note  the secret before it counts until {time_text(token.previous_until_s)}\n")
    return _hand_out(arguments, answer)


def show(arguments: argparse.Namespace) -> int:
    """Print personal tokens."""
    if arguments.json:
        import msgspec

        tokens = [token for answer in pages(partial(_ask_page, arguments)) for token in answer.tokens]
        sys.stdout.write(msgspec.json.encode({"tokens": tokens}).decode() + "\n")
    else:
        print_table([_row(token) for answer in pages(partial(_ask_page, arguments)) for token in answer.tokens], _HEAD)
    sys.stdout.flush()
    return EXIT_OK


def revoke(arguments: argparse.Namespace) -> int:
    """Refuse a personal token from now on."""
    from jotgate.core.personal_tokens import PersonalOrder

    subject, name = arguments.subject, arguments.name
    found = _ask(arguments, lambda: PersonalOrder(action="show", subject=subject, name=name))
    confirm(arguments, name, _impact(found))
    answer = _ask(arguments, lambda: PersonalOrder(action="revoke", subject=subject, name=name))
    (token,) = answer.tokens
    sys.stdout.write(f"the personal token '{token.name}' of '{token.subject}' is revoked\n")
    sys.stdout.flush()
    say_next(f"jotgate pat list --subject {token.subject}", arguments)
    return EXIT_OK


def _ask(arguments: argparse.Namespace, make: "Callable[[], PersonalOrder]") -> "PersonalAnswer":
    """What comes of an order; one that is none is wrong usage."""
    try:
        order = make()
    except CommandError as error:
        raise UsageError(error.message, hint=error.hint) from None
    return _send(arguments, order)


def _send(arguments: argparse.Namespace, order: "PersonalOrder") -> "PersonalAnswer":
    """What the running control answers, or what this process does itself under the lock on DATA."""
    from jotgate.cli.operator import carry_out
    from jotgate.core.personal_tokens import PersonalAnswer

    def offline() -> "Offline[PersonalOrder, PersonalAnswer]":
        from jotgate.assembly.personal_offline import order_personal_tokens

        return order_personal_tokens

    return carry_out(arguments, "/personal-tokens", order, PersonalAnswer, offline)


def _ask_page(arguments: argparse.Namespace, after: str) -> "PersonalAnswer":
    from jotgate.core.personal_tokens import PersonalOrder

    return _send(arguments, PersonalOrder(action="list", subject=arguments.subject, after=after))


def _hand_out(arguments: argparse.Namespace, answer: "PersonalAnswer") -> int:
    (token,) = answer.tokens
    if arguments.json:
        import msgspec

        fields = {"secret": answer.secret, **msgspec.structs.asdict(token)}
        sys.stdout.write(msgspec.json.encode(fields).decode() + "\n")
    else:
        sys.stdout.write(answer.secret + "\n")
    sys.stdout.flush()
    sys.stderr.write(f"  note  this is shown once, and counts until {time_text(token.expires_at_s)}\n")
    say_next(f"jotgate pat list --subject {token.subject}", arguments, " shows when it was used")
    return EXIT_OK


def _impact(answer: "PersonalAnswer") -> str:
    (token,) = answer.tokens
    used = "was never used"
    if token.last_used_at_s:
        used = f"was last used {_ago(token.last_used_at_s)} from {token.last_used_from}"
    derived = ""
    if answer.derived:
        derived = f", and so would {answer.derived} live token{'s' * (answer.derived > 1)} that it was traded for"
    return f"the personal token '{token.name}' of '{token.subject}' {used}; it would be refused at once{derived}"


def _scopes(given: list[str] | None) -> tuple[str, ...]:
    """The scopes asked for. None asked for is not the same as asking for none, as an empty variable does."""
    if given is None:
        return ()
    scopes = tuple(" ".join(given).split())
    if not scopes:
        raise UsageError(
            "--scope names no scope", hint="Leave --scope out for 'ai', which is every AI call, or name what it may do"
        )
    return scopes


def _duration_s(text: str) -> int:
    from jotgate.core.values import parse_duration_s

    try:
        return parse_duration_s(text)
    except CommandError as error:
        raise UsageError(error.message, hint=error.hint) from None


def _row(token: "PersonalView") -> list[str]:
    return [
        token.subject,
        token.name,
        " ".join(token.scopes),
        "all" if token.models is None else " ".join(token.models) or "none",
        time_text(token.expires_at_s),
        _ago(token.last_used_at_s) if token.last_used_at_s else "never",
        token.last_used_from or "-",
        token.id,
    ]


def _ago(at_s: int) -> str:
    if not sys.stdout.isatty():
        return time_text(at_s)
    past_s = max(0, int(time.time()) - at_s)
    for unit_s, unit in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if past_s >= unit_s:
            return f"{past_s // unit_s} {unit} ago"
    return f"{past_s} s ago"

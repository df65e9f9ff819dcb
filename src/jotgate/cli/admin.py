"""`jotgate admin`: the way into the admin API for whoever operates this installation."""

import argparse
import sys

from jotgate.cli.accounts import seconds, words
from jotgate.cli.common import (
    EXIT_OK,
    UsageError,
    add_config_option,
    add_data_option,
    say_next,
    sources,
)
from jotgate.errors import CommandError


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `jotgate admin` and its actions."""
    noun = commands.add_parser("admin", help="get into the admin API", description="The admin API.")
    actions = noun.add_subparsers(dest="action", required=True, metavar="ACTION")
    giving = actions.add_parser(
        "token",
        help="create a token for the admin API",
        description="Create a token for the admin API and print it, and nothing else, on stdout. Whoever can read and "
        "write DATA may: this is how the first administrator gets in.",
        epilog='example: curl -H "Authorization: Bearer $(jotgate admin token)" http://127.0.0.1:8080/admin/api/clients',
    )
    giving.add_argument(
        "--ttl", default="1h", metavar="TIME", help="how long it lives: 10m, 1h; at most 24h (default: 1h)"
    )
    giving.add_argument(
        "--scope",
        action="append",
        metavar="SCOPE",
        help="what it may do: admin:read, admin:clients and the like; repeat it (default: admin:*, which is all)",
    )
    add_data_option(giving)
    add_config_option(giving)
    giving.set_defaults(run=token)


def token(arguments: argparse.Namespace) -> int:
    """Print a new token for the admin API."""
    from jotgate.cli.operator import ask_control, ask_or_open, find_directory
    from jotgate.core.admin_tokens import AdminTokenOrder
    from jotgate.core.claims import Issued

    scopes = words(arguments.scope or [])
    if arguments.scope is not None and not scopes:
        raise UsageError("--scope names no scope", hint="Leave --scope out for all, or name what the token may do")
    try:
        order = AdminTokenOrder(seconds(arguments.ttl), scopes)
    except UsageError:
        raise
    except CommandError as error:
        raise UsageError(error.message, hint=error.hint) from None
    directory = find_directory(arguments)

    def ask() -> tuple[Issued, str]:
        return ask_control(directory, "/admin-tokens", order, Issued), "jotgate status"

    def open_data() -> tuple[Issued, str]:
        from jotgate.assembly.accounts_offline import issue_admin_token

        return issue_admin_token(directory, sources(arguments), order), "jotgate up"

    issued, following = ask_or_open(directory, ask, open_data)
    sys.stdout.write(issued.token + "\n")
    sys.stdout.flush()
    say_next(following, arguments, without=("config",) if following == "jotgate status" else ())
    return EXIT_OK

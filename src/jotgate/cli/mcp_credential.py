"""`jotgate mcp credential`: what is kept sealed for MCP servers; it comes by standard input and is never shown."""

import argparse
import sys
from typing import TYPE_CHECKING, Final

from jotgate.cli.common import EXIT_FAILED, EXIT_OK, UsageError, add_config_option, add_data_option, say_next
from jotgate.cli.confirming import add_yes_option, confirm
from jotgate.cli.outcomes import may_be_done
from jotgate.cli.records import plain
from jotgate.cli.tables import print_table, time_text
from jotgate.errors import CommandError

if TYPE_CHECKING:
    from jotgate.cli.operator import Offline
    from jotgate.core.mcp_credential_orders import McpCredentialAnswer, McpCredentialOrder, McpCredentialView

_HEAD: Final = ["SERVER", "SUBJECT", "KIND", "SINCE", "STATE"]
_BYTES_MAX: Final = 16_384


def register_credential(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `jotgate mcp credential` and its actions."""
    noun = actions.add_parser(
        "credential",
        help="keep the credentials of MCP servers",
        description="What is kept sealed for MCP servers, for all callers or for each. No secret is shown.",
    )
    further = noun.add_subparsers(dest="further", required=True, metavar="ACTION")
    listing = further.add_parser(
        "list",
        help="list what is kept",
        description="List what is kept for MCP servers. The exit code is 1 if something of it is of no use any more.",
    )
    listing.add_argument("server", nargs="?", default="", metavar="SERVER", help="the server (default: all of them)")
    listing.add_argument("--json", action="store_true", help="print it as one JSON object")
    _finish(listing, show)
    setting = further.add_parser(
        "set",
        help="keep a credential, read from stdin",
        description="Read a credential from standard input and keep it sealed, in place of the one before: a secret "
        "that is sent as it is, or where the settings say user-login, the refresh token of a caller.",
        epilog="example: jotgate mcp credential set jira --subject ann < refresh-token",
    )
    _add_place(setting)
    _finish(setting, keep)
    removing = further.add_parser(
        "remove",
        help="erase a credential",
        description="Erase what is kept for a server, and stop using what was got by it.",
    )
    _add_place(removing)
    add_yes_option(removing)
    _finish(removing, remove)


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("server", metavar="SERVER", help="the server")
    parser.add_argument(
        "--subject",
        default="",
        metavar="NAME",
        help="whose it is, where each caller has its own: the subject of tokens, of another issuer ISSUER/SUBJECT",
    )


def _finish(parser: argparse.ArgumentParser, run: object) -> None:
    add_data_option(parser)
    add_config_option(parser)
    parser.set_defaults(run=run)


def show(arguments: argparse.Namespace) -> int:
    """Print what is kept, one line each."""
    import msgspec

    from jotgate.core.mcp_credential_orders import McpCredentialOrder

    answer = _ask(arguments, McpCredentialOrder(action="list", server=arguments.server))
    if arguments.json:
        sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    else:
        print_table([_row(one) for one in answer.credentials], _HEAD)
    sys.stdout.flush()
    return EXIT_FAILED if any(one.fault for one in answer.credentials) else EXIT_OK


def keep(arguments: argparse.Namespace) -> int:
    """Read a credential, and have it kept."""
    from jotgate.core.mcp_credential_orders import McpCredentialOrder

    secret = _read()
    try:
        order = McpCredentialOrder(action="set", server=arguments.server, holder=arguments.subject, secret=secret)
    except CommandError as error:
        raise UsageError(error.message, hint=error.hint) from None
    with may_be_done("'jotgate mcp credential list' shows"):
        answer = _ask(arguments, order)
    whose = f" for '{plain(arguments.subject)}'" if arguments.subject else ""
    instead = ", in place of the one before" if answer.replaced else ""
    sys.stdout.write(f"the credential of '{plain(arguments.server)}'{whose} is kept sealed{instead}\n")
    sys.stdout.flush()
    say_next(f"jotgate mcp credential list {arguments.server}" if answer.running else "jotgate up", arguments)
    return EXIT_OK


def remove(arguments: argparse.Namespace) -> int:
    """Erase a credential."""
    from jotgate.core.mcp_credential_orders import McpCredentialOrder

    whose = f" for '{plain(arguments.subject)}'" if arguments.subject else ""
    confirm(
        arguments,
        arguments.server,
        f"the credential of '{plain(arguments.server)}'{whose} would be erased; calls get 503 until there is another",
    )
    order = McpCredentialOrder(action="remove", server=arguments.server, holder=arguments.subject)
    with may_be_done("'jotgate mcp credential list' shows"):
        _ask(arguments, order)
    sys.stdout.write(f"the credential of '{plain(arguments.server)}'{whose} is erased here\n")
    sys.stdout.flush()
    sys.stderr.write("  note  the server was not told; withdraw it there to end it there too\n")
    say_next("jotgate mcp credential list", arguments)
    return EXIT_OK


def _read() -> str:
    """What stands on standard input, without the line's end. Raises UsageError."""
    if sys.stdin.isatty():
        raise UsageError("a credential is not typed where it is seen", hint="Give it on stdin: … set SERVER < FILE")
    octets = sys.stdin.buffer.read(_BYTES_MAX + 1)
    try:
        return octets[:_BYTES_MAX].decode("ascii").strip("\r\n")
    except UnicodeDecodeError:
        raise UsageError("the credential has characters that no header field has", hint="Give it as text") from None


def _ask(arguments: argparse.Namespace, order: "McpCredentialOrder") -> "McpCredentialAnswer":
    from jotgate.cli.operator import carry_out
    from jotgate.core.mcp_credential_orders import McpCredentialAnswer

    def offline() -> "Offline[McpCredentialOrder, McpCredentialAnswer]":
        from jotgate.assembly.mcp_offline import order_credentials

        return order_credentials

    return carry_out(arguments, "/mcp/credentials", order, McpCredentialAnswer, offline, begins=True)


def _row(one: "McpCredentialView") -> list[str]:
    state = (one.fault if one.unused else f"connect again: {one.fault}") if one.fault else "good"
    return [one.server, one.holder or "(all callers)", one.kind, time_text(one.obtained_at_s), state]

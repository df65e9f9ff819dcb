"""`jotgate mcp`: the tools of MCP servers, and which of them are approved."""

import argparse
import difflib
import sys
from typing import TYPE_CHECKING, Final

from jotgate.cli.common import (
    EXIT_OK,
    add_config_option,
    add_data_option,
    say_next,
)
from jotgate.cli.confirming import add_yes_option, confirm
from jotgate.cli.mcp_credential import register_credential
from jotgate.cli.outcomes import may_be_done
from jotgate.cli.records import plain
from jotgate.cli.tables import print_table, time_text
from jotgate.errors import CommandError

if TYPE_CHECKING:
    from jotgate.cli.operator import Offline
    from jotgate.core.mcp_orders import McpAnswer, McpOrder, ToolView

_SERVERS: Final = ["NAME", "PLACE", "CREDENTIAL", "PINS", "SHOWN", "HIDDEN"]
_TOOLS: Final = ["TOOL", "STATE", "SCOPE", "SINCE", "BY"]


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `jotgate mcp` and its actions."""
    noun = commands.add_parser(
        "mcp",
        help="approve the tools of MCP servers, keep their credentials",
        description="The tools of MCP servers, and what is kept for the servers.",
    )
    actions = noun.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser(
        "list",
        help="list the MCP servers, or the tools of one",
        description="List the MCP servers with how many of their tools are shown and hidden; of one server, its tools.",
    )
    listing.add_argument("server", nargs="?", default="", metavar="SERVER", help="the server whose tools are listed")
    listing.add_argument("--json", action="store_true", help="print it as one JSON object")
    _finish(listing, show)
    approving = actions.add_parser(
        "approve",
        help="approve tools as they are now",
        description="Show what is new or different in a tool's definition, and let callers see it from then on.",
        epilog="example: jotgate mcp approve files read_file",
    )
    approving.add_argument("server", metavar="SERVER", help="the server")
    approving.add_argument("tool", nargs="+", metavar="TOOL", help="the tool; several may be named")
    add_yes_option(approving)
    _finish(approving, approve)
    forgetting = actions.add_parser(
        "forget",
        help="forget what is known of tools",
        description="Forget tools of a server, or all that is known of it. Of a server of which nothing is known the "
        "next list is pinned as it is, unless its settings say otherwise; a forgotten tool is a new one.",
    )
    forgetting.add_argument("server", metavar="SERVER", help="the server")
    forgetting.add_argument("tool", nargs="*", metavar="TOOL", help="the tool (default: all of the server)")
    add_yes_option(forgetting)
    _finish(forgetting, forget)
    register_credential(actions)


def _finish(parser: argparse.ArgumentParser, run: object) -> None:
    add_data_option(parser)
    add_config_option(parser)
    parser.set_defaults(run=run)


def show(arguments: argparse.Namespace) -> int:
    """Print the servers, one line each; or the tools of one."""
    import msgspec

    answer = _ask(arguments, _order("list", arguments.server))
    if arguments.server:
        _check_server(answer, arguments.server)
    if arguments.json:
        sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    elif arguments.server:
        print_table([_row(one) for one in answer.tools], _TOOLS)
    else:
        rows = [
            [one.name, one.place or "-", one.credential, one.pins, str(one.shown), str(one.hidden)]
            for one in answer.servers
        ]
        print_table(rows, _SERVERS)
    sys.stdout.flush()
    hidden = next((one for one in answer.tools if one.state != "shown"), None)
    if hidden is not None and not arguments.json:
        comment = " shows what is different and asks; with --yes it approves that at once"
        say_next(f"jotgate mcp approve {hidden.server} {hidden.tool}", arguments, comment)
    return EXIT_OK


def approve(arguments: argparse.Namespace) -> int:
    """Show what has changed, and approve it."""
    server, names = arguments.server, tuple(dict.fromkeys(arguments.tool))
    answer = _ask(arguments, _order("list", server, names, definitions=True))
    _check_server(answer, server)
    found = {one.tool: one for one in answer.tools}
    for name in names:
        if name not in found:
            raise CommandError(
                f"no tool '{plain(name)}' of a server '{plain(server)}' was ever seen",
                hint=f"Look at 'jotgate mcp list {server}'",
            )
    waiting = [found[name] for name in names if found[name].state != "shown"]
    for one in waiting:
        sys.stdout.write(_difference(one))
    sys.stdout.flush()
    if not waiting:
        sys.stderr.write("  note  nothing waits to be approved: they are shown as they are\n")
        return EXIT_OK
    what = f"{len(waiting)} {'tool' if len(waiting) == 1 else 'tools'} of '{server}' would be shown to callers as above"
    confirm(arguments, server, what)
    digests = {one.tool: one.seen or one.digest for one in waiting}
    with may_be_done(f"'jotgate mcp list {server}' shows"):
        done = _ask(arguments, _order("approve", server, digests=digests))
    for name in done.done:
        sys.stdout.write(f"approved the tool '{name}' of '{server}'\n")
    sys.stdout.flush()
    say_next(f"jotgate mcp list {server}" if done.running else "jotgate up", arguments)
    return EXIT_OK


def forget(arguments: argparse.Namespace) -> int:
    """Forget what is known of tools."""
    server, names = arguments.server, tuple(dict.fromkeys(arguments.tool))
    answer = _ask(arguments, _order("list", server, names))
    _check_server(answer, server)
    if not answer.tools:
        raise CommandError(f"no such tool of '{plain(server)}' was ever seen", hint="Look at 'jotgate mcp list'")
    what = "1 tool" if len(answer.tools) == 1 else f"{len(answer.tools)} tools"
    confirm(arguments, server, f"what was approved of {what} of '{server}' would be forgotten")
    with may_be_done(f"'jotgate mcp list {server}' shows"):
        done = _ask(arguments, _order("forget", server, names))
    sys.stdout.write(f"forgot {len(done.done)} {'tool' if len(done.done) == 1 else 'tools'} of '{server}'\n")
    sys.stdout.flush()
    say_next(f"jotgate mcp list {server}", arguments)
    return EXIT_OK


def _order(
    action: str,
    server: str = "",
    tools: tuple[str, ...] = (),
    *,
    digests: dict[str, str] | None = None,
    definitions: bool = False,
) -> "McpOrder":
    import msgspec

    from jotgate.core.mcp_orders import McpOrder

    said = {
        "action": action,
        "server": server,
        "tools": tools,
        "digests": digests or {},
        "definitions": definitions,
    }
    return msgspec.convert(said, McpOrder)


def _ask(arguments: argparse.Namespace, order: "McpOrder") -> "McpAnswer":
    """What the running control answers, or what this process does itself under the lock on DATA."""
    from jotgate.cli.operator import carry_out
    from jotgate.core.mcp_orders import McpAnswer

    def offline() -> "Offline[McpOrder, McpAnswer]":
        from jotgate.assembly.mcp_offline import order_tools

        return order_tools

    return carry_out(arguments, "/mcp/tools", order, McpAnswer, offline, begins=True)


def _check_server(answer: "McpAnswer", server: str) -> None:
    """Refuse a name that neither the settings nor what is known of tools has. Raises CommandError."""
    names = [one.name for one in answer.servers]
    if server not in names:
        none = "Write it into jotgate.toml: [[mcp.servers]] (docs/mcp.md)"
        raise CommandError(
            f"the settings name no MCP server '{plain(server)}'",
            hint=f"Name one of: {', '.join(map(plain, names))}" if names else none,
        )


def _row(one: "ToolView") -> list[str]:
    from jotgate.core.mcp_tools import wanted_scope

    since = one.pinned_at_s if one.state == "shown" else one.seen_at_s
    by = one.pinned_by if one.state == "shown" else "-"
    scope = wanted_scope(one.server, one.tool, read_only=one.read_only)
    return [one.tool, one.state, scope, time_text(since), by]


def _difference(one: "ToolView") -> str:
    """What a person is to look at: the lines that go and that come, escaped, since a server wrote them."""
    before, after = _lines(one.definition), _lines(one.seen_definition)
    head = f"tool {plain(one.server)}:{plain(one.tool)}  {one.state}, seen {time_text(one.seen_at_s)}\n"
    if not one.digest:
        return head + "".join(f"  + {line}\n" for line in after)
    kept = [line for line in difflib.ndiff(before, after) if not line.startswith("?")]
    note = "" if one.read_only == one.seen_read_only else _note(one)
    return head + "".join(f"  {line}\n" for line in kept) + note


def _note(one: "ToolView") -> str:
    scope = f"the scope mcp:{plain(one.server)}:read"
    if one.seen_read_only:
        return f"  note  it says now that it only reads: {scope} covers it\n"
    return f"  note  it does not say any more that it only reads: {scope} does not cover it\n"


def _lines(definition: str) -> list[str]:
    """The JSON of a definition, one member a line; what could drive a terminal is escaped."""
    import json

    if not definition:
        return []
    try:
        text = json.dumps(json.loads(definition), indent=2, ensure_ascii=True)
    except ValueError:
        text = definition
    return [plain(line) for line in text.splitlines()]

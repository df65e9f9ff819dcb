"""`jotgate token narrow` and `jotgate token tree`: making a token that may do less, and seeing what came of one."""

import argparse
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from jotgate.cli.accounts import add_tool_option
from jotgate.cli.common import (
    EXIT_OK,
    UsageError,
    add_config_option,
    add_data_option,
    say_next,
)
from jotgate.cli.limit_options import add_limit_options, limits_of
from jotgate.cli.records import plain, print_lines
from jotgate.cli.token_text import add_argv_trap, read_scopes, read_token
from jotgate.errors import CommandError

if TYPE_CHECKING:
    from jotgate.cli.operator import Offline
    from jotgate.core.claims import Issued
    from jotgate.core.narrow_orders import NarrowOrder
    from jotgate.core.tree_orders import TokenTree, TreeNode, TreeOrder

_INDENT: Final = "  "
_DOTS: Final = 2  # of a compact JWS


def register(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add both to the actions of `jotgate token`."""
    _register_narrow(actions)
    tree_parser = actions.add_parser(
        "tree",
        help="show which tokens one comes of, and which came of it",
        description="Show the tokens that one was narrowed from, itself (marked with *), and all that was narrowed "
        "from it, each with its state: live, revoked or ended. The token is named by its identifier (claim jti), or "
        "given on stdin or in JOTGATE_TOKEN; it need not be good any more.",
        epilog="example: jotgate token tree 6f1d0c52a9e84b7f93d20b5e7ac41866",
    )
    tree_parser.add_argument("misplaced", nargs="*", metavar="JTI", help="the token's identifier")
    tree_parser.add_argument("--json", action="store_true", help="print one JSON object a line, one for each token")
    add_data_option(tree_parser)
    add_config_option(tree_parser)
    tree_parser.set_defaults(run=tree)


def _register_narrow(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    narrow_parser = actions.add_parser(
        "narrow",
        help="make a token from another that may do less",
        description="Read a token from stdin or JOTGATE_TOKEN, and print one on stdout that was narrowed from it: it "
        "speaks for the same, may do no more, ends no later, and is revoked with it.",
        epilog="example: jotgate token narrow --scope chat.completions --model echo --ttl 15m < parent.jwt",
    )
    add_argv_trap(narrow_parser)
    narrow_parser.add_argument(
        "--scope",
        action="append",
        metavar="SCOPE",
        help="what it may do; repeat it, or write several with spaces (default: all that the token may)",
    )
    narrow_parser.add_argument(
        "--model", action="append", metavar="MODEL", help="a model it may use; repeat it (default: the token's)"
    )
    narrow_parser.add_argument(
        "--ttl", metavar="TIME", help="how long it lives, such as 15m (default: 1h, or until the token ends)"
    )
    narrow_parser.add_argument(
        "--actor", default="", metavar="NAME", help="who acts by it (claim act), such as the agent that it is for"
    )
    narrow_parser.add_argument(
        "--audience", action="append", default=[], metavar="URL", help="who should accept it (default: the token's)"
    )
    add_tool_option(narrow_parser)
    add_limit_options(narrow_parser)
    add_data_option(narrow_parser)
    add_config_option(narrow_parser)
    narrow_parser.set_defaults(run=narrow)


def narrow(arguments: argparse.Namespace) -> int:
    """Print a new token that was narrowed from another."""
    from jotgate.core.narrow_orders import NarrowOrder
    from jotgate.core.values import parse_duration_s

    if arguments.tool:
        raise UsageError("a token has no tools: tools are scopes, such as mcp:files:read_file", hint="Use --scope")
    token = read_token(arguments)
    try:
        order = NarrowOrder(
            token=token,
            scopes=read_scopes(arguments.scope),
            models=tuple(dict.fromkeys(arguments.model)) if arguments.model else None,
            audiences=tuple(dict.fromkeys(arguments.audience)),
            ttl_s=None if arguments.ttl is None else parse_duration_s(arguments.ttl),
            actor=arguments.actor,
            limits=limits_of(arguments),
        )
    except UsageError:
        raise
    except CommandError as error:
        raise UsageError(error.message, hint=error.hint) from None
    issued = _ask_narrow(arguments, order)
    sys.stdout.write(issued.token + "\n")
    sys.stdout.flush()
    say_next(f"jotgate token tree {issued.token_id}", arguments, " shows what it comes of, and what comes of it")
    return EXIT_OK


def tree(arguments: argparse.Namespace) -> int:
    """Print the tree of a token."""
    from jotgate.core.tree_orders import TREE_MAX

    found = _ask_tree(arguments, _read_order(arguments))
    named = next(node.token_id for node in found.nodes if node.named)
    whole = print_lines(_lines(found, as_json=arguments.json))
    if found.more:
        sys.stderr.write(f"  note  there are more than these {TREE_MAX}: ask for the tree of one of them\n")
    if whole and " " not in named:
        say_next(f"jotgate token revoke {named}", arguments, " ends it, and all below it")
    return EXIT_OK


def _read_order(arguments: argparse.Namespace) -> "TreeOrder":
    from jotgate.core.misplaced import token_given
    from jotgate.core.tree_orders import TreeOrder

    names = arguments.misplaced
    try:
        if len(names) == 1 and names[0].count(".") == _DOTS:
            raise token_given(names[0])
        if names:
            return TreeOrder(token_id=" ".join(names))  # Of another issuer: its `iss`, and the token's identifier.
        return TreeOrder(token=read_token(arguments))
    except UsageError:
        raise
    except CommandError as error:
        raise UsageError(error.message, hint=error.hint) from None


def _lines(found: "TokenTree", *, as_json: bool) -> Iterator[str]:
    from msgspec import json

    for node in found.nodes:
        yield json.encode(node).decode() if as_json else _row(node)


def _row(node: "TreeNode") -> str:
    mark = "*" if node.named else " "
    head = f"{mark} {_INDENT * node.depth}{plain(node.token_id)}  {node.state}"
    view = node.view
    if view is None:
        return f"{head}  not in the ledger" if node.state == "unknown" else head
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(view.expires_at_s))
    acts = f"  acts: {plain(view.actor)}" if view.actor else ""
    return f"{head}  {until}  {plain(view.subject)} · {plain(view.client_id)}{acts}"


def _ask_narrow(arguments: argparse.Namespace, order: "NarrowOrder") -> "Issued":
    from jotgate.cli.operator import carry_out
    from jotgate.core.claims import Issued

    def offline() -> "Offline[NarrowOrder, Issued]":
        from jotgate.assembly.narrowing_offline import narrow_token

        return narrow_token

    return carry_out(arguments, "/tokens/narrow", order, Issued, offline)


def _ask_tree(arguments: argparse.Namespace, order: "TreeOrder") -> "TokenTree":
    from jotgate.cli.operator import carry_out
    from jotgate.core.tree_orders import TokenTree

    def offline() -> "Offline[TreeOrder, TokenTree]":
        from jotgate.assembly.narrowing_offline import read_tree

        return read_tree

    return carry_out(arguments, "/tokens/tree", order, TokenTree, offline)

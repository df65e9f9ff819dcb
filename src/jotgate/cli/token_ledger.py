"""`jotgate token list` and `jotgate token revoke`: the tokens that were issued, none of which is kept or shown."""

import argparse
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from jotgate.cli.common import (
    EXIT_OK,
    UsageError,
    add_config_option,
    add_data_option,
    say_next,
)
from jotgate.cli.endless_tokens import list_endless
from jotgate.cli.records import plain, print_lines
from jotgate.cli.token_holders import UNCOUNTED, add_holder_options, count_of, find_holder, revoke_of
from jotgate.cli.token_orders import order_revocation, pages
from jotgate.errors import CommandError

if TYPE_CHECKING:
    from jotgate.cli.operator import Offline
    from jotgate.core.token_orders import TokenAnswer, TokenListing, TokenOrder, TokenPage, TokenView

_ID_CHARS: Final = 32


def register(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add both to the actions of `jotgate token`."""
    listing = actions.add_parser(
        "list",
        help="list the tokens that were issued",
        description="List the access tokens that this installation has issued, by their identifier; not the tokens "
        "themselves, which it does not keep. One is listed until it has ended.",
    )
    listing.add_argument("--subject", metavar="NAME", help="only those that speak for NAME")
    listing.add_argument("--client", metavar="NAME", help="only those that were issued to this client")
    listing.add_argument("--live", action="store_true", help="only those that count: not ended, not revoked")
    listing.add_argument(
        "--never-expires",
        action="store_true",
        help="list instead the tokens without an end that were taken, whoever issued them, and when they were seen",
    )
    listing.add_argument("--json", action="store_true", help="print one JSON object a line, the last one with the sum")
    add_data_option(listing)
    add_config_option(listing)
    listing.set_defaults(run=list_tokens)

    revoke_parser = actions.add_parser(
        "revoke",
        help="revoke tokens, and all that was narrowed from them",
        description="Revoke access tokens by their identifiers (claim jti), and with each all that was narrowed from "
        "it; or all that a client, a subject, a tenant or a key was issued. Every worker refuses them within a second. "
        "Without --yes it says what that would do, and does nothing.",
        epilog="example: jotgate token revoke 6f1d0c52a9e84b7f93d20b5e7ac41866 --reason 'laptop lost' --yes",
    )
    revoke_parser.add_argument("token_id", nargs="*", metavar="JTI", help="a token's identifier")
    add_holder_options(revoke_parser)
    revoke_parser.add_argument(
        "--issuer", default="", metavar="NAME", help="who issued them, if another issuer did: its name here, or its iss"
    )
    revoke_parser.add_argument(
        "--family", action="store_true", help="end the refresh-token families that they came of, too"
    )
    revoke_parser.add_argument("--reason", default="", metavar="TEXT", help="why; it stands in the audit log")
    revoke_parser.add_argument("--yes", action="store_true", help="you mean it: a revocation cannot be undone")
    add_data_option(revoke_parser)
    add_config_option(revoke_parser)
    revoke_parser.set_defaults(run=revoke)


def list_tokens(arguments: argparse.Namespace) -> int:
    """List tokens."""
    if arguments.never_expires:
        return list_endless(arguments)
    if print_lines(_lines(arguments)):
        say_next("jotgate token revoke JTI", arguments, " refuses one, and all that was narrowed from it")
    return EXIT_OK


def revoke(arguments: argparse.Namespace) -> int:
    """Revoke tokens, or say what that would do."""
    from jotgate.core.token_orders import TokenOrder

    kind = find_holder(arguments)
    if kind is not None:
        return revoke_of(arguments, kind)
    if not arguments.token_id:
        raise UsageError(
            "no token is named", hint="Give the identifier of one, or --client, --subject, --tenant or --key"
        )
    if arguments.issuer and arguments.family:
        raise UsageError("--family is for tokens that were issued here", hint="Leave --family or --issuer out")
    try:
        order = TokenOrder(
            token_ids=tuple(arguments.token_id),
            issuer=arguments.issuer,
            families=arguments.family,
            reason=arguments.reason,
            confirmed=arguments.yes,
        )
    except CommandError as error:
        raise UsageError(error.message, hint=error.hint) from None
    answer = _ask_revoke(arguments, order)
    if not answer.done:
        raise UsageError(
            f"this cannot be undone: it {_impact(answer)}{UNCOUNTED}",
            hint="Say that you mean it with --yes" + _advice(answer),
        )
    sys.stdout.write(f"revoked: it {_impact(answer)}\n")
    sys.stdout.flush()
    if answer.families:
        sys.stderr.write(
            f"  note  their refresh tokens still give new ones: {' '.join(answer.families)}; see --family\n"
        )
    if answer.shared:
        sys.stderr.write("  note  other machines follow within a second, or serve nothing soon after\n")
    say_next("jotgate token list --live", arguments)
    return EXIT_OK


def _impact(answer: "TokenAnswer") -> str:
    """What it does, as the end of a sentence that begins with 'it'."""
    families = f", and ends {_count(len(answer.ended_families), 'family', 'families')}" if answer.ended_families else ""
    derived = f"{_count(answer.derived, 'token', 'tokens')} that came of them"
    if answer.live is None:
        here = f"; {derived} here would go with them" if answer.derived and not answer.done else ""
        here = f"; {derived} here went with them" if answer.derived and answer.done else here
        return f"invalidates tokens of another issuer, how many of them live is unknown here{here}"
    more = f", {derived} among them" if answer.derived and not answer.more else ""
    return f"invalidates {count_of(answer.live, answer.more)}{more}{families}"


def _advice(answer: "TokenAnswer") -> str:
    if not answer.families:
        return ""
    return "; their refresh tokens would still give new ones, unless --family ends those, too"


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def _lines(arguments: argparse.Namespace) -> Iterator[str]:
    """What is listed, as it comes from control page by page."""
    from msgspec import json

    count, elsewhere, columns = 0, [], sys.stdout.isatty() and not arguments.json
    if columns:
        yield "  ".join(("IDENTIFIER".ljust(_ID_CHARS), "STATE".ljust(7), "EXPIRES".ljust(20), "SUBJECT · CLIENT"))
    for page in pages(partial(_ask_page, arguments)):
        elsewhere = page.elsewhere
        count += len(page.tokens)
        for one in page.tokens:
            yield json.encode(one).decode() if arguments.json else _row(one, columns)
    if arguments.json:
        yield json.encode({"count": count, "elsewhere": dict.fromkeys(elsewhere, "unknown")}).decode()
    elif elsewhere:
        names = ", ".join(elsewhere)
        sys.stderr.write(f"  note  {count} of this installation; how many others have issued is unknown: {names}\n")


def _row(one: "TokenView", columns: bool) -> str:
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(one.expires_at_s))
    cells = [one.token_id, one.state, until, plain(one.subject), plain(one.client_id)]
    if not columns:
        return "\t".join(cells)
    return f"{cells[0]:<{_ID_CHARS}}  {cells[1]:<7}  {until}  {cells[3]} · {cells[4]}"


def _ask_page(arguments: argparse.Namespace, after: str) -> "TokenPage":
    from jotgate.cli.operator import carry_out
    from jotgate.core.token_orders import TokenListing, TokenPage

    def offline() -> "Offline[TokenListing, TokenPage]":
        from jotgate.assembly.tokens_offline import list_tokens

        return list_tokens

    wanted = TokenListing(subject=arguments.subject, client_id=arguments.client, live=arguments.live, after=after)
    return carry_out(arguments, "/tokens/list", wanted, TokenPage, offline)


def _ask_revoke(arguments: argparse.Namespace, order: "TokenOrder") -> "TokenAnswer":
    from jotgate.core.token_orders import TokenAnswer

    def offline() -> "Offline[TokenOrder, TokenAnswer]":
        from jotgate.assembly.tokens_offline import revoke_tokens

        return revoke_tokens

    return order_revocation(arguments, "/tokens/revoke", order, TokenAnswer, offline)

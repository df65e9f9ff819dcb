"""`jotgate token list --never-expires`: the tokens without an end that were taken, none of which is kept or shown."""

import argparse
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from jotgate.cli.common import EXIT_OK, UsageError, say_next
from jotgate.cli.records import plain, print_lines
from jotgate.cli.token_orders import pages

if TYPE_CHECKING:
    from jotgate.cli.operator import Offline
    from jotgate.core.endless_tokens import EndlessListing, EndlessPage, EndlessView

_HEAD: Final = ("STATE", "FIRST SEEN", "LAST SEEN", "ISSUER", "SUBJECT", "IDENTIFIER")
_WIDTHS: Final = (7, 20, 20, 12, 20, 0)


def list_endless(arguments: argparse.Namespace) -> int:
    """List them."""
    if arguments.client is not None:
        raise UsageError(
            "tokens that never expire are of other issuers, and their clients are not kept",
            hint="Leave --client out, or name whom they speak for with --subject",
        )
    if print_lines(_lines(arguments)):
        say_next("jotgate token revoke IDENTIFIER --issuer ISSUER", arguments, " has one refused from now on")
    return EXIT_OK


def _lines(arguments: argparse.Namespace) -> Iterator[str]:
    """What is listed, as it comes from control page by page."""
    from msgspec import json

    count, columns = 0, sys.stdout.isatty() and not arguments.json
    if columns:
        yield _columns(_HEAD)
    for page in pages(partial(_ask_page, arguments)):
        count += len(page.tokens)
        for one in page.tokens:
            yield json.encode(one).decode() if arguments.json else _row(one, columns)
    if arguments.json:
        yield json.encode({"count": count}).decode()


def _row(one: "EndlessView", columns: bool) -> str:
    state = "revoked" if one.revoked else "seen"
    # Without an identifier that can be told, it is revoked by its subject.
    texts = (plain(text) for text in (one.issuer, one.subject, one.token_id or "-"))
    cells = (state, _moment(one.first_seen_at_s), _moment(one.last_seen_at_s), *texts)
    return _columns(cells) if columns else "\t".join(cells)


def _columns(cells: tuple[str, ...]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True))


def _moment(at_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))


def _ask_page(arguments: argparse.Namespace, after: str) -> "EndlessPage":
    from jotgate.cli.operator import carry_out
    from jotgate.core.endless_tokens import EndlessListing, EndlessPage

    def offline() -> "Offline[EndlessListing, EndlessPage]":
        from jotgate.assembly.tokens_offline import list_endless

        return list_endless

    wanted = EndlessListing(subject=arguments.subject or "", live=arguments.live, after=after)
    return carry_out(arguments, "/tokens/endless", wanted, EndlessPage, offline)

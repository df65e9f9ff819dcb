"""What the commands about tokens have in common: lists come page by page, and revocations may have been done."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol, TypeVar

from jotgate.cli.outcomes import may_be_done

if TYPE_CHECKING:
    from jotgate.cli.operator import Offline
    from jotgate.core.holder_orders import HolderOrder
    from jotgate.core.token_orders import TokenOrder


class Page(Protocol):
    """One of the pages of a list."""

    @property
    def after(self) -> str:
        """What the next page is asked for by; empty: this is the last."""


_Page = TypeVar("_Page", bound=Page)
_Order = TypeVar("_Order", "TokenOrder", "HolderOrder")
_Answer = TypeVar("_Answer")


def pages(ask: Callable[[str], _Page]) -> Iterator[_Page]:
    """All pages of a list, the first of which is asked for by an empty text."""
    after = ""
    while True:
        page = ask(after)
        yield page
        after = page.after
        if not after:
            return


def order_revocation(
    arguments: argparse.Namespace,
    path: str,
    order: _Order,
    answer: type[_Answer],
    offline: "Callable[[], Offline[_Order, _Answer]]",
) -> _Answer:
    """What comes of an order to revoke, or what it would do, as it is not confirmed. Raises as `carry_out`."""
    from jotgate.cli.operator import carry_out

    with may_be_done("'jotgate token list' shows") if order.confirmed else nullcontext():
        return carry_out(arguments, path, order, answer, offline)

"""What a command says of an order whose outcome it was not told: that it may have been done, and how to find out."""

from collections.abc import Iterator
from contextlib import contextmanager

from jotgate.cli.common import ControlRefusal
from jotgate.errors import Code, CommandError, JotgateError


class Unanswered(CommandError):
    """The running control was given an order, and did not answer in time."""


@contextmanager
def may_be_done(find_out: str) -> Iterator[None]:
    """Give an order that changes something. `find_out` is what shows whether it was done, as the begin of a sentence.

    Raises:
        JotgateError: what the order raises; where it leaves open what became of it, it says so, and what to do.
    """
    try:
        yield
    except JotgateError as error:
        name = error.name if isinstance(error, ControlRefusal) else error.code
        if isinstance(error, Unanswered):
            error.message += "; what was ordered may be carried out still"
        elif name == Code.STORE_UNAVAILABLE:
            error.message += "; whether it was done is not known"
        else:
            raise
        error.hint = f"{find_out} whether it was done; to order it again does no harm"
        raise

"""What the connections of one listener share, and what each of them hands to the application it serves."""

from typing import Protocol

from msgspec import Struct

from jotgate.core.calls import Request
from jotgate.core.snapshot import Limits
from jotgate.edge.http1.responses import HeadWriter
from jotgate.errors import JotgateError
from jotgate.ports import Answer, Caller, Clock


class Application(Protocol):
    """What the edge serves."""

    def open(self, request: Request) -> Answer:
        """The head is read: decide what it decides, and return what answers once the body is read.

        Raises:
            JotgateError: the request goes no further than `refuse`.
        """

    def refuse(self, request: Request, refusal: JotgateError, caller: Caller) -> None:
        """Answer a request that goes no further."""


class OpenConnection(Protocol):
    """A client connection as the one who drains the listener sees it."""

    def close_when_idle(self) -> None:
        """Take no further request; close when what is read has been answered."""


class Surroundings(Struct, frozen=True):
    """What all connections of a listener share."""

    application: Application
    clock: Clock
    heads: HeadWriter
    limits: Limits
    connections: set[OpenConnection]


class Turn(Struct, frozen=True):
    """A request that is read and waits for its turn."""

    answer: Answer
    keep_alive: bool
    http10: bool
    bodiless: bool

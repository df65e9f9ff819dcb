"""What a mode of Coze (a chat, a workflow) and the run of one call are to each other.

The run (`upstreams.coze_run`) has the token, the connections, the deadlines and the caller. The mode knows what is
asked of Coze, in which order, and what its answers mean. All of it happens in one thread, in callbacks.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Raw, Struct

from jotgate.core.coze_aims import Aim
from jotgate.core.coze_asks import ChatAsk
from jotgate.core.coze_codes import CozeFault
from jotgate.core.coze_events import CozeEvent
from jotgate.core.coze_replies import Reply
from jotgate.core.owned_objects import ObjectAnswer, ObjectOrder
from jotgate.core.principals import Principal
from jotgate.core.routes import Upstream
from jotgate.errors import RequestMalformed, UpstreamError
from jotgate.ports import Clock


class CozeOrder(Struct, frozen=True):
    """One request of Coze's API. `target` is the path with its query, below the base URL; `body` is JSON, or empty.

    `starts`: something runs at Coze from then on that costs. What does not may be asked again when a connection fails.
    """

    method: bytes
    target: str
    body: bytes = b""
    starts: bool = False


class CozeAnswer(Struct, frozen=True):
    """An answer with code 0: its `data`, and the whole of it."""

    data: Raw
    body: bytes


class Hearing(Protocol):
    """Who asked something of Coze. Each order ends with `answered`, `ended`, `refused` or `lost`, once."""

    def answered(self, answer: CozeAnswer) -> None:
        """It was done, and this is the answer."""

    def heard(self, events: Sequence[CozeEvent]) -> None:
        """Events of the stream that it is answered with."""

    def ended(self) -> None:
        """The stream has ended where its framing says."""

    def refused(self, fault: CozeFault) -> None:
        """Coze has refused it; nothing was done."""

    def lost(self, error: UpstreamError) -> None:
        """Nobody knows what came of it: the connection failed, the answer broke off, or none came in time."""


class Room(Protocol):
    """The run, as its mode has it. After `finish`, `refuse` or `fail` nothing more is heard or told."""

    @property
    def ask(self) -> ChatAsk:
        """What the caller asks."""

    @property
    def aim(self) -> Aim:
        """What that asks of Coze."""

    @property
    def principal(self) -> Principal:
        """The caller."""

    @property
    def upstream(self) -> Upstream:
        """The upstream: its name is the place of owned objects, its deadlines hold for each order."""

    @property
    def clock(self) -> Clock:
        """The clock."""

    @property
    def reply(self) -> Reply:
        """The answer on its way; what it returns goes to `tell`, or to `finish`."""

    @property
    def written(self) -> bool:
        """Whether something was begun at Coze, or may have been."""

    def order(self, order: CozeOrder, hearing: Hearing) -> None:
        """Ask something of Coze; one thing at a time. A token is got, and another one where that is refused."""

    def keep(self, order: ObjectOrder, then: Callable[[ObjectAnswer | None], None]) -> None:
        """Ask something of the owned objects; `then` is not called when the run is over before."""

    def note(self, order: ObjectOrder) -> None:
        """Change an owned object; nobody waits for what comes of it, also after the run."""

    def wake(self, at_s: float, then: Callable[[], None]) -> None:
        """Have `then` called at a time of the monotonic clock, within a quarter of a second; one thing at a time."""

    def tell(self, piece: bytes) -> None:
        """Pass on what `reply` returned. Nothing, after something: Coze is at work still."""

    def finish(self, piece: bytes) -> None:
        """Pass on the rest: the answer is complete."""

    def refuse(self, fault: CozeFault) -> None:
        """End the call with what Coze has refused; after something was told, with an error in the stream."""

    def decline(self, fault: RequestMalformed) -> None:
        """End the call with what its caller has asked wrongly; before anything was told."""

    def fail(self, error: UpstreamError) -> None:
        """End the call, as it cannot be done."""


class Mode(Protocol):
    """One call at Coze."""

    def start(self) -> None:
        """Begin: called once."""

    @property
    def nascent(self) -> bool:
        """Whether something may have begun at Coze whose name is not known yet, so that it cannot be stopped."""

    def farewell(self) -> CozeOrder | None:
        """What is asked of Coze when nobody wants the answer any more: that it stops, or nothing."""


MakeMode = Callable[[Room], Mode]
"""Makes the mode of one run. Raises RequestMalformed."""

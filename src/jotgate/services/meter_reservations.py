"""What a call reserves of its quotas before it is let through, and what it is charged when it has ended."""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from jotgate.core.quotas import Meter
from jotgate.errors import QuotaStanding

Extended = Literal["granted", "waiting", "refused"]
"""What became of a step: it is reserved; units are asked for, and news will come; there are none."""


class Need(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a call may use at most. One request, and one of the calls that run at once, are meant by themselves.

    `cost` is in nanodollars. `output_least`: if the quotas have less left than `output_tokens`, as much as they have
    will do, down to this many; `cost_least` is what the call costs with those. None: all or nothing.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    tool_calls: int = 0
    output_least: int | None = None
    cost_least: int = 0


class Used(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a call has used; its request is meant by itself. `cost` is in nanodollars."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    tool_calls: int = 0


class Reservation:
    """What one call has reserved of all quotas that meet it. Mutable: its parts, until it is settled or voided.

    Exactly one of `settle` and `void` is called, once; a second one does nothing. `input_tokens`, `output_tokens`,
    `cost` and `tool_calls` are what is reserved by now; `output_tokens` may be less than was needed, see `Need`.
    """

    __slots__ = ("cost", "input_tokens", "output_tokens", "tool_calls", "unavailable")

    input_tokens: int
    output_tokens: int
    cost: int
    tool_calls: int
    unavailable: bool
    """Whether the last step was refused because the store is out of reach, and not because the quota is spent."""

    @property
    def meters(self) -> tuple[Meter, ...]:
        """The quotas that meet the call."""
        raise NotImplementedError

    def standings(self) -> tuple[QuotaStanding, ...]:
        """How each of its quotas stands, as far as this worker knows."""
        raise NotImplementedError

    def live(self, now_s: float) -> bool:
        """Whether the leases that it is of may still be spent: asked right before the upstream is written to.

        `now_s` is monotonic. If it says no, void the reservation and reserve anew.
        """
        raise NotImplementedError

    def extend(self, output_tokens: int, cost: int) -> Extended:
        """Reserve one more step: so many more output tokens, and nanodollars, or nothing of them.

        After "waiting", `on_news` is told once when it is of use to ask again; within 2.5 s it becomes one of the
        others.
        """
        raise NotImplementedError

    def on_news(self, tell: Callable[[], None]) -> None:
        """Whom to tell when a step that waits may be asked for again."""
        raise NotImplementedError

    def on_slot_lost(self, tell: Callable[[], None]) -> None:
        """Whom to tell, once, when the call has no place any more among those that run at once: it has to end."""
        raise NotImplementedError

    def settle(self, used: Used, *, forgive: bool = False) -> int:
        """Charge what was used and give the rest back; how many tokens were used beyond those reserved.

        These are charged too, which is debt if nothing is left of the quota; `forgive`: they are not.
        """
        raise NotImplementedError

    def void(self) -> None:
        """Give everything back, and the request itself: nothing of the call has reached an upstream."""
        raise NotImplementedError

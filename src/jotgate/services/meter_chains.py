"""Leases of one account that follow one another, as a worker reserves from them.

Each new lease takes over what running calls have reserved of the one before. That is `units - free - spent`, always,
without being kept anywhere: to reserve, to charge and to give back are additions to two numbers.
"""

from collections.abc import Mapping
from math import inf
from typing import Final, Protocol

from jotgate.core.ledger import LeaseAnswer, LeaseAsk
from jotgate.core.quotas import Meter, Unit

UNITS: Final[Mapping[Unit, int]] = {
    "requests": 0,
    "input_tokens": 1,
    "output_tokens": 2,
    "total_tokens": 3,
    "cost": 4,
    "tool_calls": 5,
    "concurrent": 6,
}
"""Where the amounts of a unit stand in a tuple of all."""
SLOTS: Final = UNITS["concurrent"]

MARGIN_S: Final = 0.25
"""So much earlier than the ledger does a worker end a lease."""


class Runner(Protocol):
    """A call that runs, as far as leases know of it."""

    def tell_news(self) -> None:
        """A step of it that waits may be asked for again."""

    def tell_slot_lost(self) -> None:
        """Its place among the calls that run at once is no longer its own."""


class Chain:
    """Leases of one window that follow one another. Mutable: the units of the newest, how many are free and spent.

    `free` below zero: more was used than is leased, which is debt unless more is granted. A call that would leave less
    than `low` is looked at more closely. `asked`: an answer about it is to come. `covering`: it has asked for units to
    cover what was used beyond its own; what it does not get is debt. `slots` are the calls that have a
    place of it, if those are what it counts. Of a chain that is `lost`, `told` is what the ledger was told as spent,
    and `posted` what the ledger has posted instead.
    """

    __slots__ = (
        "asked",
        "covering",
        "ends_s",
        "free",
        "lease_id",
        "lost",
        "low",
        "posted",
        "return_until_s",
        "slots",
        "spend_until_s",
        "spent",
        "told",
        "units",
        "used_s",
    )

    def __init__(self) -> None:
        self.lease_id = ""
        self.units = 0
        self.free = 0
        self.spent = 0
        self.low = 0
        self.used_s = -inf
        self.spend_until_s = inf
        self.return_until_s = inf
        self.ends_s = inf
        self.asked = False
        self.covering = False
        self.lost = False
        self.told = 0
        self.posted = 0
        self.slots: set[Runner] = set()

    @property
    def running(self) -> int:
        """What calls that run have reserved of it."""
        return self.units - self.free - self.spent

    @property
    def owed(self) -> int:
        """What was used in all of a chain that is lost, if that is more than was posted for it; else 0."""
        used = self.told + self.spent
        return used if used > self.posted else 0

    def ask(self, meter: Meter, lease_id: str, keep: int, *, want: int, least: int) -> LeaseAsk:
        """Ask for a lease that follows: what was spent is told, and what no call has but `keep` is given back.

        `want` and `least` are beside what is lacking of what was used and reserved.
        """
        running = self.running
        told = kept = 0
        if self.lease_id:
            told = self.spent
            self.covering = self.free < 0 and not self.covering
            if self.covering:
                # Not all is told until it is known how much else can be had: what is told beyond a lease is debt.
                keep = 0 if running else 1
                told = max(0, min(told, self.units - running - keep))
            # What calls have reserved stays leased as far as there is a lease, so that more can be charged on it.
            kept = max(0, min(running + keep, self.units))
            self.units, self.spent = kept, self.spent - told
            self.free = kept - running - self.spent
        lacking = max(0, -self.free)
        self.asked = True
        self.low = 0
        return LeaseAsk(lease_id, meter, want + lacking, least + lacking if least else 0, self.lease_id, told, kept)

    def lend(self, asked_s: float, answer: LeaseAnswer, added: int) -> None:
        """Have the lease of an answer, and `added` units more than before."""
        self.units += added
        self.free += added
        leased = answer.units > 0
        self.lease_id = answer.lease_id if leased else ""
        self.spend_until_s = asked_s + answer.spend_s - MARGIN_S if leased else inf
        self.return_until_s = asked_s + answer.return_s - MARGIN_S if leased else inf
        self.ends_s = asked_s + answer.ends_s - MARGIN_S

    def lose(self, told: int, posted: int) -> None:
        """Its units are posted, or freed, without this worker: calls that run on it are charged for them already."""
        self.lost = True
        self.low = 0
        self.spend_until_s = -inf
        self.told = told
        self.posted = posted

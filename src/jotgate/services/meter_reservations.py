"""What a call reserves of its quotas before it is let through, and what it is charged when it has ended."""

from collections.abc import Callable, Sequence
from math import inf
from typing import Final, Literal, Protocol

from msgspec import Struct

from jotgate.core.quotas import Meter
from jotgate.errors import QuotaStanding
from jotgate.services.meter_chains import UNITS, Chain
from jotgate.services.meter_plans import Plan

Extended = Literal["granted", "waiting", "refused"]
"""What became of a step: it is reserved; units are asked for, and news will come; there are none."""

Amounts = tuple[int, int, int, int, int, int, int]
"""How much of each unit, as `meter_chains.UNITS` has them."""

_CONCURRENT: Final = UNITS["concurrent"]


class Need(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a call may use at most. One request, and one of the calls that run at once, are meant by themselves.

    `placed`: false is what is part of a call that has its place among those that run at once.
    `cost` is in nanodollars. `output_least`: if the quotas have less left than `output_tokens`, as much as they have
    will do, down to this many; `cost_least` is what the call costs with those. None: all or nothing.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    tool_calls: int = 0
    output_least: int | None = None
    cost_least: int = 0
    placed: bool = True


class Used(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a call has used; its request is meant by itself. `cost` is in nanodollars."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    tool_calls: int = 0


class Desk(Protocol):
    """Whoever holds the leases. `short`: calls wait for units."""

    short: bool

    def step(self, reservation: "Reservation", output_tokens: int, cost: int, *, patient: bool) -> Extended:
        """See `Reservation.extend`."""

    def standings(self, plan: Plan) -> tuple[QuotaStanding, ...]:
        """How each quota of a plan stands."""

    def room(self, plan: Plan) -> int:
        """How many tokens of output there are, here and in the ledger, as far as is known."""

    def yet(self, plan: Plan, span_s: float) -> int:
        """How many tokens of output there may be for one call in this span, whatever others give back."""

    def overrun(self, plan: Plan) -> None:
        """A call has used more than it had reserved of a quota of this plan."""

    def freed(self, plan: Plan) -> None:
        """A call has given back what it did not use: others wait for some, or it had a place of those at once."""


class _More:
    """Whom to tell what, and since when a step waits. Mutable: all of it."""

    __slots__ = ("news", "slot_lost", "unavailable", "waits_s")

    def __init__(self) -> None:
        self.news: Callable[[], None] | None = None
        self.slot_lost: Callable[[], None] | None = None
        self.unavailable = False
        self.waits_s = inf


class Reservation:
    """What one call has reserved of all quotas that meet it. Mutable: its parts, until it is settled or voided.

    Exactly one of `settle` and `void` is called, once; a second one does nothing.
    """

    __slots__ = ("_amounts", "_chains", "_desk", "_more", "_older", "_open", "plan")

    def __init__(self, desk: Desk, plan: Plan, amounts: Amounts, chains: list[Chain]) -> None:
        self._desk = desk
        self.plan = plan
        self._amounts = amounts
        self._chains = chains
        # Parts of chains from which nothing is reserved any more: the place in the plan, the chain, how much.
        self._older: list[tuple[int, Chain, int]] = []
        self._more: _More | None = None
        self._open = True
        if plan.slotted and amounts[_CONCURRENT]:
            for chain, unit in zip(chains, plan.units, strict=True):
                if unit == _CONCURRENT:
                    chain.slots.add(self)

    @property
    def input_tokens(self) -> int:
        """How many are reserved."""
        return self._amounts[1]

    @property
    def output_tokens(self) -> int:
        """How many are reserved by now; less than were needed, perhaps: see `Need`."""
        return self._amounts[2]

    @property
    def cost(self) -> int:
        """How much is reserved by now, in nanodollars."""
        return self._amounts[4]

    @property
    def tool_calls(self) -> int:
        """How many are reserved."""
        return self._amounts[5]

    @property
    def unavailable(self) -> bool:
        """Whether the last step was refused because nobody could say what is left, and not because nothing is."""
        return self._more is not None and self._more.unavailable

    @property
    def meters(self) -> tuple[Meter, ...]:
        """The quotas that meet the call."""
        return self.plan.meters

    def standings(self) -> tuple[QuotaStanding, ...]:
        """How each of its quotas stands, as far as this worker knows."""
        return self._desk.standings(self.plan)

    @property
    def room(self) -> int:
        """How many more tokens of output there are for it and all others here and in the ledger, as far as is known."""
        return self._desk.room(self.plan)

    def yet(self, span_s: float) -> int:
        """How many tokens of output it may have at most within this span, whatever others give back."""
        return self._desk.yet(self.plan, span_s)

    def live(self, now_s: float) -> bool:
        """Whether the leases that it is of may still be spent: asked right before the upstream is written to.

        `now_s` is monotonic. If it says no, void the reservation and reserve anew.
        """
        parts = zip(self._chains, self.plan.units, strict=True)
        return self._open and all(now_s < chain.spend_until_s or not self._amounts[unit] for chain, unit in parts)

    def extend(self, output_tokens: int, cost: int, *, patient: bool = True) -> Extended:
        """Reserve one more step: so many more output tokens, and nanodollars, or nothing of them.

        After "waiting", whoever `on_news` named is told when it is of use to ask again; in time it becomes one of the
        others. Whoever is not `patient` gets "refused" for it at once.
        """
        return self._desk.step(self, output_tokens, cost, patient=patient) if self._open else "refused"

    def on_news(self, tell: Callable[[], None]) -> None:
        """Whom to tell when a step that waits may be asked for again."""
        self._others().news = tell

    def on_slot_lost(self, tell: Callable[[], None]) -> None:
        """Whom to tell, once, when the call has no place any more among those that run at once: it has to end."""
        self._others().slot_lost = tell

    def settle(self, used: Used) -> int:
        """Charge what was used and give the rest back; how many tokens were used beyond those reserved.

        These are charged too, which is debt if nothing is left of the quota.
        """
        if not self._open:
            return 0
        self._open = False
        input_tokens, output_tokens = used.input_tokens, used.output_tokens
        tokens = input_tokens + output_tokens
        spent = (1, input_tokens, output_tokens, tokens, used.cost, used.tool_calls, 0)
        amounts = self._amounts
        if self._older or self.plan.slotted:
            self._charge(spent)
        else:
            for chain, unit in zip(self._chains, self.plan.units, strict=True):
                charged = spent[unit]
                chain.spent += charged
                chain.free += amounts[unit] - charged
        if self._desk.short or self.plan.slotted:
            self._desk.freed(self.plan)
        if (
            tokens > amounts[3]
            or output_tokens > amounts[2]
            or input_tokens > amounts[1]
            or used.cost > amounts[4]
            or used.tool_calls > amounts[5]
        ):
            self._desk.overrun(self.plan)
            return max(0, tokens - amounts[3])
        return 0

    def void(self) -> None:
        """Give everything back, and the request itself: nothing of the call has reached an upstream."""
        if self._open:
            self._open = False
            self._charge((0, 0, 0, 0, 0, 0, 0))
            if self._desk.short or self.plan.slotted:
                self._desk.freed(self.plan)

    # For whoever holds the leases

    def add(self, output_tokens: int, cost: int, chains: Sequence[Chain]) -> None:
        """Have a step more, of these chains, where it is of a unit that steps are of."""
        requests, input_tokens, output, tokens, money, tools, slots = self._amounts
        for place, (old, new) in enumerate(zip(self._chains, chains, strict=True)):
            if old is not new:
                had = self._amounts[self.plan.units[place]]
                had -= sum(amount for index, _, amount in self._older if index == place)
                self._older.append((place, old, had))
                self._chains[place] = new
        self._amounts = (
            requests, input_tokens, output + output_tokens, tokens + output_tokens, money + cost, tools, slots
        )  # fmt: skip

    @property
    def chains(self) -> Sequence[Chain]:
        """The newest chain of each of its parts."""
        return self._chains

    def part_of(self, chain: Chain) -> int:
        """How much of it is of a chain, and not of those before."""
        for place, (own, unit) in enumerate(zip(self._chains, self.plan.units, strict=True)):
            if own is chain:
                return self._amounts[unit] - sum(amount for index, _, amount in self._older if index == place)
        return 0

    def waited_s(self, awake_s: float) -> float:
        """How long a step waits, by `Attention.s`; it begins to now, if it did not."""
        more = self._others()
        if more.waits_s == inf:
            more.waits_s = awake_s
        return awake_s - more.waits_s

    def stepped(self, *, unavailable: bool) -> None:
        """A step does not wait any more."""
        if self._more is not None:
            self._more.waits_s = inf
            self._more.unavailable = unavailable

    def tell_news(self) -> None:
        """A step that waits may be asked for again (meter_chains.Runner)."""
        if self._open and self._more is not None and self._more.news is not None:
            self._more.news()

    def tell_slot_lost(self) -> None:
        """Its place is lost (meter_chains.Runner)."""
        if self._open and self._more is not None and self._more.slot_lost is not None:
            self._more.slot_lost()

    def _others(self) -> _More:
        if self._more is None:
            self._more = _More()
        return self._more

    def _charge(self, spent: Amounts) -> None:
        """Charge each part, the oldest chains first."""
        for place, (chain, unit) in enumerate(zip(self._chains, self.plan.units, strict=True)):
            reserved = self._amounts[unit]
            rest = spent[unit]
            for index, before, amount in self._older:
                if index == place:
                    charged = min(rest, amount)
                    before.spent += charged
                    before.free += amount - charged
                    rest -= charged
                    reserved -= amount
            chain.spent += rest
            chain.free += reserved - rest
            if unit == _CONCURRENT:
                chain.slots.discard(self)

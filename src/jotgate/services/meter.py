"""The quotas of the calls of one worker: which meet a call, what is held of them, and what is reserved.

Invariant: what this worker lets through is covered by leases that it holds. A unit is reserved from a lease that is
granted, open and within its time by the worker's clock, counted from when the lease was asked for; each unit of a lease
is told to the ledger once: as spent, as kept for calls that run, or as given back. What a call uses beyond what it
reserved is charged all the same, and is debt.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Final

from jotgate.core.ledger import LeaseAnswer
from jotgate.core.principals import Principal
from jotgate.core.quota_answers import exceeded, standing_of
from jotgate.core.quotas import Meter, Spender
from jotgate.errors import JotgateError, QuotaExceeded, QuotaStanding, QuotaUnavailable, UnitsUnresolved
from jotgate.ports import Clock, Entropy
from jotgate.services.meter_attention import Attention
from jotgate.services.meter_chains import UNITS, Chain, Runner
from jotgate.services.meter_leases import Holding
from jotgate.services.meter_needs import fit, least_of, step_amounts
from jotgate.services.meter_plans import Plan, Plans
from jotgate.services.meter_post import AskLeases, LeasePost, Soon
from jotgate.services.meter_reservations import Amounts, Extended, Need, Reservation

PATIENCE_S: Final = 2.5
"""So long a step of a stream waits for units that others have: by then all that is not used is back."""
OF_TOKENS: Final = frozenset({UNITS["output_tokens"], UNITS["total_tokens"]})
UNBOUNDED: Final = 1 << 62
PATIENCE_MAX_S: Final = 5.0
"""So long it waits for those that the ledger has, when answers are late."""
AT_ONCE: Final = 1_000
"""So many accounts are looked at in one turn of the event loop."""

AskPlan = Callable[[int, Spender, str, str], object]
"""Asks control which meters a call meets: number, spender, model, operation (`processes.messages.PlanWanted`)."""

_UNKNOWN_PLAN: Final = "which quotas meet this call cannot be known now"
_UNKNOWN_REST: Final = "what is left of the quota '{}' cannot be known now"


class Metering:
    """The worker's side of quotas. Mutable: the plans and the leases that it holds, and who waits for them.

    `told` is called with the `key` of an UnitsUnresolved when it is of use to try again. It outlives the worlds that
    use it. All times are monotonic.
    """

    def __init__(
        self,
        clock: Clock,
        entropy: Entropy,
        *,
        ask_plan: AskPlan,
        ask_leases: AskLeases,
        told: Callable[[Hashable], object],
        soon: Soon,
    ) -> None:
        self._clock = clock
        self._ask_plan = ask_plan
        self._told = told
        self._plans = Plans()
        self._attention = Attention()
        self._post = LeasePost(clock, self._attention, entropy, ask_leases, soon)
        self._metered = False
        self._questions = 0
        self._active: dict[Holding, None] = {}
        self._stalled: dict[Reservation, None] = {}
        self._turns: deque[Holding] = deque()
        self._wanting: dict[Holding, None] = {}
        self._freed: dict[Holding, None] = {}
        self._soon = soon
        self.short = False

    def enter(self, *, metered: bool, capacity: int) -> None:
        """Use a new world: `Snapshot.metered`, and how many plans to hold at most."""
        self._metered = metered
        self._plans.limit(capacity)

    def reserve(self, principal: Principal, model: str, operation: str, need: Need, now_s: float) -> Reservation | None:
        """Reserve what a call needs, of all quotas that meet it or of none. None: nothing limits it.

        Raises:
            QuotaExceeded: a quota has not so much left in its window.
            QuotaUnavailable: nobody can say now how much is left.
            UnitsUnresolved: a moment later one can say; what it needs has been asked for.
        """
        found = self._plans.near.get((id(principal), model, operation))
        plan = found[1] if found is not None else self._find_plan(principal, model, operation, now_s)
        if plan is None or not plan.parts:
            return None
        input_tokens, output_tokens = need.input_tokens, need.output_tokens
        tokens = input_tokens + output_tokens
        amounts = (1, input_tokens, output_tokens, tokens, need.cost, need.tool_calls, int(need.placed))
        chains = []
        for holding, unit in plan.parts:
            chain = holding.chain
            left = chain.free - amounts[unit]
            if left < chain.low or now_s >= chain.spend_until_s:
                break
            chain.free = left
            chain.used_s = now_s
            chains.append(chain)
        else:
            return Reservation(self, plan, amounts, chains)
        for chain, unit in zip(chains, plan.units, strict=False):
            chain.free += amounts[unit]
        return self._reserve_closely(plan, need, now_s)

    def tick(self) -> None:
        """Tell the ledger what was spent, give back what is idle, renew what is about to end. Four times a second."""
        now_s = self._clock.monotonic_s()
        self._attention.look(now_s)
        if not self._turns:  # Else the last tick is not done yet.
            self._turns.extend(self._active)
            self._tend_some()
        self._post.tick(asking=self._plans.asking)
        out = self._post.is_out(now_s)  # Then those who wait for an answer are told that none comes.
        self._wake([one for one in self._active if out or one.wakes(now_s)])
        for stream in [one for one in self._stalled if one.waited_s(self._attention.s) >= PATIENCE_S]:
            stream.tell_news()
        self.short = any(one.waiting or one.stalled for one in self._active)

    def plan_answered(self, number: int, meters: Sequence[Meter] | None) -> None:
        """Control says which meters a call meets; None: it cannot say now."""
        self._post.heard()
        key = self._plans.answered(number, meters, self._clock.monotonic_s())
        if key is not None:
            self._told(key)

    def leases_answered(self, number: int, answers: Sequence[LeaseAnswer] | None) -> None:
        """What became of asks; None: the store does not answer, and they are asked again."""
        now_s = self._clock.monotonic_s()
        answered = self._post.answered(number, answers)
        for pending, answer in answered:
            pending.holding.take(pending, answer, now_s)
            if pending.chain.lost:
                _end_slots(pending.chain)
        self._wake([pending.holding for pending, _ in answered])

    def limits_changed(self) -> None:
        """Hold no plan any more: each is asked for anew when a call needs it."""
        self._plans.forget()

    def others_want(self, accounts: Iterable[str]) -> None:
        """Give back now what of these accounts would go back soon: somebody waits for it. It need not be true."""
        now_s = self._clock.monotonic_s()
        if self._post.broken:
            return
        for holding in self._plans.held(accounts):
            holding.turn(now_s)
            holding.courtesy.sought(now_s)
            keep = 0 if holding.gives_way(now_s) else holding.spares(now_s)
            if keep is not None:
                self._ask(holding, keep, now_s, more=False)

    def lost_link(self) -> None:
        """Control is out of reach: nothing that was asked for may be answered any more."""
        self._post.lost_link()

    def ask_again(self) -> None:
        """Put all that is not answered to another control process, under the same names of leases."""
        for number, (spender, model, operation) in self._plans.renumbered(self._questions + 1):
            self._questions = number
            self._ask_plan(number, spender, model, operation)
        self._post.ask_again()

    def close(self) -> None:
        """Give everything back that no call has reserved, and tell what was spent: the worker stops."""
        now_s = self._clock.monotonic_s()
        for holding in self._active:
            if not holding.chain.asked and holding.chain.lease_id:
                self._post.put(holding.compose(self._post.new_id(), now_s, 0, more=False))
        self._post.flush()

    # Reserving, where the short way does not do

    def _find_plan(self, principal: Principal, model: str, operation: str, now_s: float) -> Plan | None:
        """The plan of a call that is not known by its principal; None: nothing limits it. Raises as `reserve` does."""
        if not self._metered and not principal.limits:
            return None
        found = self._plans.find(principal, model, operation)
        if isinstance(found, Plan):
            return found
        verdict = QuotaUnavailable(_UNKNOWN_PLAN)
        if self._plans.is_unknown(found, now_s) or self._post.is_out(now_s) or self._post.is_silent:
            raise verdict
        if self._plans.number(found, self._questions + 1):
            self._questions += 1
            self._ask_plan(self._questions, *found)
        raise UnitsUnresolved(found, verdict)

    def _reserve_closely(self, plan: Plan, need: Need, now_s: float) -> Reservation:
        """Reserve, or ask for what is lacking. Raises as `reserve` does."""
        for holding in plan.holdings:
            holding.turn(now_s)
        amounts = fit(need, plan, now_s)
        short = [(one, unit) for one, unit in plan.parts if one.lacks(amounts[unit], now_s)]
        if not short:
            chains = self._take(plan, amounts, now_s)
            return Reservation(self, plan, amounts, chains)
        least = least_of(need)
        for holding, unit in short:
            if holding.exceeds(least[unit], now_s):
                raise self._exceeded(plan, holding, holding.resets_s(now_s, least[unit]))
        if self._post.is_out(now_s) or self._post.is_silent:
            raise QuotaUnavailable(_UNKNOWN_REST.format(short[0][0].meter.quota.name))
        verdict = self._verdict(plan, [(holding, least[unit]) for holding, unit in short], now_s)
        for holding, unit in short:
            self._want(holding, amounts[unit], least[unit])
            holding.waiting[plan.key] = None
        raise UnitsUnresolved(plan.key, verdict, late=all(one.promises(least[unit], now_s) for one, unit in short))

    def step(self, reservation: Reservation, output_tokens: int, cost: int, *, patient: bool = True) -> Extended:
        """See `Reservation.extend`."""
        now_s = self._clock.monotonic_s()
        plan = reservation.plan
        self._stalled.pop(reservation, None)
        for holding in plan.holdings:
            holding.turn(now_s)
        amounts = step_amounts(output_tokens, cost)
        short = [(one, amounts[unit]) for one, unit in plan.parts if one.lacks(amounts[unit], now_s)]
        if not short:
            taken = self._take(plan, amounts, now_s)
            parts = zip(plan.units, taken, reservation.chains, strict=True)
            reservation.add(output_tokens, cost, [new if amounts[unit] else old for unit, new, old in parts])
            reservation.stepped(unavailable=False)
            return "granted"
        known = any(one.exceeds(amount, now_s, reservation.part_of(one.chain)) for one, amount in short)
        gone = any(one.is_out_of_reach(amount, now_s) for one, amount in short)
        # Where the ledger has enough it only has to be had: what lacks is an answer, and late ones come too.
        late = all(one.promises(amount, now_s) for one, amount in short)
        patience_s = (PATIENCE_MAX_S if late else PATIENCE_S) if patient else 0.0
        if known or self._post.is_out(now_s) or reservation.waited_s(self._attention.s) >= patience_s:
            spent = known or gone
            reservation.stepped(unavailable=not spent)
            return "refused"
        for holding, amount in short:
            self._want(holding, amount, amount)
            holding.stalled[reservation] = None
        self._stalled[reservation] = None
        return "waiting"

    def standings(self, plan: Plan) -> tuple[QuotaStanding, ...]:
        """How each quota of a plan stands, as far as this worker knows."""
        now_s, civil_s = self._clock.monotonic_s(), self._clock.now_s()
        return tuple(
            standing_of(meter, spent=one.taken, resets_s=one.resets_s(now_s), now_s=civil_s)
            for meter, one in zip(plan.meters, plan.holdings, strict=True)
        )

    def room(self, plan: Plan) -> int:
        """How many tokens of output there are, here and in the ledger, as far as is known."""
        now_s = self._clock.monotonic_s()
        return min((one.room(now_s) for one, unit in plan.parts if unit in OF_TOKENS), default=UNBOUNDED)

    def yet(self, plan: Plan, span_s: float) -> int:
        """How many tokens of output there may be for one call in this span, whatever others give back."""
        until_s = self._clock.monotonic_s() + span_s
        found = (one.yet(until_s) for one, unit in plan.parts if unit in OF_TOKENS)
        return min((one for one in found if one is not None), default=UNBOUNDED)

    def overrun(self, plan: Plan) -> None:
        """A call has used more than it had reserved: its holdings are looked at, whether or not they have a lease."""
        self._active.update(dict.fromkeys(plan.holdings))

    def freed(self, plan: Plan) -> None:
        """A call has given back what it did not use, and others wait, here or perhaps elsewhere."""
        now_s = self._clock.monotonic_s()
        if plan.slotted and not self._post.broken:
            for holding in plan.holdings:
                if holding.gives_way(now_s):
                    self._ask(holding, 0, now_s, more=False)
            if not self._freed:
                self._soon(self._hand_back)
            self._freed.update(dict.fromkeys(plan.holdings))
        self._wake([one for one in plan.holdings if one.wakes(now_s)])

    def _hand_back(self) -> None:
        """Give back the places of calls that have ended, unless others have taken them by now."""
        now_s = self._clock.monotonic_s()
        freed, self._freed = self._freed, {}
        for holding in freed:
            keep = holding.surplus(now_s)
            if keep is not None:
                self._ask(holding, keep, now_s, more=False)

    def _take(self, plan: Plan, amounts: Amounts, now_s: float) -> list[Chain]:
        """Take what is there for certain, and ask early for more where little is left."""
        chains = []
        for holding, unit in plan.parts:
            chain = holding.chain
            chain.free -= amounts[unit]
            chain.used_s = now_s
            chains.append(chain)
            if chain.free < chain.low and holding.may_ask(now_s):
                self._ask_soon(holding)  # Not now: others who are about to try may lack something.
        return chains

    # Asking

    def _want(self, holding: Holding, amount: int, least: int) -> None:
        holding.want(amount, least)
        self.short = True
        self._ask_soon(holding)

    def _ask_soon(self, holding: Holding) -> None:
        self._active[holding] = None
        first = not self._wanting
        self._wanting[holding] = None
        if first:
            self._soon(self._ask_for_all)  # Those who try again try in this turn: one ask is for all of them.

    def _ask_for_all(self) -> None:
        """Ask for what all want that were found to lack something in this turn of the event loop, or soon will."""
        now_s = self._clock.monotonic_s()
        wanting, self._wanting = self._wanting, {}
        for holding in wanting:
            low = holding.wants or holding.chain.free < holding.chain.low
            if low and holding.may_ask(now_s):
                self._ask(holding, max(0, holding.chain.free), now_s, more=True)

    def _ask(self, holding: Holding, keep: int, now_s: float, *, more: bool) -> None:
        self._active[holding] = None
        self._post.put(holding.compose(self._post.new_id(), now_s, keep, more=more))

    def _tend_some(self) -> None:
        """Look at some holdings, and at the others in a later turn: no turn of the event loop is to take long."""
        now_s = self._clock.monotonic_s()
        broken = self._post.broken
        for _ in range(min(AT_ONCE, len(self._turns))):
            holding = self._turns.popleft()
            holding.turn(now_s)
            due = holding.due(now_s)
            if not broken:
                self._tend(holding, due, now_s)
            if now_s >= holding.chain.return_until_s:
                _end_slots(holding.chain)
            if holding.idle:
                self._active.pop(holding, None)
        if self._turns:
            self._soon(self._tend_some)

    def _tend(self, holding: Holding, due: tuple[int, bool] | None, now_s: float) -> None:
        if due is not None:
            keep, more = due
            self._ask(holding, keep, now_s, more=more)
        for chain in tuple(holding.sweep(now_s)):
            self._post.put(holding.compose_older(chain, self._post.new_id(), now_s))

    def _wake(self, holdings: Iterable[Holding]) -> None:
        """Have those who wait for units of these try again."""
        keys: dict[Hashable, None] = {}
        streams: dict[Runner, None] = {}
        for holding in holdings:
            keys.update(holding.waiting)
            streams.update(holding.stalled)
            holding.waiting.clear()
            holding.stalled.clear()
        for key in keys:
            self._told(key)
        for stream in streams:
            stream.tell_news()

    # Refusing

    def _verdict(self, plan: Plan, short: Sequence[tuple[Holding, int]], now_s: float) -> JotgateError:
        """What a call is told that has waited in vain: what it lacks others have, or nobody knows."""
        known = next((one for one in short if one[0].is_out_of_reach(one[1], now_s)), None)
        if known is None:
            return QuotaUnavailable(_UNKNOWN_REST.format(short[0][0].meter.quota.name))
        holding, amount = known
        return self._exceeded(plan, holding, min(1.0, holding.resets_s(now_s, amount)))

    def _exceeded(self, plan: Plan, holding: Holding, resets_s: float) -> QuotaExceeded:
        meter = plan.meters[plan.holdings.index(holding)]
        spent, civil_s = holding.taken, self._clock.now_s()
        others = tuple(
            one for one, other in zip(self.standings(plan), plan.holdings, strict=True) if other is not holding
        )
        return exceeded(meter, spent=spent, resets_s=resets_s, now_s=civil_s, others=others)


def _end_slots(chain: Chain) -> None:
    """Tell the calls that have a place of a chain that they have it no more."""
    slots = tuple(chain.slots)
    chain.slots.clear()
    for one in slots:
        one.tell_slot_lost()

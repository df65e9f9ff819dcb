"""What a worker holds of one account of the ledger: what it knows of it, who waits, and when it asks for what."""

from collections.abc import Hashable, Iterator
from math import ceil, inf
from typing import Final

from msgspec import Struct

from jotgate.core.ledger import AHEAD_SHARE, LeaseAnswer, LeaseAsk
from jotgate.core.quota_rates import available, wait_s
from jotgate.core.quotas import Meter
from jotgate.services.meter_chains import MARGIN_S, SLOTS, UNITS, Chain, Runner
from jotgate.services.meter_courtesy import Courtesy

FRESH_S: Final = 1.0
"""So long calls are refused by what the ledger said last, before it is asked again."""
PROMISE_S: Final = 3.0
"""So long what the ledger said it has is waited for."""
AGAIN_S: Final = 0.2
"""So long after an answer that was not enough is the ledger asked again for those who wait, at the next tick."""
IDLE_S: Final = 1.0
"""Units of which nobody took any for so long go back."""
SYNC_S: Final = 1.0
"""What was spent is told at least so often."""
BEAT_S: Final = 4.0
"""A lease of which calls that run have all is renewed so often."""
TAKEN_S: Final = 0.5
"""Units that were granted so lately are not given back for being too many."""
NAP_S: Final = 0.1
"""Units of which nobody took any for so long are not used now: they go back when others wait for some."""
SLOW_S: Final = 0.2
"""An answer that takes so long is late."""
SLOWEST_S: Final = 2.0
"""For answers that take longer than this no more is held."""
WAKE_S: Final = 0.02
"""Those who wait for units are not woken more often by calls that give some back."""

_AMPLE: Final = 4
"""While answers come late, for those that wait so many times what they need is asked for: others come meanwhile."""
_SPARED_SHARE: Final = 8
"""While others wait, such a part of what is used in a second is kept."""
_QUEUED_SHARE: Final = 4
"""For all that wait at most this part of what is left is asked for at once, or what one of them needs."""


class Pending(Struct, frozen=True):
    """An ask that is not answered. `had` are the units of its chain then; times count from `asked_s`, its first try."""

    ask: LeaseAsk
    holding: "Holding"
    chain: Chain
    asked_s: float
    had: int


class Holding:
    """What a worker holds of one account. Mutable: its chains of leases, what the ledger said last, and who waits.

    `limit` is how much there may be at once. `older` are chains from which nothing is reserved any more: their window
    has ended, or they are lost. `waiting` are the calls to be told of an answer, `stalled` the streams, as they came.
    """

    __slots__ = (
        "__weakref__",
        "_answered_s",
        "_arrival_s",
        "_consumed",
        "_ends_s",
        "_given",
        "_leased",
        "_least",
        "_lent",
        "_not_before_s",
        "_posted",
        "_recent",
        "_since_s",
        "_synced_s",
        "_took_s",
        "_wanted",
        "_woken_s",
        "chain",
        "courtesy",
        "limit",
        "meter",
        "older",
        "stalled",
        "unit",
        "waiting",
    )

    def __init__(self, meter: Meter) -> None:
        limit = meter.quota.limit
        self.meter = meter
        self.unit = UNITS[limit.unit]
        self.limit = limit.burst if limit.window == "rate" and limit.burst and limit.amount > 0 else limit.amount
        self.chain = Chain()
        self.older: list[Chain] = []
        self.waiting: dict[Hashable, None] = {}
        self.stalled: dict[Runner, None] = {}
        self._wanted = self._least = 0
        self._posted = self._leased = self._lent = 0
        self._given = self._consumed = self._recent = 0
        self._answered_s = self._since_s = self._synced_s = self._not_before_s = self._woken_s = -inf
        self.courtesy = Courtesy()
        self._ends_s = inf
        self._arrival_s = -inf
        self._took_s = 0.0

    # What is known of the account

    def turn(self, now_s: float) -> None:
        """Begin anew if the window has ended."""
        if now_s >= self._ends_s:
            self._answered_s = -inf
            self._posted = self._leased = self._lent = 0
            self._ends_s = inf
        if now_s >= self.chain.ends_s:
            self._put_aside(self.chain)
            self._begin(Chain())

    def lacks(self, amount: int, now_s: float) -> bool:
        """Whether so much cannot be reserved from what is held."""
        chain = self.chain
        return amount > 0 and (chain.free < amount or now_s >= chain.spend_until_s)

    def is_fresh(self, now_s: float) -> bool:
        """Whether the ledger has said a moment ago how the account stands."""
        return now_s - self._answered_s < FRESH_S

    def exceeds(self, amount: int, now_s: float, own: int = 0) -> bool:
        """Whether so much is more than could be had even if all others gave back what they hold.

        `own` is what the call that wants it has already, and does not give back.
        """
        if amount + own > self.limit:
            return True
        if not self.is_fresh(now_s):
            return False
        chain = self.chain
        if self.meter.quota.limit.window == "rate":
            return self.in_reach(now_s) < amount
        # A request that runs is spent: it never comes back. Of other units it may.
        gone = self._posted + chain.spent + (chain.running if self.unit == UNITS["requests"] else own)
        return gone + amount > self.limit

    @property
    def taken(self) -> int:
        """What is gone of the limit, as far as is known: posted, leased by others, and spent or reserved here."""
        others = max(0, self._leased - self._lent)
        return max(0, self._posted + others + self.chain.spent + self.chain.running)

    def in_reach(self, now_s: float) -> int:
        """How much there is here and in the ledger, as far as is known; the limit, before the ledger has spoken."""
        if not self.is_fresh(now_s):
            return self.limit
        return self._usable(now_s) + self._left(now_s)

    def is_out_of_reach(self, amount: int, now_s: float) -> bool:
        """Whether the ledger has said a moment ago that so much is not to be had: it is spent, or others have it."""
        return self.is_fresh(now_s) and self.in_reach(now_s) < amount

    def promises(self, amount: int, now_s: float) -> bool:
        """Whether the ledger has said lately that so much is to be had, so that it is worth to wait for its answer."""
        return now_s - self._answered_s < PROMISE_S and self.room(now_s) >= amount

    def resets_s(self, now_s: float, amount: int = 1) -> float:
        """In how many seconds there is more: at the window's end, or when a rate has so much; infinite: never."""
        limit = self.meter.quota.limit
        if limit.window == "rate":
            return wait_s(limit, max(1, amount - self._usable(now_s)), self._arrival_us(now_s), 0)
        return max(0.0, self._ends_s + MARGIN_S - now_s)

    def yet(self, until_s: float) -> int | None:
        """How much may be had until then if all others give back what they hold; None: there may be more by then."""
        if self.meter.quota.limit.window == "rate" or until_s >= self._ends_s:
            return None
        return max(0, self.limit - self._posted - self.chain.spent)

    def room(self, now_s: float) -> int:
        """How much there is here and in the ledger by what it said last, however long ago."""
        return max(0, self.chain.free) + self._left(now_s)

    def _usable(self, now_s: float) -> int:
        return max(0, self.chain.free) if now_s < self.chain.spend_until_s else 0

    def _left(self, now_s: float) -> int:
        """How much the ledger could grant, as far as is known."""
        limit = self.meter.quota.limit
        if limit.window == "rate":
            return available(limit, self._arrival_us(now_s), 0)
        return max(0, self.limit - self._posted - self._leased)

    def _arrival_us(self, now_s: float) -> int:
        """By how much a rate's arrival time lies ahead, as far as is known."""
        return ceil(max(0.0, self._arrival_s - now_s) * 1e6)

    # When to ask, and for what

    def want(self, amount: int, least: int) -> None:
        """A call waits that needs so much, and could go on with `least`."""
        self._wanted += amount
        self._least = min(self._least, least) if self._least else least

    @property
    def wants(self) -> bool:
        """Whether somebody waits for more than what is asked for by now."""
        return self._wanted > 0

    def wakes(self, now_s: float) -> bool:
        """Whether calls gave back what those who wait may take. They are not all woken by each one."""
        if self.chain.free <= 0 or now_s < self._woken_s + WAKE_S or not (self.waiting or self.stalled):
            return False
        self._woken_s = now_s
        return True

    def may_ask(self, now_s: float) -> bool:
        """Whether an ask for more is of use: none is under way, and none was refused a moment ago that wanted less."""
        enough = self.is_fresh(now_s) and 0 < self._least <= self.room(now_s)
        of_use = (enough or now_s >= self._not_before_s) and not self.courtesy.holds_back(now_s)
        return of_use and not self.chain.asked

    def due(self, now_s: float) -> tuple[int, bool] | None:
        """Whether it is time to ask: how many free units to keep, and whether to want more. None: it is not.

        Called at each tick, since it measures what is used.
        """
        self._measure(now_s)
        chain = self.chain
        if chain.asked:
            return None
        if self._wanted:
            return (max(0, chain.free), True) if self.may_ask(now_s) else None
        surplus = self.surplus(now_s)
        if surplus is not None and now_s >= self._since_s + NAP_S:
            return surplus, False
        quiet_s = now_s - self._synced_s
        if chain.free < 0:
            return (0, True) if chain.lease_id or quiet_s >= BEAT_S else None
        if not chain.lease_id:
            return None
        if now_s - max(chain.used_s, self._since_s) >= IDLE_S and (chain.free or chain.spent):
            return 0, False
        # Those who waited for what was granted a moment ago may not have taken it yet.
        spare = chain.free if now_s < self._since_s + TAKEN_S else min(chain.free, self._ahead)
        told = quiet_s >= SYNC_S and (chain.spent or chain.free > spare)
        low = chain.free < chain.low and now_s >= self._not_before_s
        return (spare, True) if told or low or quiet_s >= BEAT_S else None

    def spares(self, now_s: float) -> int | None:
        """Others wait for units: how many free ones to keep, if some can go back now; None: there are none to spare.

        Units that were granted a moment ago are for calls that have not yet taken them.
        """
        chain = self.chain
        if chain.asked or not chain.lease_id or self._wanted or self.waiting or self.stalled:
            return None
        if now_s < self._since_s + NAP_S:
            return None
        keep = 0 if now_s >= chain.used_s + NAP_S else self._recent // _SPARED_SHARE
        return keep if chain.free > keep else None

    def surplus(self, now_s: float) -> int | None:
        """Of calls at once: how many free places to keep, if some are no call's; None: none is to spare.

        Where few are left none is kept: somebody may wait for it elsewhere, and to take it again is one turn.
        """
        chain = self.chain
        if self.unit != SLOTS or chain.asked or not chain.lease_id or self._wanted or self.waiting:
            return None
        keep = self._left(now_s) // AHEAD_SHARE
        return keep if chain.free > keep else None

    def gives_way(self, now_s: float) -> bool:
        """Whether a place that is free now is given to others who wait. It notes that it is."""
        chain = self.chain
        has = self.unit == SLOTS and chain.lease_id and chain.free > 0 and not chain.asked
        if not has or not self.courtesy.is_theirs(now_s):
            return False
        self.courtesy.give_way(now_s)
        return True

    def compose(self, lease_id: str, now_s: float, keep: int, *, more: bool) -> Pending:
        """Ask about the current chain: tell what was spent, keep so many free units, give back others, want more."""
        chain = self.chain
        had, free = chain.units, chain.free
        want, least = self._demand(keep, now_s) if more else (0, 0)
        ask = chain.ask(self.meter, lease_id, keep, want=want, least=least)
        self._given += chain.free - free
        self._synced_s = now_s
        self._wanted = self._least = 0
        return Pending(ask, self, chain, now_s, had)

    def sweep(self, now_s: float) -> Iterator[Chain]:
        """Forget older chains that are done with; those of which something is to be told still."""
        for chain in tuple(self.older):
            if chain.asked:
                continue
            if not chain.lost and now_s >= chain.return_until_s:
                chain.lose(0, chain.units)
            if chain.running:
                continue
            if chain.owed if chain.lost else chain.lease_id:
                yield chain
            else:
                self.older.remove(chain)

    def compose_older(self, chain: Chain, lease_id: str, now_s: float) -> Pending:
        """Tell what was spent of an older chain of which no call has anything any more."""
        if not chain.lost:
            had = chain.units
            return Pending(chain.ask(self.meter, lease_id, 0, want=0, least=0), self, chain, now_s, had)
        chain.asked = True
        ask = LeaseAsk(lease_id, self.meter, previous=chain.lease_id, spent=chain.owed)
        return Pending(ask, self, chain, now_s, chain.posted)

    def take(self, pending: Pending, answer: LeaseAnswer, now_s: float) -> None:
        """What became of an ask."""
        chain, ask = pending.chain, pending.ask
        chain.asked = False
        self._wanted = self._least = 0
        self._learn(pending, answer, now_s)
        if chain.lost:
            self.older.remove(chain)
        elif answer.lost or answer.units < ask.kept:
            self._lose(pending, answer)
        else:
            free = chain.free
            chain.lend(pending.asked_s, answer, answer.units - ask.kept)
            if chain is self.chain:
                self._given += chain.free - free
        if answer.units > ask.kept:
            self._since_s = now_s
        self._set_low(now_s)

    @property
    def idle(self) -> bool:
        """Whether there is nothing of it that has to be looked at."""
        chain = self.chain
        empty = not (chain.lease_id or chain.asked or chain.spent or chain.running)
        return empty and not (self.older or self._wanted or self.waiting or self.stalled)

    def _lose(self, pending: Pending, answer: LeaseAnswer) -> None:
        """The chain is lost, or has come to the end of its window; what was granted begins a new one."""
        lost = pending.chain
        lost.lose(pending.ask.spent, pending.had)
        granted = Chain()
        granted.lend(pending.asked_s, answer, answer.units)
        if lost is self.chain:
            self.older.append(lost)
            self._begin(granted)
        elif granted.lease_id:
            self.older.append(granted)

    def _learn(self, pending: Pending, answer: LeaseAnswer, now_s: float) -> None:
        ask = pending.ask
        self._posted, self._leased, self._lent = answer.posted, answer.leased, answer.units
        self._answered_s = now_s
        self._took_s = now_s - pending.asked_s
        self._ends_s = pending.asked_s + answer.ends_s - MARGIN_S
        self._arrival_s = now_s + answer.ahead_s
        granted = answer.units - (0 if answer.lost else ask.kept)
        late = answer.units > 0 and now_s >= pending.asked_s + answer.spend_s - MARGIN_S
        self._not_before_s = now_s + AGAIN_S if granted < ask.want or late else -inf

    def _demand(self, keep: int, now_s: float) -> tuple[int, int]:
        """How many units to want beside those that are kept, and how many at least."""
        left = self._left(now_s)
        early = min(max(0, self._ahead - keep), left // AHEAD_SHARE)
        if not self._wanted:
            return early, 0
        least = max(1, self._least - keep)
        ample = min(_AMPLE * self._wanted - keep, left // AHEAD_SHARE) if self._took_s >= SLOW_S else 0
        return max(early, least, ample, min(self._wanted - keep, left // _QUEUED_SHARE)), least

    @property
    def _ahead(self) -> int:
        """What will be used in a second, and while answers are late until the one after the next is there."""
        if self._took_s < SLOW_S:
            return self._recent
        return int(self._recent * (1.0 + 2.0 * min(self._took_s, SLOWEST_S)))

    def _measure(self, now_s: float) -> None:
        """Find out what is used in a second. What calls gave back was not used."""
        consumed = self._given - self.chain.free
        self._recent = self._recent * 3 // 4 + max(0, consumed - self._consumed)
        self._consumed = consumed
        if not self.chain.asked:
            self._set_low(now_s)

    def _set_low(self, now_s: float) -> None:
        low = min(self._ahead // 4, self._left(now_s) // AHEAD_SHARE // 2)
        self.chain.low = low if self.chain.lease_id else 0

    def _begin(self, chain: Chain) -> None:
        self._given += chain.free - self.chain.free
        self.chain = chain

    def _put_aside(self, chain: Chain) -> None:
        if chain.lease_id or chain.asked or chain.running:
            self.older.append(chain)

"""Control's side of quotas: says which accounts meet a call, and carries what workers ask of the ledger to the store.

It holds no units: a lease is a row of the store, and its taker is the worker. So nothing is lost with control, and a
worker that asks again, by the same lease, what was not answered gets what it was granted.
"""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from jotgate.core.ledger import LeaseAnswer, LeaseAsk
from jotgate.core.plans import find_plan
from jotgate.core.quota_rules import QuotaRule
from jotgate.core.quotas import Level, Limit, Meter, Spender
from jotgate.core.spenders import Surroundings, spending_of
from jotgate.errors import JotgateError
from jotgate.ports import Clock, StoreAccess
from jotgate.services.batches import Batches
from jotgate.store_ports import Store

ASKS_MAX: Final = 512
"""So many asks are one transaction at most, unless one worker sent more at once."""
HOLDERS_MAX: Final = 65_536
"""Of so many holders control remembers which limits the store has for them, or that it has none."""

_GENERATIONS: Final = 2
_TRIES: Final = 4
_Holder = tuple[Level, str]


class QuotaSources(Struct, frozen=True):
    """What plans are made of beside the store: rules, and what is the same for all callers; of one snapshot."""

    rules: tuple[QuotaRule, ...]
    around: Surroundings


class LeaseDesk:
    """Answers workers of one machine. Mutable: the limits of holders that it remembers, in two generations.

    `sources` are those of the snapshot in effect. `kept` says whether the store has limits at all. `failed` is told of
    each fault for which nothing can be said.
    """

    def __init__(
        self,
        access: StoreAccess,
        clock: Clock,
        *,
        sources: Callable[[], QuotaSources],
        kept: Callable[[], bool],
        failed: Callable[[JotgateError], object],
    ) -> None:
        self._access = access
        self._sources = sources
        self._kept = kept
        self._failed = failed
        self._age = 0
        self._young: dict[_Holder, tuple[Limit, ...]] = {}
        self._old: dict[_Holder, tuple[Limit, ...]] = {}
        self._leases: Batches[LeaseAsk, LeaseAnswer] = Batches(self._turn, clock, most=ASKS_MAX)
        self._limits: Batches[_Holder, tuple[Limit, ...]] = Batches(self._read, clock, most=ASKS_MAX)
        self.settle = self._leases.settle

    def forget(self) -> None:
        """Limits of holders have changed in the store: remember none of them, also of those that are being read."""
        self._age += 1
        self._young, self._old = {}, {}

    async def plan(self, spender: Spender, model: str, operation: str) -> tuple[Meter, ...] | None:
        """The accounts that meet a call, by all that is in effect when this returns; None: it cannot be known now."""
        for _ in range(_TRIES):
            age, sources = self._age, self._sources()
            spending = spending_of(spender, model, operation, sources.around)
            try:
                held = await self._limits_of(spending.levels)
            except JotgateError as error:
                self._failed(error)
                return None
            if age == self._age and sources is self._sources():
                return find_plan(spender, spending, sources.rules, held)
        return None

    async def lease(self, asks: Sequence[LeaseAsk]) -> list[LeaseAnswer] | None:
        """What becomes of these, durably. None: the store does not answer; they may have been carried out all the same.

        All that workers ask at one time is one transaction; what they ask while that is under way is the next.
        """
        try:
            return list(await self._leases.ask(asks))
        except JotgateError as error:
            self._failed(error)
            return None

    async def _turn(self, asks: list[LeaseAsk]) -> Sequence[LeaseAnswer]:
        return await self._access.run(lambda store: store.turn(asks))

    async def _limits_of(self, holders: Sequence[_Holder]) -> dict[_Holder, tuple[Limit, ...]]:
        if not self._kept():
            return {}
        found = {one: limits for one in holders if (limits := self._known(one)) is not None}
        missing = [one for one in holders if one not in found]
        if missing:
            age = self._age
            read = dict(zip(missing, await self._limits.ask(missing), strict=True))
            found |= read
            if age == self._age:
                self._hold(read)
        return found

    async def _read(self, holders: list[_Holder]) -> Sequence[tuple[Limit, ...]]:
        def read(store: Store) -> dict[_Holder, tuple[Limit, ...]]:
            return {(one.level, one.holder): one.limits for one in store.limits_of(holders)}

        found = await self._access.run(read)
        return [found.get(one, ()) for one in holders]

    def _known(self, holder: _Holder) -> tuple[Limit, ...] | None:
        found = self._young.get(holder)
        if found is None and (found := self._old.get(holder)) is not None:
            self._hold({holder: found})
        return found

    def _hold(self, limits: dict[_Holder, tuple[Limit, ...]]) -> None:
        if len(self._young) + len(limits) > HOLDERS_MAX // _GENERATIONS:
            self._old, self._young = self._young, {}
        self._young |= limits
